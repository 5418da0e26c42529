//! The phases of a cold start that was recorded on a cluster: Kubernetes 1.36, Knative 1.23, one node. The record
//! has what the watches told and when, and the function's first line. The client's time was 739 ms.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

use serde::Deserialize;
use serde_json::Value;
use zerocart_anatomy::{Change, Clock, ColdStart, Follow, Stream, Tracker};

const TOLD: &str = include_str!("recorded/get-product.jsonl");
const LINE: &str = include_str!("recorded/get-product.line.json");

/// The pod that started for the call. The one before it was there when the record began.
const POD: &str = "get-product-00002-deployment-688c4794d7-6swc5";

#[derive(Deserialize)]
struct Told {
    received_ns: u64,
    stream: String,
    r#type: String,
    object: Value,
}

impl Told {
    fn stream(&self) -> Stream {
        match self.stream.as_str() {
            "pods" => Stream::Pods,
            "deployments" => Stream::Deployments,
            _ => Stream::Events,
        }
    }

    fn change(&self) -> Change {
        match self.r#type.as_str() {
            "ADDED" => Change::Added,
            "MODIFIED" => Change::Modified,
            _ => Change::Deleted,
        }
    }

    fn is_of(&self, reason: &str) -> bool {
        self.object["reason"] == reason
    }
}

/// Gives the record to a tracker, without what is `left_out`, and the line when the pod's log is to be read.
fn replay(left_out: impl Fn(&Told) -> bool) -> (Vec<ColdStart>, Vec<Follow>) {
    let (mut tracker, mut starts, mut follows) = (Tracker::default(), Vec::new(), Vec::new());
    let told = TOLD
        .lines()
        .map(|line| serde_json::from_str::<Told>(line).unwrap());
    for told in told.filter(|told| !left_out(told)) {
        let now_ns = told.received_ns;
        if let Some(follow) = tracker.take(told.stream(), told.change(), &told.object, now_ns) {
            if follow.pod == POD {
                assert!(tracker.line(&follow.pod, LINE, now_ns));
            }
            follows.push(follow);
        }
        starts.extend(tracker.finished(now_ns));
    }
    (starts, follows)
}

fn milliseconds(start: &ColdStart) -> Vec<(&str, u64)> {
    let phases = start.phases.iter();
    phases
        .map(|phase| {
            (
                phase.name.as_str(),
                (phase.to_ns - phase.from_ns) / 1_000_000,
            )
        })
        .collect()
}

#[test]
fn a_recorded_start_has_all_phases_and_they_end_when_the_call_begins() {
    let (starts, follows) = replay(|_| false);
    let [start] = &starts[..] else {
        panic!("{starts:?}");
    };
    assert_eq!(start.pod, POD);
    assert_eq!(
        (&*start.function, &*start.revision),
        ("get-product", "get-product-00002")
    );
    assert_eq!(start.call.trace_id, "aaaabbbbccccddddaaaabbbbccccdddd");
    // The caller's span.
    assert_eq!(start.call.parent_id, "1111222233334444");
    assert_eq!(
        milliseconds(start),
        [
            ("create pod", 103),
            ("schedule pod", 23),
            ("make sandbox", 125),
            ("start containers", 413),
            ("wait until ready", 62),
        ]
    );
    // Without gaps, up to the call.
    let ends = start.phases.iter().map(|phase| phase.to_ns);
    let begins = start.phases.iter().skip(1).map(|phase| phase.from_ns);
    assert!(
        ends.zip(begins.chain([start.call.from_ns]))
            .all(|(end, begin)| end == begin)
    );
    let clocks: Vec<_> = start.phases.iter().map(|phase| phase.clock).collect();
    let expected = [
        Clock::Watch,
        Clock::Event,
        Clock::Event,
        Clock::Event,
        Clock::Function,
    ];
    assert_eq!(clocks, expected);
    // What the client saw beside it: the way to the decision, the call, and the way back. 5 % of 739 ms are 37.
    let told_ms = (start.call.to_ns - start.from_ns()) / 1_000_000;
    assert!((739 - 37..=739).contains(&told_ms), "{told_ms}");
    let own: Vec<_> = follows.iter().filter(|follow| follow.pod == POD).collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].container, "user-container");
}

#[test]
fn a_mark_that_is_missing_joins_two_phases() {
    let (starts, _) = replay(|told| told.is_of("Pulled"));
    assert_eq!(
        milliseconds(&starts[0])[1..3],
        [
            ("schedule pod", 23),
            ("make sandbox, start containers", 538)
        ]
    );
    // Without the scheduler's event, the watch shows the node a little later.
    let (starts, _) = replay(|told| told.is_of("Scheduled"));
    assert_eq!(milliseconds(&starts[0])[1], ("schedule pod", 26));
    assert_eq!(starts[0].phases[1].clock, Clock::Watch);
    // Without a Deployment nobody knows when the decision was made.
    let (starts, _) = replay(|told| told.stream == "deployments");
    assert_eq!(milliseconds(&starts[0])[0].0, "schedule pod");
}

#[test]
fn events_that_do_not_come_are_not_waited_for_without_end() {
    // The last container's.
    let (starts, _) =
        replay(|told| told.is_of("Started") && told.received_ns > 1_795_853_400_300_000_000);
    let [start] = &starts[..] else {
        panic!("{starts:?}");
    };
    assert_eq!(start.phases.last().unwrap().to_ns, start.call.from_ns);
}

#[test]
fn a_pod_that_was_there_before_has_no_cold_start() {
    let mut tracker = Tracker::default();
    let told: Vec<Told> = TOLD
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let pod = told
        .iter()
        .find(|told| told.object["metadata"]["name"] == POD)
        .unwrap();
    tracker.take(Stream::Pods, Change::Known, &pod.object, 0);
    for told in &told {
        let follow = tracker.take(told.stream(), told.change(), &told.object, told.received_ns);
        assert!(follow.is_none_or(|follow| follow.pod != POD));
    }
}
