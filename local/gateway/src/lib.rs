//! The gateway of the local engine, and of a cluster without Kong: one port, driven by the Kong
//! DB-less file that is deployed to Kong 3.9.
//!
//! It serves that file with Kong's routes, plugins, statuses and bodies. `kong/README.md` lists where
//! it differs from Kong. It refuses everything in the file that it does not know. It knows nothing
//! about functions or processes: a request leaves through [`Upstream`].
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use zerocart_gateway::{Config, Consumers, Gateway, HttpUpstream};
//!
//! let config = Config::load("kong/kong.yml".as_ref())?;
//! let gateway = Gateway::new(config, Consumers::none(), HttpUpstream::new())?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//! gateway.serve(listener, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

mod access;
mod config;
mod connection;
mod gateway;
mod headers;
mod intake;
mod media;
mod path;
mod plugins;
mod proxy;
mod reply;
mod router;
mod routes;
mod sending;
mod server;
mod status;
mod trusted;
mod upstream;

pub use config::{
    Config, ConfigError, Consumers, ConsumersError, JwtKey, PathRule, Route, Service,
};
pub use routes::Routes;
pub use server::Gateway;
pub use trusted::{NotANetwork, Trusted};
pub use upstream::{BoxError, HttpUpstream, Protocol, Target, Upstream, UpstreamError};
