//! Checks the values of a Knative Service file: the rules of Knative Serving 1.23, and a few of our
//! own.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use super::file::{Annotations, Container, EnvVar, LivenessProbe, Service};
use super::{DEFAULT_TARGET, Invalid, Ksvc, Liveness, duration};
use crate::scale::Limits;

/// Ports of the queue-proxy and of profiling.
const RESERVED_PORTS: [i64; 6] = [8008, 8012, 8013, 8022, 9090, 9091];
/// Set by Knative, and by the launcher here.
const RESERVED_ENV: [&str; 5] = [
    "PORT",
    "K_SERVICE",
    "K_CONFIGURATION",
    "K_REVISION",
    "LISTEN",
];
/// `max-revision-timeout-seconds` of `config-defaults`.
const MAX_TIMEOUT_SECONDS: i64 = 600;
/// The queue-proxy drains for 30 seconds, and the pod gets `timeoutSeconds` to end.
const MIN_TIMEOUT_SECONDS: i64 = 35;
/// `container-concurrency-max-limit` of `config-defaults`.
const MAX_CONTAINER_CONCURRENCY: i64 = 1000;
const WINDOW_MIN: Duration = Duration::from_secs(6);
const WINDOW_MAX: Duration = Duration::from_secs(3600);

/// Collects what is wrong, so that one run reports all of it.
pub(super) struct Check<'a> {
    file: &'a Path,
    pub(super) wrong: Vec<Invalid>,
}

pub(super) fn function(file: &Path, service: &Service) -> Result<Ksvc, Vec<Invalid>> {
    let mut check = Check::new(file);
    let function = check.service(service);
    match function {
        Some(function) if check.wrong.is_empty() => Ok(function),
        _ => Err(check.wrong),
    }
}

impl<'a> Check<'a> {
    pub(super) fn new(file: &'a Path) -> Self {
        Self {
            file,
            wrong: Vec::new(),
        }
    }

    pub(super) fn fail(&mut self, at: Location, message: String) {
        self.wrong.push(Invalid {
            file: self.file.to_owned(),
            line: at.line(),
            column: at.column(),
            message,
        });
    }

    pub(super) fn is(&mut self, field: &str, value: &Spanned<String>, expected: &str) {
        if value.value != expected {
            let message = format!("{field} must be {expected:?}, not {:?}", value.value);
            self.fail(value.referenced, message);
        }
    }

