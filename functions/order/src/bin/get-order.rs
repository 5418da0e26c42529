//! The function `get-order`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_order::GetOrder>()
}
