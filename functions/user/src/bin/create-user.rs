//! The function `create-user`.

fn main() -> std::process::ExitCode {
    zerocart_runtime::run::<zerocart_user::CreateUser>()
}
