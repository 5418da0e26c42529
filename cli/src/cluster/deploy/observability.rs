//! `--with observability`: traces, metrics and boards.

use std::collections::BTreeMap;

use zerocart_cluster::{
    Mode, Problem,
    observability::{self, Files},
};

use super::{
    Deployment, FILES,
    options::{Split, With},
};

impl Deployment {
    /// Installs it where it is asked for, and removes it where it is not. A deployment of some functions leaves it
    /// as it is. Says whether functions are to write spans.
    pub(super) async fn observability(
        &self,
        images: &BTreeMap<String, String>,
        split: &Split,
    ) -> Result<bool, Problem> {
        let Self {
            kubectl, progress, ..
        } = self;
        if !split.names.is_empty() {
            return observability::is_there(kubectl).await;
        }
        if self.args.with.contains(&With::Observability) {
            let files = Files {
                manifests: self.project.root().join(FILES),
                coldstart: self
                    .project
                    .root()
                    .join("knative/observability/coldstart.yaml"),
                content: self.project.root().join("observability"),
                chart: self.args.collector_chart.clone(),
            };
            let work = async {
                let said = observability::install(kubectl, progress, &files, images).await?;
                Ok(((), said))
            };
            progress.step("observability", work).await?;
            return Ok(true);
        }
        if kubectl.mode() != Mode::Print && observability::is_there(kubectl).await? {
            let work = async {
                observability::remove(kubectl, progress).await?;
                Ok(((), "removed: --with observability is not given".to_owned()))
            };
            progress.step("observability", work).await?;
        }
        Ok(false)
    }
}