    /// A number within a range, or the default where the field is missing.
    pub(super) fn number(
        &mut self,
        field: &str,
        value: Option<&Spanned<i64>>,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> u64 {
        let number = value.map_or(default, |value| value.value);
        if let Some(value) = value
            && !range.contains(&number)
        {
            let message = format!(
                "{field} must be between {} and {}, not {number}",
                range.start(),
                range.end()
            );
            self.fail(value.referenced, message);
        }
        u64::try_from(number).unwrap_or_default()
    }

    /// The number inside an annotation, which is a string.
    fn parsed<T: FromStr>(&mut self, field: &str, value: &Spanned<String>) -> Option<T> {
        let number = value.value.parse().ok();
        if number.is_none() {
            let message = format!("{field} must be a number, not {:?}", value.value);
            self.fail(value.referenced, message);
        }
        number
    }

    fn service(&mut self, service: &Service) -> Option<Ksvc> {
        self.is("apiVersion", &service.api_version, "serving.knative.dev/v1");
        self.is("kind", &service.kind, "Service");
        let name = &service.metadata.name;
        self.name(name);
        let spec = &service.spec.template.spec;
        let concurrency = self.number(
            "containerConcurrency",
            spec.container_concurrency.as_ref(),
            0,
            0..=MAX_CONTAINER_CONCURRENCY,
        );
        let container_concurrency = usize::try_from(concurrency).ok().filter(|limit| *limit > 0);
        let limits = self.limits(
            &service.spec.template.metadata.annotations,
            container_concurrency,
        );
        let timeout_seconds = self.number(
            "timeoutSeconds",
            spec.timeout_seconds.as_ref(),
            300,
            MIN_TIMEOUT_SECONDS..=MAX_TIMEOUT_SECONDS,
        );
        let response_start_timeout_seconds = self.number(
            "responseStartTimeoutSeconds",
            spec.response_start_timeout_seconds.as_ref(),
            300,
            1..=i64::try_from(timeout_seconds).unwrap_or(MAX_TIMEOUT_SECONDS),
        );
        let [container] = spec.containers.value.as_slice() else {
            let message = format!(
                "a function has exactly one container, not {}",
                spec.containers.value.len()
            );
            self.fail(spec.containers.referenced, message);
            return None;
        };
        self.image(container.image.as_ref(), &name.value);
        let container_port = self.port(container);
        let env = self.env(&container.env);
        let readiness = &container.readiness_probe;
        let readiness_path = self.path(&readiness.http_get.path);
        if let Some(period) = &readiness.period_seconds
            && period.value != 0
        {
            let message = "readinessProbe.periodSeconds must be 0 or left out: any other value \
                           gives up probing every 50 ms, and a cold start waits for the period"
                .to_owned();
            self.fail(period.referenced, message);
        }
        let liveness = container
            .liveness_probe
            .as_ref()
            .map(|probe| self.liveness(probe));
        Some(Ksvc {
            name: name.value.clone(),
            limits,
            container_concurrency,
            container_port,
            timeout: Duration::from_secs(timeout_seconds),
            response_start_timeout: Duration::from_secs(
                response_start_timeout_seconds.min(timeout_seconds),
            ),
            env,
            readiness_path,
            liveness,
        })
    }

    /// A DNS label (RFC 1035), which is also the file's name.
    pub(super) fn name(&mut self, name: &Spanned<String>) {
        let text = &name.value;
        let label = text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !label {
            let message = format!(
                "metadata.name must be a DNS label of at most 63 lower-case letters, digits and \
                 '-', not {text:?}"
            );
            self.fail(name.referenced, message);
        } else if self
            .file
            .file_stem()
            .is_some_and(|stem| stem != text.as_str())
        {
            let message = format!("metadata.name is {text:?}, so the file must be {text}.yaml");
            self.fail(name.referenced, message);
        }
    }

    /// The function's own image, with a tag: `…/create-user:0.1.0`.
    pub(super) fn image(&mut self, image: Option<&Spanned<String>>, name: &str) {
        let Some(image) = image else { return };
        let last = image.value.rsplit('/').next().unwrap_or_default();
        let tag = last
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix([':', '@']));
        if tag.is_none_or(|tag| tag.is_empty() || tag == "latest") {
            let message = format!(
                "image must be that of {name}, with a tag that is not `latest`, not {:?}",
                image.value
            );
            self.fail(image.referenced, message);
        }
    }

    fn limits(&mut self, annotations: &Annotations, concurrency: Option<usize>) -> Limits {
        let max: usize = self
            .parsed("max-scale", &annotations.max_scale)
            .unwrap_or(1);
        if max == 0 || max > i32::MAX as usize {
            let message = "max-scale must be at least 1: without a bound, one function could use \
                           up every connection of its database"
                .to_owned();
            self.fail(annotations.max_scale.referenced, message);
        }
        let mut min = 0;
        if let Some(value) = &annotations.min_scale {
            min = self.parsed("min-scale", value).unwrap_or(0);
            if max > 0 && min > max {
                let message = format!("min-scale is {min}, above max-scale {max}");
                self.fail(value.referenced, message);
            }
        }
        let ceiling = concurrency.map_or(f64::INFINITY, |limit| limit as f64);
        let mut target = ceiling.min(DEFAULT_TARGET);
        if let Some(value) = &annotations.target {
            target = self.parsed("target", value).unwrap_or(target);
            if !(0.01..=1e6).contains(&target) {
                let message = format!("target must be between 0.01 and 1000000, not {target}");
                self.fail(value.referenced, message);
            }
        }
        if let Some(value) = &annotations.target_burst_capacity {
            // Here the activator is in the path of every request in any case.
            let _: Option<f64> = self.parsed("target-burst-capacity", value);
        }
        let mut utilization = 100.0;
        if let Some(value) = &annotations.target_utilization_percentage {
            let field = "target-utilization-percentage";
            utilization = self.parsed(field, value).unwrap_or(utilization);
            if !(1.0..=100.0).contains(&utilization) {
                let message = format!("{field} must be between 1 and 100, not {utilization}");
                self.fail(value.referenced, message);
            }
        }
        Limits {
            min,
            max,
            // Knative never aims below one request per instance.
            target: (target.min(ceiling) * utilization / 100.0).max(1.0),
            window: self.duration(
                "window",
                annotations.window.as_ref(),
                Duration::from_secs(60),
                WINDOW_MIN,
            ),
            retention: self.duration(
                "scale-to-zero-pod-retention-period",
                annotations.scale_to_zero_pod_retention_period.as_ref(),
                Duration::ZERO,
                Duration::ZERO,
            ),
        }
    }

