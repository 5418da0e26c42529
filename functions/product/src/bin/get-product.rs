//! The function `get-product`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_product::GetProduct>()
}
