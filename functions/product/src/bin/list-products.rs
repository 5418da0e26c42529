//! The function `list-products`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_product::ListProducts>()
}
