//! A cluster: Knative Services, their pods and CronJobs, by the API of Kubernetes. It lists, and changes nothing.

use std::{collections::BTreeMap, time::SystemTime};

use futures_util::future::BoxFuture;
use serde_json::Value;
use zerocart_api::Api;
use zerocart_core::{Error, time::rfc3339};
use zerocart_proto::{
    ops::{
        FleetFunction, FleetInstances, FleetJob, FleetKind, FleetMissing, ListFunctionsResponse,
    },
    rpc,
};
use zerocart_schedule::Schedule;

use crate::source::{Source, unreadable};

const SERVICES: &str = "/apis/serving.knative.dev/v1/namespaces/zerocart/services";
const CRON_JOBS: &str = "/apis/batch/v1/namespaces/zerocart/cronjobs";
/// The pods of functions; those of jobs have no such label.
const PODS: &str = "/api/v1/namespaces/zerocart/pods?labelSelector=serving.knative.dev%2Fservice";

/// What counts calls on a cluster.
const OBSERVABILITY: &str =
    "deploy with `--with observability`; its Prometheus and the board Fleet have it";

/// What Kubernetes does not know.
const MISSING: [(&str, &str); 9] = [
    ("requests", OBSERVABILITY),
    ("errors", OBSERVABILITY),
    ("cold_starts", OBSERVABILITY),
    ("last_start_ms", OBSERVABILITY),
    (
        "held",
        "Knative's activator holds requests; its metrics have their number",
    ),
    (
        "crashes",
        "`kubectl get pods` shows restarts of the pods that are there",
    ),
    ("breakers", OBSERVABILITY),
    ("job.runs", OBSERVABILITY),
    ("job.failures", OBSERVABILITY),
];

/// A cluster.
#[derive(Debug)]
pub(crate) struct Cluster(Api);

impl Cluster {
    pub(crate) fn new(api: Api) -> Self {
        Self(api)
    }

    async fn list(&self, path: &str) -> Result<Vec<Value>, Error> {
        let mut list = self.0.get(path).await.map_err(unreadable)?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(Error::internal(format!("{path} is no list"))),
        }
    }
}

impl Source for Cluster {
    fn read(&self) -> BoxFuture<'_, Result<ListFunctionsResponse, Error>> {
        Box::pin(async {
            let (services, pods, jobs) =
                tokio::try_join!(self.list(SERVICES), self.list(PODS), self.list(CRON_JOBS))?;
            Ok(fleet(&services, &pods, &jobs, SystemTime::now()))
        })
    }
}

fn fleet(
    services: &[Value],
    pods: &[Value],
    jobs: &[Value],
    now: SystemTime,
) -> ListFunctionsResponse {
    let mut of_services: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for pod in pods {
        if let Some(service) = pod["metadata"]["labels"]["serving.knative.dev/service"].as_str() {
            of_services.entry(service).or_default().push(pod);
        }
    }
    let services = services.iter().map(|service| {
        let pods = of_services.get(name(service));
        function(service, pods.map_or(&[], Vec::as_slice))
    });
    let jobs = jobs.iter().map(|cron| job(cron, now));
    let mut functions: Vec<_> = services.chain(jobs).collect();
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    let missing = MISSING.map(|(field, how)| FleetMissing {
        field: field.into(),
        how: how.into(),
    });
    ListFunctionsResponse {
        engine: "knative".into(),
        read_at: rfc3339(now),
        functions,
        breakers: Vec::new(),
        missing: missing.into(),
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// A Knative Service and its pods.
fn function(service: &Value, pods: &[&Value]) -> FleetFunction {
    let name = name(service);
    let info = rpc::ALL.iter().find(|info| info.name == name);
    let mut instances = FleetInstances::default();
    for pod in pods {
        match phase(pod) {
            Some(Phase::Starting) => instances.starting += 1,
            Some(Phase::Ready) => instances.ready += 1,
            Some(Phase::Draining) => instances.draining += 1,
            None => {}
        }
    }
    let annotations = &service["spec"]["template"]["metadata"]["annotations"];
    let max_scale = annotations["autoscaling.knative.dev/max-scale"].as_str();
    // All times of Kubernetes have one form, whose order is that of time.
    let newest = pods
        .iter()
        .filter_map(|pod| pod["metadata"]["creationTimestamp"].as_str())
        .max();
    FleetFunction {
        name: name.to_owned(),
        domain: info.map_or_else(String::new, |info| info.domain.to_owned()),
        kind: match info {
            Some(_) => FleetKind::Function.into(),
            None => FleetKind::Edge.into(),
        },
        instances: Some(instances),
        max_scale: max_scale.and_then(|text| text.parse().ok()),
        last_started_at: newest.map_or_else(String::new, at),
        ..FleetFunction::default()
    }
}

enum Phase {
    Starting,
    Ready,
    Draining,
}

/// What a pod does; none when it has ended.
fn phase(pod: &Value) -> Option<Phase> {
    if let Some("Succeeded" | "Failed") = pod["status"]["phase"].as_str() {
        return None;
    }
    if pod["metadata"]["deletionTimestamp"].is_string() {
        return Some(Phase::Draining);
    }
    let conditions = pod["status"]["conditions"].as_array();
    let is_ready = conditions.is_some_and(|conditions| {
        let mut conditions = conditions.iter();
        conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    });
    Some(match is_ready {
        true => Phase::Ready,
        false => Phase::Starting,
    })
}

/// A CronJob.
fn job(cron: &Value, now: SystemTime) -> FleetFunction {
    let name = name(cron);
    let info = rpc::JOBS.iter().find(|job| job.name == name);
    let schedule = cron["spec"]["schedule"].as_str().unwrap_or_default();
    let active = cron["status"]["active"].as_array().map_or(0, Vec::len);
    let running = active > 0;
    let next = schedule.parse::<Schedule>().ok();
    let next = next.filter(|_| !running && cron["spec"]["suspend"] != true);
    let last = cron["status"]["lastScheduleTime"].as_str();
    FleetFunction {
        name: name.to_owned(),
        domain: info.map_or_else(String::new, |job| job.domain.to_owned()),
        kind: FleetKind::Job.into(),
        instances: Some(FleetInstances {
            ready: i32::try_from(active).unwrap_or(i32::MAX),
            ..FleetInstances::default()
        }),
        job: Some(FleetJob {
            schedule: schedule.to_owned(),
            running,
            next_run_at: next.map_or_else(String::new, |next| rfc3339(next.after(now))),
            last_run_at: last.map_or_else(String::new, at),
            ..FleetJob::default()
        }),
        ..FleetFunction::default()
    }
}

/// A time of Kubernetes, which has whole seconds, in the form of the contract.
fn at(time: &str) -> String {
    match time.strip_suffix('Z') {
        Some(seconds) if !seconds.contains('.') => format!("{seconds}.000000Z"),
        _ => time.to_owned(),
    }
}
