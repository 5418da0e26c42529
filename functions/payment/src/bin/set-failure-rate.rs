//! The function `set-failure-rate`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_payment::SetFailureRate>()
}
