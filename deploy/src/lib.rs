//! The generator makes every file that can be derived from its sources. [`render`] is pure: text
//! in, text out.
//!
//! Sources:
//!
//! - the descriptors of `proto/` (names, routes, access, limits of time, calls);
//! - [`settings`]: one `functions.toml` per domain beside its code, with what is a decision;
//! - `kong/edge.yml`: the plugins and services of the API gateway that belong to no function;
//! - the crate `zerocart-observability`: metrics, boards and alerts.
//!
//! Made from them, one module each: [`knative`], [`kustomize`], [`consul`], [`observability`], [`postgres`],
//! [`kong`], [`lambda`], [`source`], [`docs`], [`boards`], [`rules`] and [`collector`].
//! `cargo zerocart generate` writes the files, and `generate --check` says which are not current.

pub mod boards;
pub mod budget;
pub mod collector;
pub mod consul;
pub mod docs;
pub mod files;
pub mod knative;
pub mod kong;
pub mod kustomize;
pub mod lambda;
pub mod observability;
pub mod output;
pub mod postgres;
pub mod rules;
pub mod settings;
pub mod source;
mod text;
pub mod unit;

use zerocart_proto::rpc::{Info, JobInfo};

pub use output::{Output, Splice};
pub use settings::{Invalid, Settings};
pub use unit::Unit;

/// The Kubernetes namespace of everything that is deployed.
pub const NAMESPACE: &str = "zerocart";

/// The command that makes a file current.
pub const COMMAND: &str = "cargo zerocart generate";

/// The sources of all generated files.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The RPCs of `proto/`: one function each.
    pub functions: &'a [Info],
    /// The jobs of `proto/`.
    pub jobs: &'a [JobInfo],
    /// The services of the public edge that are no functions: name and settings file.
    pub services: &'a [(&'a str, &'a str)],
    /// The settings files: the path below the project's folder, and the text.
    pub settings: &'a [(String, String)],
    /// The text of `kong/edge.yml`.
    pub edge: &'a str,
    /// The version of the images.
    pub version: &'a str,
}

/// Makes every generated file.
///
/// # Errors
///
/// All problems of the settings.
pub fn render(sources: &Sources<'_>) -> Result<Vec<Output>, Vec<Invalid>> {
    let settings = Settings::read(sources)?;
    let units = unit::all(sources, &settings);
    let mut outputs = knative::render(sources, &units, &settings);
    outputs.extend(kustomize::render(sources, &units, &settings, &outputs));
    outputs.extend(consul::render(&units));
    outputs.push(postgres::render(&units));
    outputs.push(observability::render(sources.version));
    outputs.push(kong::render(&units, sources.edge, sources.version));
    outputs.push(collector::render());
    // What reads the fleet has nothing to read there.
    let on_lambda = units.iter().filter(|unit| !unit.reads_fleet());
    let on_lambda: Vec<_> = on_lambda.cloned().collect();
    outputs.push(collector::lambda(&on_lambda));
    outputs.extend(lambda::render(&on_lambda));
    let template = lambda::template(&on_lambda, sources.edge).map_err(|message| {
        vec![Invalid {
            path: "kong/edge.yml".to_owned(),
            message,
        }]
    })?;
    outputs.push(template);
    outputs.extend(source::render(&units));
    outputs.extend(docs::render(&units));
    outputs.extend(boards::render());
    outputs.push(rules::render());
    outputs.sort_by(|a, b| (&a.path, &a.region).cmp(&(&b.path, &b.region)));
    Ok(outputs)
}
