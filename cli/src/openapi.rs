//! `zerocart openapi`: the description of the public API, and how a gateway serves it.

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::json;

use crate::console;

/// The route of `kong.yml` that serves it.
const ROUTE: &str = "openapi";

/// `zerocart openapi`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// As what a deployment merges into kong.yml, with which the gateway serves it
    #[arg(long)]
    kong: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let text = if args.kong {
        kong()?
    } else {
        format!("{:#}", zerocart_openapi::document()?)
    };
    console::say(text);
    Ok(())
}

/// The fragment of a Kong file that has the route answer the document by itself: nothing is woken.
pub(crate) fn kong() -> Result<String> {
    let fragment = json!({
        "_format_version": "3.0",
        "plugins": [{
            "name": "request-termination",
            "route": ROUTE,
            "config": {
                "status_code": 200,
                "content_type": "application/json",
                "body": zerocart_openapi::document()?.to_string(),
            },
        }],
    });
    Ok(fragment.to_string())
}
