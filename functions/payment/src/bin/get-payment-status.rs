//! The function `get-payment-status`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_payment::GetPaymentStatus>()
}
