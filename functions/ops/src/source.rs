//! Who knows the functions.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use zerocart_api::Api;
use zerocart_core::{Error, Invalid, Setup};
use zerocart_proto::ops::ListFunctionsResponse;

use crate::{cluster::Cluster, engine::Engine};

/// The setting that names the source.
const SETTING: &str = "FLEET_SOURCE";

/// When to ask again, where nobody answers.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An engine that can be asked about its functions.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    /// What it knows now.
    fn read(&self) -> BoxFuture<'_, Result<ListFunctionsResponse, Error>>;
}

/// `FLEET_SOURCE`.
enum Setting {
    /// `http://127.0.0.1:4711`: where the local engine tells about itself.
    Engine(String),
    /// `kubernetes`: the API of the cluster in which this is a pod.
    OfPod,
    /// `kubernetes:http://localhost:8001`: an API that asks for no credentials, such as that of `kubectl proxy`.
    Proxy(String),
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("kubernetes") {
            Some("") => Ok(Self::OfPod),
            Some(rest) if rest.starts_with(":http") => Ok(Self::Proxy(rest[1..].to_owned())),
            None if text.starts_with("http://") => Ok(Self::Engine(text.to_owned())),
            _ => Err(
                "must be `kubernetes` on a cluster, `kubernetes:` and the URL of `kubectl proxy`, or the URL \
                 at which the local engine tells about itself: http://127.0.0.1:4711",
            ),
        }
    }
}

/// The source that `FLEET_SOURCE` names.
pub(crate) fn of_setting(setup: &mut Setup) -> Result<Arc<dyn Source>, Invalid> {
    let (api, is_engine) = match setup.require(SETTING)? {
        Setting::Engine(url) => (Api::at(&url), true),
        Setting::Proxy(url) => (Api::at(&url), false),
        Setting::OfPod => {
            let host = setup.require::<String>("KUBERNETES_SERVICE_HOST");
            let port = setup.require::<String>("KUBERNETES_SERVICE_PORT");
            (Api::of_cluster(&host?, &port?), false)
        }
    };
    match api {
        Ok(api) if is_engine => Ok(Arc::new(Engine::new(api))),
        Ok(api) => Ok(Arc::new(Cluster::new(api))),
        Err(error) => {
            setup.problem(format!("{SETTING}: {error}"));
            Err(Invalid)
        }
    }
}

/// The error of a source that cannot be read. The answer has no address and no name of an object.
pub(crate) fn unreadable(error: zerocart_api::Error) -> Error {
    if error.is_final() {
        return Error::internal(error);
    }
    Error::unavailable(
        "the engine does not tell about its functions now",
        RETRY_AFTER,
    )
    .with_source(error)
}
