//! The function `process-payment`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_payment::ProcessPayment>()
}
