//! The function `list-user-orders`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_order::ListUserOrders>()
}
