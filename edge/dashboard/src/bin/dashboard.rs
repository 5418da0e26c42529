//! The service `dashboard`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run_service(zerocart_dashboard::SERVICE)
}
