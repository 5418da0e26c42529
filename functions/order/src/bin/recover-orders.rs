//! The job `recover-orders`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run_job::<zerocart_order::RecoverOrders>()
}
