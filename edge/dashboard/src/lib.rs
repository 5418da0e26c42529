//! The dashboard at the public edge: the built files of `dashboard/`, which are inside of the program.
//!
//! It is not a function, since no RPC of the contract is served here; it scales to zero as they do, at the
//! same public address. It has files and nothing else: no database, no keys, nobody's data. What the
//! dashboard shows, the browser asks the functions for, with the token of the person.
//!
//! Everything is below `/app/`, because `/orders`, `/users` and `/products` are paths of the API. A path
//! without a file is a page of the dashboard, if a browser opens it: the program in `index.html` shows it.
//!
//! A program that was built without `dashboard/dist` has one page, which says how to build the dashboard.

mod accept;
mod files;
#[cfg(test)]
#[path = "pack.rs"]
mod pack;

use zerocart_core::{Env, Platform, StartError};
use zerocart_runtime::{Built, Service};

use files::File;

/// The service, for the engine that runs it.
pub const SERVICE: Service = Service {
    name: "dashboard",
    build,
};

/// The built files, in the order of their paths.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

fn build(_: Platform, _: Env) -> Result<Built, StartError> {
    Ok(Built::from_routes(files::routes(FILES)))
}

#[cfg(test)]
mod tests;
