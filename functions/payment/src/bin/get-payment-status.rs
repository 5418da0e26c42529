//! The function `get-payment-status`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_payment::GetPaymentStatus>()
}
