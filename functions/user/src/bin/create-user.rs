//! The function `create-user`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_user::CreateUser>()
}
