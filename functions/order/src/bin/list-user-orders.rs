//! The function `list-user-orders`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_order::ListUserOrders>()
}
