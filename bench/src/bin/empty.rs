//! An empty function: what all functions have in common, and nothing else. It answers GetProduct at once, without a
//! database, and without calling anybody.

use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_proto::{product::ProductResponse, rpc};
use zerocart_runtime::{Service, build_on, run_service};

#[derive(Debug)]
struct Empty;

impl Function for Empty {
    type Rpc = rpc::GetProduct;

    fn build(_: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self)
    }

    async fn call(&self, _: &Call, _: Request<Self>) -> Result<ProductResponse, Error> {
        Ok(ProductResponse::default())
    }
}

fn main() -> std::process::ExitCode {
    run_service(Service {
        name: "empty",
        build: build_on::<Empty>,
    })
}
