//! The function `create-order`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_order::CreateOrder>()
}
