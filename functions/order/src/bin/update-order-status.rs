//! The function `update-order-status`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_order::UpdateOrderStatus>()
}
