//! The job `recover-orders`.

fn main() -> std::process::ExitCode {
    zerocart_main::run_job::<zerocart_order::RecoverOrders>()
}
