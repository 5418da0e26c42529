//! The deployment to a Kubernetes cluster with Knative.
//!
//! kubectl, helm and kind are called as programs ([`Programs`]), and every call names the context, so
//! the current context of a person's kubeconfig is neither used nor changed. A step is repeated
//! without harm: it looks at what is there, and changes what differs. What goes wrong is a
//! [`Problem`], with its cause and its cure.

pub mod certificates;
pub mod consul;
pub mod database;
mod diagnosis;
pub mod doctor;
pub mod documents;
pub mod edge;
pub mod engine;
pub mod fleet;
pub mod functions;
pub mod keys;
pub mod kind;
pub mod knative;
mod kubectl;
pub mod logs;
mod machine;
pub mod names;
mod namespaces;
mod object;
pub mod observability;
mod problem;
mod program;
mod progress;
mod ready;
pub mod restart;
pub mod rollout;
pub mod secrets;
mod target;
pub mod traffic;
pub mod undeploy;
mod version;

pub use engine::Engine;
pub use kubectl::{Applied, Kubectl, Mode};
pub use machine::{Machine, System};
pub use namespaces::Namespaces;
pub use problem::{Problem, Result};
pub use program::{Call, Done, Programs};
pub use progress::Progress;
pub use ready::{Pace, Wait};
pub use rollout::Patience;
pub use target::Target;
