//! Keys that change while everything runs.

use anyhow::{Context, Result};
use zerocart_activator::Activator;
use zerocart_gateway::Gateway;

use crate::{
    engine::{Environment, Functions, consumers, signs},
    key_files::Keys,
    layout::Data,
};

/// What takes keys up.
#[derive(Clone)]
pub(crate) struct Reload {
    pub(crate) data: Data,
    pub(crate) environment: Environment,
    pub(crate) activator: Activator,
    pub(crate) gateway: Gateway<Functions>,
}

impl Reload {
    /// Takes up what the data folder holds, without refusing anybody whose key is still in it.
    ///
    /// A function knows the keys of its start. So instances that run get no more requests, and others
    /// are started when they are needed; no answer is waited for. A new key is trusted everywhere
    /// before anything signs with it.
    pub(crate) fn run(&self) -> Result<()> {
        let keys = Keys::load_or_make(&self.data)?;
        self.gateway
            .replace_consumers(consumers(&keys)?)
            .context("the gateway refused the public keys")?;
        self.environment.trust(&keys);
        self.activator.renew(|_| true);
        self.environment.sign_with(&keys);
        self.activator.renew(signs);
        tracing::info!(
            user = keys.user.current().kid(),
            service = keys.service.current().kid(),
            "keys taken up"
        );
        Ok(())
    }
}
