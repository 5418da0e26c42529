//! `zerocart keys --context NAME`: the keys of a cluster, and their rotation in the order in which nobody
//! meets a token that they cannot check.

use std::{
    io::{self, IsTerminal},
    time::{Duration, SystemTime},
};

use zerocart_auth::{Issuer, Previous};
use zerocart_cluster::{Kubectl, Mode, Problem, Progress, edge, keys::TokenKeys, names, restart};

use super::{Cluster, deploy::signers};
use crate::{console, domains};

/// The keys of a cluster, for as long as a command works on them.
pub(crate) struct ClusterKeys {
    kubectl: Kubectl,
    progress: Progress,
    keys: TokenKeys,
}

impl ClusterKeys {
    /// Those of the cluster of this context.
    pub(crate) async fn of(context: String) -> Result<Self, Problem> {
        let cluster = Cluster {
            context,
            kubeconfig: None,
        };
        let kubectl = cluster.kubectl(Mode::Change);
        if kubectl.get("namespace", "", names::SYSTEM).await?.is_none() {
            return Err(
                Problem::new("nothing is deployed on this cluster").cure("`zerocart deploy`")
            );
        }
        Ok(Self {
            keys: TokenKeys::load_or_make(&kubectl).await?.0,
            kubectl,
            progress: Progress::new(io::stdout(), io::stdout().is_terminal()),
        })
    }

    /// Shows the keys; `left` says how long a token of a key may still be valid.
    pub(crate) fn list(&mut self, left: impl Fn(&Previous) -> Duration) {
        for issuer in [Issuer::User, Issuer::Service] {
            console::say(super::super::keys::listed(
                issuer,
                self.keys.of(issuer),
                &left,
            ));
        }
    }

    /// Has new keys sign.
    pub(crate) async fn rotate(&mut self, issuers: &[Issuer]) -> Result<(), Problem> {
        self.keys.rotate(issuers, SystemTime::now())?;
        self.keys.save(&self.kubectl).await?;
        self.take_up().await?;
        for issuer in issuers {
            let kid = self.keys.of(*issuer).current().kid();
            console::say(format_args!("{issuer} signs with {kid}"));
        }
        Ok(())
    }

    /// Forgets keys: those replaced before `until`, or all but those that sign.
    pub(crate) async fn retire(
        &mut self,
        issuers: &[Issuer],
        until: Option<SystemTime>,
    ) -> Result<(), Problem> {
        let mut forgotten = 0;
        for issuer in issuers {
            let keys = self.keys.of(*issuer);
            let gone = match until {
                Some(until) => keys.retire(until),
                None => keys.retire_all(),
            };
            forgotten += gone.len();
            for previous in gone {
                console::say(format_args!("{issuer} forgot {}", previous.key().kid()));
            }
        }
        if forgotten == 0 {
            console::say("no key is old enough");
            return Ok(());
        }
        self.keys.save(&self.kubectl).await?;
        self.take_up().await
    }

    /// Everybody learns the public keys before anybody signs with a new one.
    async fn take_up(&self) -> Result<(), Problem> {
        let Self {
            kubectl,
            progress,
            keys,
        } = self;
        let functions: Vec<_> = domains::functions().map(|entry| entry.info.name).collect();
        let trust = async {
            keys.publish(kubectl).await?;
            let pods = restart::roll(kubectl, progress, names::FUNCTIONS, &functions).await?;
            Ok(((), format!("{pods} instances replaced")))
        };
        progress.step("functions", trust).await?;
        let at_edge = async {
            let edges = edge::replace_consumers(kubectl, progress, keys.consumers()).await?;
            Ok(((), edges))
        };
        progress.step("edge", at_edge).await?;
        let sign = async {
            keys.sign_with(kubectl).await?;
            let signers = signers();
            let signers: Vec<_> = signers.iter().map(String::as_str).collect();
            let pods = restart::roll(kubectl, progress, names::FUNCTIONS, &signers).await?;
            Ok(((), format!("{pods} instances replaced")))
        };
        progress.step("signing keys", sign).await
    }
}
