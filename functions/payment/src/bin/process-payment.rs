//! The function `process-payment`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_payment::ProcessPayment>()
}
