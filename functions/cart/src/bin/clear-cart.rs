//! The function `clear-cart`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_cart::ClearCart>()
}
