//! The function `get-order`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_order::GetOrder>()
}
