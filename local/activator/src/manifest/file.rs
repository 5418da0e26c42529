//! The fields of a Knative Service file that are understood, and what all files share. Any other
//! field is an error. Fields whose names begin with `_` are only for a cluster: they are read, so that
//! their form is checked, and not used here.

use serde::{Deserialize, de::DeserializeOwned};
use serde_saphyr::{Error, Spanned};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Service {
    pub(super) api_version: Spanned<String>,
    pub(super) kind: Spanned<String>,
    pub(super) metadata: Metadata,
    pub(super) spec: ServiceSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    pub(super) name: Spanned<String>,
    /// Only for a cluster. A machine has no namespaces.
    #[serde(rename = "namespace")]
    _namespace: Option<String>,
    /// Only for a cluster.
    #[serde(rename = "labels")]
    _labels: Option<Labels>,
}

/// Who reaches a function on a cluster. Here only the gateway and other functions do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Labels {
    #[serde(rename = "networking.knative.dev/visibility")]
    _visibility: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceSpec {
    pub(super) template: Template,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    pub(super) metadata: TemplateMetadata,
    pub(super) spec: RevisionSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateMetadata {
    pub(super) annotations: Annotations,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Annotations {
    #[serde(rename = "autoscaling.knative.dev/min-scale")]
    pub(super) min_scale: Option<Spanned<String>>,
    #[serde(rename = "autoscaling.knative.dev/max-scale")]
    pub(super) max_scale: Spanned<String>,
    #[serde(rename = "autoscaling.knative.dev/target")]
    pub(super) target: Option<Spanned<String>>,
    #[serde(rename = "autoscaling.knative.dev/target-utilization-percentage")]
    pub(super) target_utilization_percentage: Option<Spanned<String>>,
    #[serde(rename = "autoscaling.knative.dev/window")]
    pub(super) window: Option<Spanned<String>>,
    #[serde(rename = "autoscaling.knative.dev/scale-to-zero-pod-retention-period")]
    pub(super) scale_to_zero_pod_retention_period: Option<Spanned<String>>,
    #[serde(rename = "autoscaling.knative.dev/target-burst-capacity")]
    pub(super) target_burst_capacity: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RevisionSpec {
    /// Only for a cluster.
    #[serde(rename = "automountServiceAccountToken")]
    _automount_service_account_token: Option<bool>,
    /// Only for a cluster.
    #[serde(rename = "serviceAccountName")]
    _service_account_name: Option<String>,
    pub(super) container_concurrency: Option<Spanned<i64>>,
    pub(super) timeout_seconds: Option<Spanned<i64>>,
    pub(super) response_start_timeout_seconds: Option<Spanned<i64>>,
    pub(super) containers: Spanned<Vec<Container>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) image: Option<Spanned<String>>,
    pub(super) ports: Spanned<Vec<Port>>,
    #[serde(default)]
    pub(super) env: Vec<EnvVar>,
    #[serde(default, rename = "envFrom")]
    _env_from: Vec<EnvFrom>,
    #[serde(rename = "securityContext")]
    _security_context: Option<SecurityContext>,
    #[serde(rename = "resources")]
    _resources: Option<Resources>,
    pub(super) readiness_probe: ReadinessProbe,
    pub(super) liveness_probe: Option<LivenessProbe>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Port {
    pub(super) name: Spanned<String>,
    pub(super) container_port: Spanned<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvVar {
    pub(super) name: Spanned<String>,
    pub(super) value: String,
}

/// A Secret of a cluster, whose keys become variables. Here the engine sets these variables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvFrom {
    #[serde(rename = "secretRef")]
    _secret_ref: SecretRef,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretRef {
    #[serde(rename = "name")]
    _name: String,
}

/// The rights of a container on a cluster. A process on this machine has the rights of its user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecurityContext {
    #[serde(rename = "allowPrivilegeEscalation")]
    _allow_privilege_escalation: bool,
    #[serde(rename = "capabilities")]
    _capabilities: Capabilities,
    #[serde(rename = "readOnlyRootFilesystem")]
    _read_only_root_filesystem: bool,
    #[serde(rename = "runAsNonRoot")]
    _run_as_non_root: bool,
    #[serde(rename = "runAsUser")]
    _run_as_user: u32,
    #[serde(rename = "runAsGroup")]
    _run_as_group: u32,
    #[serde(rename = "seccompProfile")]
    _seccomp_profile: SeccompProfile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Capabilities {
    #[serde(rename = "drop")]
    _drop: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeccompProfile {
    #[serde(rename = "type")]
    _type: String,
}

/// Shares of a cluster's node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resources {
    #[serde(rename = "requests")]
    _requests: Quantities,
    #[serde(rename = "limits")]
    _limits: Quantities,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quantities {
    #[serde(rename = "cpu")]
    _cpu: Option<String>,
    #[serde(rename = "memory")]
    _memory: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReadinessProbe {
    pub(super) http_get: HttpGet,
    pub(super) period_seconds: Option<Spanned<i64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct LivenessProbe {
    pub(super) http_get: HttpGet,
    pub(super) initial_delay_seconds: Option<Spanned<i64>>,
    pub(super) period_seconds: Option<Spanned<i64>>,
    pub(super) timeout_seconds: Option<Spanned<i64>>,
    pub(super) failure_threshold: Option<Spanned<i64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpGet {
    pub(super) path: Spanned<String>,
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let options = serde_saphyr::options! {
        // Kubernetes refuses a number in place of a string, and so do we.
        no_schema: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// The message of an error without its position, which is reported before it.
pub(super) fn message(error: &Error) -> String {
    let text = error.to_string();
    let cut = error.location().and_then(|location| {
        text.find(&format!(
            " at line {}, column {}",
            location.line(),
            location.column()
        ))
    });
    text[..cut.unwrap_or(text.len())].to_owned()
}
