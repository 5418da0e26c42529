//! Watches the pods of functions, and tells each cold start.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use zerocart_api::{Api, Error};

use crate::{
    cold_start::ColdStart,
    tracker::{Change, Follow, Stream, Tracker},
};

/// How long one watch lasts; the next one goes on where it ended.
const WATCH_SECONDS: u32 = 240;
/// The first pause after an error, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often it is looked whether events of a cold start are still missing.
const TICK: Duration = Duration::from_millis(250);
/// Logs that are read at the same time. Others wait.
const MAX_LOGS: usize = 256;
/// What waits to be taken.
const QUEUE: usize = 1_024;

enum Input {
    Told(Stream, Change, Value, u64),
    Line(String, String, u64),
}

/// The present time, in nanoseconds since 1970.
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// Watches a namespace for ever, and gives each cold start to `tell`. `ready` is called once, when no pod that
/// is made from then on is missed.
///
/// A pod that started before, and one whose start was missed while the API could not be read, has no cold start.
///
/// # Errors
///
/// When the first lists cannot be read, or the server refuses this client. Later errors are logged, and the watch
/// goes on when the server answers again.
pub async fn watch(
    api: &Api,
    namespace: &str,
    ready: impl FnOnce(),
    mut tell: impl FnMut(ColdStart),
) -> Result<(), Error> {
    let (send, mut inputs) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    let mut tracker = Tracker::default();
    for stream in [Stream::Deployments, Stream::Events, Stream::Pods] {
        let source = Source {
            api: api.clone(),
            stream,
            path: path(stream, namespace),
            send: send.clone(),
        };
        let (known, version) = source.list().await?;
        for object in &known {
            tracker.take(stream, Change::Known, object, now_ns());
        }
        tasks.spawn(source.run(version));
    }
    ready();
    let logs = Arc::new(Semaphore::new(MAX_LOGS));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            input = inputs.recv() => match input {
                Some(Input::Told(stream, change, object, received_ns)) => {
                    if let Some(follow) = tracker.take(stream, change, &object, received_ns) {
                        let log = read_log(api.clone(), namespace.to_owned(), follow, send.clone());
                        let logs = Arc::clone(&logs);
                        tokio::spawn(async move {
                            // It is never closed.
                            let _permit = logs.acquire().await;
                            log.await;
                        });
                    }
                }
                Some(Input::Line(pod, line, received_ns)) => {
                    tracker.line(&pod, &line, received_ns);
                }
                None => return Ok(()),
            },
            _ = tick.tick() => {}
            Some(ended) = tasks.join_next() => match ended {
                Ok(Err(error)) => return Err(error),
                Ok(Ok(())) | Err(_) => return Ok(()),
            },
        }
        for start in tracker.finished(now_ns()) {
            tell(start);
        }
    }
}

fn path(stream: Stream, namespace: &str) -> String {
    let namespace = utf8_percent_encode(namespace, NON_ALPHANUMERIC);
    let of_functions = "labelSelector=serving.knative.dev%2Fservice";
    match stream {
        Stream::Pods => format!("/api/v1/namespaces/{namespace}/pods?{of_functions}"),
        Stream::Deployments => {
            format!("/apis/apps/v1/namespaces/{namespace}/deployments?{of_functions}")
        }
        Stream::Events => {
            format!("/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.kind%3DPod")
        }
    }
}

/// A list of objects that is watched.
struct Source {
    api: Api,
    stream: Stream,
    /// With a query.
    path: String,
    send: mpsc::Sender<Input>,
}

impl Source {
    /// The objects that are there, and the version of the list.
    async fn list(&self) -> Result<(Vec<Value>, String), Error> {
        let mut list = self.api.get(&self.path).await?;
        let version = list["metadata"]["resourceVersion"].as_str();
        let version = version.unwrap_or_default().to_owned();
        let items = match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        Ok((items, version))
    }

    /// Ends when the server refuses, or nobody listens.
    async fn run(self, version: String) -> Result<(), Error> {
        let (mut version, mut pause) = (Some(version), FIRST_PAUSE);
        loop {
            let since = match version.take() {
                Some(version) => Ok(version),
                None => self.again().await,
            };
            let ended = match since {
                Ok(since) => self.watch(since, &mut pause).await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(reached) => version = reached,
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the watch is broken; pods that start now are missed");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            if self.send.is_closed() {
                return Ok(());
            }
        }
    }

    /// Lists again, after a watch that could not go on.
    async fn again(&self) -> Result<String, Error> {
        let (known, version) = self.list().await?;
        for object in known {
            self.tell(Change::Known, object).await;
        }
        Ok(version)
    }

    /// Watches from a version on. Returns the version at which the next watch goes on; none if a list is needed.
    async fn watch(&self, since: String, pause: &mut Duration) -> Result<Option<String>, Error> {
        let path = format!(
            "{}&watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={since}",
            self.path
        );
        let mut lines = self.api.lines(&path).await?;
        let mut version = since;
        while let Some(line) = lines.next().await? {
            *pause = FIRST_PAUSE;
            let mut told: Value = serde_json::from_str(&line).unwrap_or_default();
            let object = told["object"].take();
            let change = match told["type"].as_str() {
                Some("ADDED") => Some(Change::Added),
                Some("MODIFIED") => Some(Change::Modified),
                Some("DELETED") => Some(Change::Deleted),
                Some("BOOKMARK") => None,
                // The version is too old, most likely.
                _ => return Ok(None),
            };
            if let Some(reached) = object["metadata"]["resourceVersion"].as_str() {
                version = reached.to_owned();
            }
            if let Some(change) = change {
                self.tell(change, object).await;
            }
        }
        Ok(Some(version))
    }

    async fn tell(&self, change: Change, object: Value) {
        let told = Input::Told(self.stream, change, object, now_ns());
        // Nobody listens at the end of the program.
        let _ = self.send.send(told).await;
    }
}

/// Reads the log of a pod until its first call, or until it ends.
async fn read_log(api: Api, namespace: String, follow: Follow, send: mpsc::Sender<Input>) {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}/log?follow=true&container={}",
        encoded(&namespace),
        encoded(&follow.pod),
        encoded(&follow.container)
    );
    let read = async {
        let mut lines = api.lines(&path).await?;
        while let Some(line) = lines.next().await? {
            if crate::cold_start::Call::of_line(&line).is_some() {
                let first = Input::Line(follow.pod.clone(), line, now_ns());
                // Nobody listens at the end of the program.
                let _ = send.send(first).await;
                break;
            }
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = read.await {
        tracing::warn!(pod = follow.pod, %error, "its log cannot be read");
    }
}
