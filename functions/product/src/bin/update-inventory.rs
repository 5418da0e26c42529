//! The function `update-inventory`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_product::UpdateInventory>()
}
