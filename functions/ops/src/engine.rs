//! The local engine, which counts all that is asked for.

use futures_util::future::BoxFuture;
use zerocart_api::Api;
use zerocart_core::Error;
use zerocart_proto::ops::ListFunctionsResponse;

use crate::source::{Source, unreadable};

/// The local engine.
#[derive(Debug)]
pub(crate) struct Engine(Api);

impl Engine {
    pub(crate) fn new(api: Api) -> Self {
        Self(api)
    }
}

impl Source for Engine {
    fn read(&self) -> BoxFuture<'_, Result<ListFunctionsResponse, Error>> {
        Box::pin(async {
            let answer = self.0.get("/fleet").await.map_err(unreadable)?;
            serde_json::from_value(answer).map_err(Error::internal)
        })
    }
}