    fn duration(
        &mut self,
        field: &str,
        value: Option<&Spanned<String>>,
        default: Duration,
        min: Duration,
    ) -> Duration {
        let Some(value) = value else {
            return default;
        };
        match duration::parse(&value.value) {
            Some(duration) if (min..=WINDOW_MAX).contains(&duration) => {
                if duration.subsec_nanos() > 0 {
                    let message = format!("{field} must be whole seconds, not {:?}", value.value);
                    self.fail(value.referenced, message);
                }
                duration
            }
            _ => {
                let message = format!(
                    "{field} must be a duration between {}s and 1h such as \"30s\", not {:?}",
                    min.as_secs(),
                    value.value
                );
                self.fail(value.referenced, message);
                default
            }
        }
    }

    fn port(&mut self, container: &Container) -> u16 {
        let [port] = container.ports.value.as_slice() else {
            let message = format!(
                "Knative allows exactly one port, not {}",
                container.ports.value.len()
            );
            self.fail(container.ports.referenced, message);
            return 0;
        };
        if port.name.value != "h2c" {
            let message = format!(
                "the port's name must be \"h2c\", not {:?}: under any other, gRPC does not reach \
                 the function",
                port.name.value
            );
            self.fail(port.name.referenced, message);
        }
        let number = self.number("containerPort", Some(&port.container_port), 0, 1..=65535);
        if RESERVED_PORTS.contains(&port.container_port.value) {
            let message = format!("port {number} is reserved by Knative");
            self.fail(port.container_port.referenced, message);
        }
        u16::try_from(number).unwrap_or_default()
    }

    pub(super) fn env(&mut self, variables: &[EnvVar]) -> Vec<(String, String)> {
        let mut seen = HashSet::new();
        for variable in variables {
            let name = &variable.name.value;
            let message = if RESERVED_ENV.contains(&name.as_str()) {
                format!("{name} is set by the platform and cannot be set here")
            } else if name.is_empty() || name.contains(['=', '\0']) {
                format!("{name:?} cannot be the name of an environment variable")
            } else if !seen.insert(name) {
                format!("{name} is set twice")
            } else {
                continue;
            };
            self.fail(variable.name.referenced, message);
        }
        variables
            .iter()
            .map(|variable| (variable.name.value.clone(), variable.value.clone()))
            .collect()
    }

    fn path(&mut self, path: &Spanned<String>) -> String {
        let valid =
            path.value.starts_with('/') && path.value.parse::<http::uri::PathAndQuery>().is_ok();
        if !valid {
            let message = format!("path must begin with '/', not {:?}", path.value);
            self.fail(path.referenced, message);
        }
        path.value.clone()
    }

    fn liveness(&mut self, probe: &LivenessProbe) -> Liveness {
        let day = 86_400;
        let mut seconds = |field: &str, value: Option<&Spanned<i64>>, default, min| {
            let field = format!("livenessProbe.{field}");
            self.number(&field, value, default, min..=day)
        };
        let initial_delay = seconds(
            "initialDelaySeconds",
            probe.initial_delay_seconds.as_ref(),
            0,
            0,
        );
        let period = seconds("periodSeconds", probe.period_seconds.as_ref(), 10, 1);
        let timeout = seconds("timeoutSeconds", probe.timeout_seconds.as_ref(), 1, 1);
        let failures = seconds("failureThreshold", probe.failure_threshold.as_ref(), 3, 1);
        Liveness {
            path: self.path(&probe.http_get.path),
            initial_delay: Duration::from_secs(initial_delay),
            period: Duration::from_secs(period),
            timeout: Duration::from_secs(timeout),
            failure_threshold: u32::try_from(failures).unwrap_or(u32::MAX),
        }
    }
}
