use std::sync::Arc;

use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, Options};
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
        let source = source::of_setting(setup);
        // Nothing that is answered is there, but the list of void tokens, which the runtime reads.
        Database::from_setup(setup, Options::default())?;
        Ok(Self { source: source? })
    }

    async fn call(&self, _: &Call, _: Request<Self>) -> Result<ListFunctionsResponse, Error> {
        self.source.read().await
    }
}
