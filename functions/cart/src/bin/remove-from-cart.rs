//! The function `remove-from-cart`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_cart::RemoveFromCart>()
}
