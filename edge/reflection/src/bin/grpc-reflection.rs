//! The service `grpc-reflection`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run_service(zerocart_reflection::SERVICE)
}
