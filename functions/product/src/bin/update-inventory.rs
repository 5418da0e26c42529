//! The function `update-inventory`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_product::UpdateInventory>()
}
