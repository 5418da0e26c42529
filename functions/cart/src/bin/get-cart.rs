//! The function `get-cart`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_cart::GetCart>()
}
