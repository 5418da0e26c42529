//! The function `authenticate-user`.

fn main() -> std::process::ExitCode {
    zerocart_main::run::<zerocart_user::AuthenticateUser>()
}
