//! The function `update-order-status`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_order::UpdateOrderStatus>()
}
