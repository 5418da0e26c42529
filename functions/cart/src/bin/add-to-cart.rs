//! The function `add-to-cart`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_cart::AddToCart>()
}
