//! The job `settle-payments`.

fn main() -> std::process::ExitCode {
    zerocart_main::run_job::<zerocart_payment::SettlePayments>()
}
