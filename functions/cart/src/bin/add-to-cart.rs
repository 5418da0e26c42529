//! The function `add-to-cart`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_cart::AddToCart>()
}
