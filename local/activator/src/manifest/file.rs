//! The fields of a Knative Service file that are understood, and what all files share. Any other
//! field is an error.

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
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RevisionSpec {
    pub(super) container_concurrency: Option<Spanned<i64>>,
    pub(super) timeout_seconds: Option<Spanned<i64>>,
    pub(super) response_start_timeout_seconds: Option<Spanned<i64>>,
    pub(super) containers: Spanned<Vec<Container>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) ports: Spanned<Vec<Port>>,
    #[serde(default)]
    pub(super) env: Vec<EnvVar>,
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
        // Kubernetes refuses a number where a string belongs; so do we.
        no_schema: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// The message of an error without its place, which is reported in front of it.
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
