//! The function `create-product`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_product::CreateProduct>()
}
