//! The function `list-products`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_product::ListProducts>()
}
