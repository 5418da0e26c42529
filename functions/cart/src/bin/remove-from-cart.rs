//! The function `remove-from-cart`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_cart::RemoveFromCart>()
}
