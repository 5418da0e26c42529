//! The fields of a CronJob file that are understood, and their rules. Any other field is an error.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::file::{EnvFrom, EnvVar, Metadata, Resources, SecurityContext};
use super::validate::Check;
use super::{Invalid, Job};
use zerocart_schedule::Schedule;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CronJob {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    metadata: Metadata,
    spec: CronJobSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CronJobSpec {
    schedule: Spanned<String>,
    concurrency_policy: Spanned<String>,
    job_template: JobTemplate,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobTemplate {
    spec: JobSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct JobSpec {
    backoff_limit: Spanned<i64>,
    active_deadline_seconds: Spanned<i64>,
    template: PodTemplate,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PodTemplate {
    spec: PodSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodSpec {
    /// On a cluster.
    #[serde(rename = "automountServiceAccountToken")]
    _automount_service_account_token: Option<bool>,
    /// On a cluster.
    #[serde(rename = "terminationGracePeriodSeconds")]
    _termination_grace_period_seconds: Option<u32>,
    restart_policy: Spanned<String>,
    containers: Spanned<Vec<Container>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Container {
    name: Spanned<String>,
    image: Option<Spanned<String>>,
    #[serde(default)]
    env: Vec<EnvVar>,
    #[serde(default, rename = "envFrom")]
    _env_from: Vec<EnvFrom>,
    #[serde(rename = "securityContext")]
    _security_context: Option<SecurityContext>,
    #[serde(rename = "resources")]
    _resources: Option<Resources>,
}

pub(super) fn job(file: &Path, text: &CronJob) -> Result<Job, Vec<Invalid>> {
    let mut check = Check::new(file);
    match check.job(text) {
        Some(job) if check.wrong.is_empty() => Ok(job),
        _ => Err(check.wrong),
    }
}

impl Check<'_> {
    fn job(&mut self, text: &CronJob) -> Option<Job> {
        self.is("apiVersion", &text.api_version, "batch/v1");
        self.is("kind", &text.kind, "CronJob");
        let name = &text.metadata.name;
        self.name(name);
        let spec = &text.spec;
        let schedule = match spec.schedule.value.parse::<Schedule>() {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                self.fail(spec.schedule.referenced, error.to_string());
                None
            }
        };
        // The only one of the three policies that this engine supports.
        self.is("concurrencyPolicy", &spec.concurrency_policy, "Forbid");
        let spec = &spec.job_template.spec;
        self.number("backoffLimit", Some(&spec.backoff_limit), 0, 0..=0);
        let deadline = &spec.active_deadline_seconds;
        let deadline_s = self.number("activeDeadlineSeconds", Some(deadline), 1, 1..=86_400);
        let spec = &spec.template.spec;
        self.is("restartPolicy", &spec.restart_policy, "Never");
        let [container] = spec.containers.value.as_slice() else {
            let count = spec.containers.value.len();
            let message = format!("a job has exactly one container, not {count}");
            self.fail(spec.containers.referenced, message);
            return None;
        };
        self.is("the container's name", &container.name, &name.value);
        self.image(container.image.as_ref(), &name.value);
        Some(Job {
            name: name.value.clone(),
            schedule: schedule?,
            deadline: Duration::from_secs(deadline_s),
            env: self.env(&container.env),
        })
    }
}
