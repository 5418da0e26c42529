use std::sync::Arc;

use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_proto::{ops::ListFunctionsResponse, rpc};

use crate::source::{self, Source};

/// `list-functions`: all functions, jobs and services of the edge, as the engine sees them.
#[derive(Debug)]
pub struct ListFunctions {
    source: Arc<dyn Source>,
}

impl Function for ListFunctions {
    type Rpc = rpc::ListFunctions;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            source: source::of_setting(setup)?,
        })
    }

    async fn call(&self, _: &Call, _: Request<Self>) -> Result<ListFunctionsResponse, Error> {
        self.source.read().await
    }
}
