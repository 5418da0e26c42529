//! `knative/`, as the local engine reads it.

use std::path::Path;

use anyhow::Result;
use zerocart_activator::{Job, Ksvc};

/// What `knative/` says.
#[derive(Clone, Debug)]
pub struct Manifests {
    /// `services/`.
    pub functions: Vec<Ksvc>,
    /// `edge/`.
    pub edge: Vec<Ksvc>,
    /// `jobs/`.
    pub jobs: Vec<Job>,
}

/// Reads `knative/` of the project.
///
/// # Errors
///
/// When a file cannot be read or says what is not understood.
pub fn read(root: &Path) -> Result<Manifests> {
    Ok(Manifests {
        functions: zerocart_activator::load_dir(&root.join("knative/services"))?,
        edge: zerocart_activator::load_dir(&root.join("knative/edge"))?,
        jobs: zerocart_activator::load_jobs(&root.join("knative/jobs"))?,
    })
}
