//! The function `update-cart-item`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_cart::UpdateCartItem>()
}
