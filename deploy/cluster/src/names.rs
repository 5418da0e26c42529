//! The names of what a deployment makes.

use serde_json::{Value, json};

/// The namespace of the functions, the jobs and their secrets.
pub const FUNCTIONS: &str = "zerocart";

/// The namespace of PostgreSQL, of private keys and of passwords.
pub const SYSTEM: &str = "zerocart-system";

/// The namespace of the public edge: Kong, or the gateway.
pub const EDGE: &str = "zerocart-edge";

/// The namespace of the Collector, Jaeger, Prometheus and Grafana, where they are asked for.
pub const OBSERVABILITY: &str = "zerocart-observability";

/// The namespace of Consul, where it is asked for.
pub const CONSUL: &str = "zerocart-consul";

/// The label of everything that a deployment makes.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY`].
pub const MANAGER: &str = "zerocart";

/// The labels of an object that a deployment makes.
pub fn labels() -> Value {
    json!({ MANAGED_BY: MANAGER, "app.kubernetes.io/part-of": MANAGER })
}
