//! The engine whose functions start.

use anyhow::Result;

use super::{
    client::{Asked, Place},
    knative::Knative,
    local::Local,
    phases::Phases,
};

/// The empty function.
pub(super) const EMPTY: &str = "empty";

/// An engine.
pub(super) enum Engine {
    Local(Box<Local>),
    Knative(Box<Knative>),
}

/// What the trace of a request says.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// How many functions started.
    pub(super) started: usize,
    /// Whether a process began before the request came: the engine has replaced one that was ended.
    pub(super) early: bool,
    /// None if spans are missing.
    pub(super) phases: Option<Phases>,
}

/// What is expected of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// How many functions start for it.
    pub(super) starts: usize,
    /// Whether they were started before it, within the client's time. Then it has no phases of a start.
    pub(super) woken: bool,
}

impl Engine {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Knative(_) => "knative",
        }
    }

    /// Where a function is asked without the gateway.
    pub(super) fn direct(&self, function: &str) -> Place {
        match self {
            Self::Local(local) => local.direct(function),
            Self::Knative(knative) => knative.direct(function),
        }
    }

    /// Where it is asked through the gateway; none if the gateway does not know it.
    pub(super) fn gateway(&self, function: &str) -> Option<Place> {
        match self {
            Self::Local(local) => Some(local.gateway(function)),
            Self::Knative(knative) => knative.gateway(function),
        }
    }

    /// The token of an admin.
    pub(super) fn admin(&self) -> Result<String> {
        match self {
            Self::Local(local) => local.admin(),
            Self::Knative(knative) => Ok(knative.admin()),
        }
    }

    /// Ends all functions, and returns when no process or pod of one is left.
    pub(super) async fn to_zero(&self) -> Result<()> {
        match self {
            Self::Local(local) => local.to_zero().await,
            Self::Knative(knative) => knative.to_zero().await,
        }
    }

    /// Waits until the engine itself has ended all functions.
    pub(super) async fn rest(&self) -> Result<()> {
        match self {
            Self::Local(local) => local.rest().await,
            Self::Knative(knative) => knative.to_zero().await,
        }
    }

    /// Whether these functions have no process or pod.
    pub(super) async fn are_at_zero(&self, functions: &[&str]) -> Result<bool> {
        match self {
            Self::Local(local) => local.are_at_zero(functions).await,
            Self::Knative(knative) => knative.are_at_zero(functions).await,
        }
    }

    /// How zero is proved, for the page.
    pub(super) fn proof(&self) -> &'static str {
        match self {
            Self::Local(_) => {
                "the engine lists no instance, and no child process of the engine runs the function's program (/proc)"
            }
            Self::Knative(_) => {
                "the API server lists no pod of the function, not even one that ends"
            }
        }
    }

    /// Whether the functions that have run in a round are ended after each request. Pods take too long for that.
    pub(super) fn ends_each(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// What the trace of a request to this function says.
    pub(super) async fn told(
        &self,
        function: &str,
        asked: &Asked,
        expected: Expected,
    ) -> Result<Told> {
        match self {
            Self::Local(local) => local.told(function, asked, expected).await,
            Self::Knative(knative) => knative.told(function, asked, expected).await,
        }
    }

    /// Whether a trace tells all functions that started, so that another number means that one was there before.
    pub(super) fn counts_starts(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// Its parts, with their versions.
    pub(super) async fn parts(&self) -> Result<Vec<(String, String)>> {
        match self {
            Self::Local(local) => local.parts().await,
            Self::Knative(knative) => knative.parts().await,
        }
    }

    pub(super) async fn stop(self) -> Result<()> {
        match self {
            Self::Local(local) => local.stop(),
            Self::Knative(knative) => {
                knative.stop().await;
                Ok(())
            }
        }
    }
}
