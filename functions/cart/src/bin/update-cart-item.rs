//! The function `update-cart-item`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_cart::UpdateCartItem>()
}
