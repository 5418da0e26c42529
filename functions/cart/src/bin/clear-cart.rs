//! The function `clear-cart`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_cart::ClearCart>()
}
