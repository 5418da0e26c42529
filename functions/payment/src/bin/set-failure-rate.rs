//! The function `set-failure-rate`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_payment::SetFailureRate>()
}
