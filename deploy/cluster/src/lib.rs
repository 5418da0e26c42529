//! The deployment to a Kubernetes cluster with Knative.
//!
//! kubectl, helm and kind are called as programs ([`Programs`]), and every call names the context, so
//! the current context of a person's kubeconfig is neither used nor changed. A step is repeated
//! without harm: it looks at what is there, and changes what differs. What goes wrong is a
//! [`Problem`], with its cause and its cure.

mod certificates;
pub mod documents;
pub mod edge;
pub mod keys;
mod kubectl;
pub mod names;
mod problem;
mod program;
mod progress;
pub mod secrets;

pub use kubectl::{Applied, Kubectl, Mode};
pub use problem::{Problem, Result};
pub use program::{Call, Done, Programs};
pub use progress::Progress;
