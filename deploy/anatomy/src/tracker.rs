//! What is known of pods that start: from what the API server tells, without asking it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::cold_start::{Call, Clock, ColdStart, Phase};

/// The label that names the function of a pod.
const FUNCTION: &str = "serving.knative.dev/service";
/// The label that names the revision of a pod and of a Deployment.
const REVISION: &str = "serving.knative.dev/revision";
/// Knative's own container.
const QUEUE_PROXY: &str = "queue-proxy";

const SECOND: u64 = 1_000_000_000;
/// A decision to scale up is the one for a pod that appears within this time.
const SCALED_WITHIN: u64 = 30 * SECOND;
/// How far the time in an event's name may be from the time at which the watch told of it.
const EVENT_WITHIN: u64 = 60 * SECOND;
/// How long a cold start whose call is known waits for events that are missing.
const EVENTS_WITHIN: u64 = 5 * SECOND;
/// How long events are kept whose pod has not been seen. Pods of jobs are never seen here.
const UNSEEN: u64 = 60 * SECOND;
/// Pods that are kept at most. More do not start together on a cluster of this system.
const MAX_PODS: usize = 2_000;

/// A list of objects that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Pods of functions.
    Pods,
    /// Deployments of revisions.
    Deployments,
    /// Events of pods.
    Events,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was there before the watch began.
    Known,
    /// It is new.
    Added,
    /// It has changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// A pod whose log has, or will have, the first call of its function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follow {
    /// The pod.
    pub pod: String,
    /// The function's container.
    pub container: String,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    ns: u64,
    clock: Clock,
}

#[derive(Clone, Debug, Default)]
struct Pod {
    function: String,
    revision: String,
    namespace: String,
    node: String,
    /// The function's container.
    container: String,
    /// How many it has.
    containers: usize,
    scaled: Option<Mark>,
    created: Option<Mark>,
    scheduled: Option<Mark>,
    /// The first container's image is there: the sandbox is made.
    sandbox: Option<Mark>,
    /// The containers that have started, and when the last one did.
    started: HashSet<String>,
    all_started: Option<Mark>,
    followed: bool,
    /// When anything was first heard of it.
    since: u64,
    call: Option<(Call, String, u64)>,
}

/// Keeps when what happened to pods that start. It knows no clock and asks nobody, so a recorded watch gives the
/// same cold starts again.
#[derive(Debug, Default)]
pub struct Tracker {
    pods: HashMap<String, Pod>,
    /// Pods whose start has not been seen, or has been told.
    old: HashSet<String>,
    replicas: HashMap<String, u64>,
    /// When the replicas of a revision last rose from 0.
    scaled: HashMap<String, u64>,
}

impl Tracker {
    /// Takes what a watch told at `received_ns`, in nanoseconds since 1970. Returns the pod whose log is to be read
    /// now, if there is one.
    pub fn take(
        &mut self,
        stream: Stream,
        change: Change,
        object: &Value,
        received_ns: u64,
    ) -> Option<Follow> {
        match stream {
            Stream::Deployments => {
                self.deployment(change, object, received_ns);
                None
            }
            Stream::Events => {
                if change == Change::Added {
                    self.event(object, received_ns);
                }
                None
            }
            Stream::Pods => self.pod(change, object, received_ns),
        }
    }

    /// Takes a line of a pod's log. Returns whether it was the one with the first call: no more lines are needed.
    pub fn line(&mut self, pod: &str, line: &str, received_ns: u64) -> bool {
        let Some(call) = Call::of_line(line) else {
            return false;
        };
        if let Some(pod) = self.pods.get_mut(pod) {
            pod.call = Some((call, line.to_owned(), received_ns + EVENTS_WITHIN));
        }
        true
    }

    /// The cold starts of which all is known, or of which no more is expected at `now_ns`. Each is given once.
    pub fn finished(&mut self, now_ns: u64) -> Vec<ColdStart> {
        let is_finished = |pod: &Pod| match &pod.call {
            Some((_, _, until)) => pod.has_started() || now_ns > *until,
            None => false,
        };
        let names = self.pods.iter().filter(|(_, pod)| is_finished(pod));
        let names: Vec<_> = names.map(|(name, _)| name.clone()).collect();
        let mut starts = Vec::new();
        for name in names {
            if let Some(pod) = self.pods.remove(&name)
                && let Some((call, line, _)) = pod.call.clone()
            {
                starts.push(pod.cold_start(&name, call, line));
                self.old.insert(name);
            }
        }
        starts
    }

    fn deployment(&mut self, change: Change, object: &Value, received_ns: u64) {
        let revision = text(&object["metadata"]["labels"][REVISION]).to_owned();
        if change == Change::Deleted {
            self.replicas.remove(&revision);
            self.scaled.remove(&revision);
            return;
        }
        let replicas = object["spec"]["replicas"].as_u64().unwrap_or_default();
        let before = self.replicas.insert(revision.clone(), replicas);
        // One that is new starts with a pod, too.
        let rose = replicas > before.unwrap_or_default();
        if rose && change != Change::Known {
            self.scaled.insert(revision, received_ns);
        }
    }

