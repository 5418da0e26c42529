//! The function `get-cart`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_cart::GetCart>()
}
