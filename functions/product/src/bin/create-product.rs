//! The function `create-product`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_product::CreateProduct>()
}