    fn pod(&mut self, change: Change, object: &Value, received_ns: u64) -> Option<Follow> {
        let name = text(&object["metadata"]["name"]);
        match change {
            Change::Known => {
                if !self.pods.contains_key(name) {
                    self.old.insert(name.to_owned());
                }
                return None;
            }
            Change::Deleted => {
                self.old.remove(name);
                // What is known of a call is given: a pod may end before all of its events have come.
                if let Some(pod) = self.pods.get_mut(name)
                    && let Some((_, _, until)) = &mut pod.call
                {
                    *until = 0;
                } else {
                    self.pods.remove(name);
                }
                return None;
            }
            Change::Added | Change::Modified => {}
        }
        if self.old.contains(name) {
            return None;
        }
        let labels = &object["metadata"]["labels"];
        let revision = text(&labels[REVISION]);
        let scaled = self.scaled.get(revision).copied();
        let pod = self.entry(name, received_ns);
        if pod.created.is_none() {
            pod.created = Some(watched(received_ns));
            let recent = |ns: &u64| received_ns.saturating_sub(*ns) < SCALED_WITHIN;
            pod.scaled = scaled.filter(recent).map(watched);
            pod.function = text(&labels[FUNCTION]).to_owned();
            pod.revision = revision.to_owned();
            pod.namespace = text(&object["metadata"]["namespace"]).to_owned();
            let containers = object["spec"]["containers"].as_array();
            let containers = containers.map(Vec::as_slice).unwrap_or_default();
            pod.containers = containers.len();
            let mut names = containers.iter().map(|c| text(&c["name"]));
            let own = names.find(|name| *name != QUEUE_PROXY);
            pod.container = own.unwrap_or_default().to_owned();
        }
        let node = text(&object["spec"]["nodeName"]);
        if !node.is_empty() {
            pod.node = node.to_owned();
            pod.scheduled.get_or_insert(watched(received_ns));
        }
        let conditions = object["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let is_ready = conditions.any(|c| c["type"] == "Ready" && c["status"] == "True");
        let follow = is_ready && !pod.followed;
        pod.followed |= follow;
        follow.then(|| Follow {
            pod: name.to_owned(),
            container: pod.container.clone(),
        })
    }

    fn event(&mut self, object: &Value, received_ns: u64) {
        let involved = &object["involvedObject"];
        let reason = text(&object["reason"]);
        if involved["kind"] != "Pod"
            || !["Scheduled", "Pulled", "Started"].contains(&reason)
            || self.old.contains(text(&involved["name"]))
        {
            return;
        }
        let mark = event_time(text(&object["metadata"]["name"]), received_ns);
        let pod = self.entry(text(&involved["name"]), received_ns);
        match reason {
            "Scheduled" => pod.scheduled = Some(mark),
            "Pulled" => {
                pod.sandbox.get_or_insert(mark);
            }
            _ => {
                // `spec.containers{user-container}`
                let container = text(&involved["fieldPath"]).to_owned();
                pod.started.insert(container);
                // Events may come before the pod itself: how many containers it has is then not known yet.
                pod.all_started = Some(mark);
            }
        }
    }

    /// The pod of this name, which may be new.
    fn entry(&mut self, name: &str, received_ns: u64) -> &mut Pod {
        if !self.pods.contains_key(name) {
            let unseen =
                |pod: &Pod| pod.created.is_none() && received_ns.saturating_sub(pod.since) > UNSEEN;
            self.pods.retain(|_, pod| !unseen(pod));
            if self.pods.len() >= MAX_PODS {
                let oldest = self.pods.iter().min_by_key(|(_, pod)| pod.since);
                let oldest = oldest.map(|(name, _)| name.clone());
                oldest.map(|name| self.pods.remove(&name));
            }
        }
        self.pods.entry(name.to_owned()).or_insert_with(|| Pod {
            since: received_ns,
            ..Pod::default()
        })
    }
}

impl Pod {
    /// Whether the events of all containers have come.
    fn has_started(&self) -> bool {
        self.containers > 0 && self.started.len() >= self.containers
    }

    fn cold_start(self, name: &str, call: Call, line: String) -> ColdStart {
        let called = Mark {
            ns: call.from_ns,
            clock: Clock::Function,
        };
        let begin = self.scaled.or(self.created).or(self.scheduled);
        let ends = [
            ("create pod", self.scaled.and(self.created)),
            ("schedule pod", self.scheduled),
            ("make sandbox", self.sandbox),
            ("start containers", self.all_started),
            ("wait until ready", Some(called)),
        ];
        let skipped = usize::from(self.scaled.is_none());
        let mut from_ns = begin.map_or(call.from_ns, |mark| mark.ns).min(call.from_ns);
        let (mut phases, mut joined, mut disorder_ns) = (Vec::new(), String::new(), 0);
        for (phase, end) in ends.into_iter().skip(skipped) {
            if !joined.is_empty() {
                joined.push_str(", ");
            }
            joined.push_str(phase);
            let Some(Mark { ns, clock }) = end else {
                continue;
            };
            let to_ns = ns.clamp(from_ns, call.from_ns);
            disorder_ns += ns.abs_diff(to_ns);
            phases.push(Phase {
                name: std::mem::take(&mut joined),
                from_ns,
                to_ns,
                clock,
            });
            from_ns = to_ns;
        }
        ColdStart {
            namespace: self.namespace,
            pod: name.to_owned(),
            node: self.node,
            function: self.function,
            revision: self.revision,
            phases,
            disorder_ns,
            call,
            line,
        }
    }
}

fn watched(ns: u64) -> Mark {
    Mark {
        ns,
        clock: Clock::Watch,
    }
}

/// When an event was made. Its name ends with that, in nanoseconds since 1970 as a hexadecimal number. A name of
/// another form has no time.
fn event_time(name: &str, received_ns: u64) -> Mark {
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    match u64::from_str_radix(suffix, 16) {
        Ok(ns) if ns.abs_diff(received_ns) < EVENT_WITHIN => Mark {
            ns,
            clock: Clock::Event,
        },
        _ => watched(received_ns),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
