//! create-user as a process for tests: what it does, the name in the request says.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use zerocart_core::{Call, Error, Function, Invalid, Setup};
use zerocart_proto::{
    rpc::CreateUser,
    user::{CreateUserRequest, User, UserResponse},
};

struct TestFunction;

impl Function for TestFunction {
    type Rpc = CreateUser;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        // A variable of the function's own, to be reported with those of the runtime.
        let pool_size = setup.or::<u16>("POOL_SIZE", 4);
        setup.background(async { tracing::info!("in the background") });
        pool_size?;
        Ok(Self)
    }

    async fn call(&self, _cx: &Call, request: CreateUserRequest) -> Result<UserResponse, Error> {
        match request.name.as_str() {
            "panic" => panic!("as it was told"),
            "internal" => return Err(Error::internal("relation \"users\" does not exist")),
            "hang" => {
                tracing::info!("waiting");
                std::future::pending::<()>().await;
            }
            "wait for SIGUSR1" => {
                let mut signals = signal(SignalKind::user_defined1()).map_err(Error::internal)?;
                tracing::info!("waiting");
                signals.recv().await;
            }
            _ => {}
        }
        Ok(UserResponse {
            user: Some(User {
                id: "018f4e9a-7c1b-7def-8000-000000000001".into(),
                email: request.email,
                name: request.name,
                ..Default::default()
            }),
            message: String::new(),
        })
    }
}

fn main() -> ExitCode {
    zerocart_runtime::run::<TestFunction>()
}
