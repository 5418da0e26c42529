//! The function `create-order`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_order::CreateOrder>()
}
