//! What circuit breakers did: each change of their rows, or what create-order's health says.
//!
//! In the engine of its own, a trigger notes each version of a row of `circuit_breakers`, with the time of the
//! database. So no state is missed, however short it was. Elsewhere `GET /health` of create-order is read often.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use zerocart_proto::rpc::{self, Rpc};
use zerocart_resilience::breaker::state::Config;
use zerocart_wires::{Client, Wire};

use super::own::Own;

/// The rules of every breaker.
const RULES: Config = Config::CONTRACT;

/// Domains that keep breakers in their database.
const DOMAINS: [&str; 2] = ["order", "cart"];

/// How often health is read.
const EVERY: Duration = Duration::from_millis(100);

/// What the row of a half-open breaker may be late by: its clock is read before the row is written.
const SLACK_S: f64 = 0.005;

const NOTE: &str = "
    CREATE SCHEMA resilience_report;
    CREATE TABLE resilience_report.changes (
        n          bigint GENERATED ALWAYS AS IDENTITY,
        at         timestamptz NOT NULL DEFAULT clock_timestamp(),
        name       text NOT NULL,
        state      text NOT NULL,
        failures   bigint NOT NULL,
        successes  bigint NOT NULL,
        probes     bigint NOT NULL
    );
    CREATE FUNCTION resilience_report.note() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
    BEGIN
        INSERT INTO resilience_report.changes (name, state, failures, successes, probes)
        VALUES (NEW.name, NEW.state, NEW.failures, NEW.successes, NEW.probes);
        RETURN NULL;
    END $$;
    CREATE TRIGGER resilience_report AFTER INSERT OR UPDATE ON circuit_breakers
    FOR EACH ROW EXECUTE FUNCTION resilience_report.note();";

const CHANGES: &str = "
    SELECT name, state, failures, successes, probes, extract(epoch FROM at)::float8
    FROM resilience_report.changes ORDER BY n";

/// A state of a breaker, as it was written or seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Seconds after the load has begun.
    pub(crate) at_s: f64,
    /// The function that is called.
    pub(crate) breaker: String,
    /// The domain whose functions call.
    pub(crate) of: String,
    /// `closed`, `open` or `half_open`.
    pub(crate) state: String,
    /// Failures since the last success.
    pub(crate) failures: i64,
    /// Probes that have succeeded, and that are on their way.
    pub(crate) successes: i64,
    pub(crate) probes: i64,
}

/// How a breaker went from closed to closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cycle {
    pub(crate) breaker: String,
    pub(crate) of: String,
    pub(crate) opened_s: f64,
    /// Failures in a row that opened it.
    pub(crate) failures: i64,
    /// When it became half-open at last; each failed probe before is counted.
    pub(crate) half_open_s: Option<f64>,
    pub(crate) failed_probes: u32,
    pub(crate) closed_s: Option<f64>,
    /// Probes that succeeded and closed it; none where only health was read.
    pub(crate) successes: Option<i64>,
}

/// Begins to note the changes in the engine's databases.
pub(crate) async fn note(own: &Own) -> Result<()> {
    for domain in DOMAINS {
        let client = own.database(domain).await?;
        client.batch_execute(NOTE).await?;
    }
    Ok(())
}

/// All changes so far; `start_unix` is when the load began.
pub(crate) async fn noted(own: &Own, start_unix: f64) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for domain in DOMAINS {
        let client = own.database(domain).await?;
        let rows = client.query(CHANGES, &[]).await?;
        changes.extend(rows.iter().map(|row| Change {
            at_s: row.get::<_, f64>(5) - start_unix,
            breaker: row.get(0),
            of: domain.to_owned(),
            state: row.get(1),
            failures: row.get(2),
            successes: row.get(3),
            probes: row.get(4),
        }));
    }
    changes.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    Ok(without_repetitions(changes))
}

/// Changes that are none are left out: a row is also written when it is locked.
fn without_repetitions(changes: Vec<Change>) -> Vec<Change> {
    let mut last = BTreeMap::new();
    let mut kept = Vec::new();
    for change in changes {
        let state = (
            change.state.clone(),
            change.failures,
            change.successes,
            change.probes,
        );
        let key = (change.of.clone(), change.breaker.clone());
        let closed = ("closed".to_owned(), 0, 0, 0);
        if *last.get(&key).unwrap_or(&closed) != state {
            last.insert(key, state);
            kept.push(change);
        }
    }
    kept
}

/// Reads the health of create-order, until it is dropped.
pub(crate) struct Watch {
    seen: Arc<Mutex<Vec<Change>>>,
    reading: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Watch {
    /// Reads it at this URL once, to see whether it is there, and then often.
    ///
    /// # Errors
    ///
    /// When there is no answer, or not that of create-order.
    pub(crate) async fn begin(url: &Uri, start: Instant) -> Result<Self> {
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let path = path.to_owned();
        let mut parts = url.clone().into_parts();
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        let client = Client::to(Wire::Http1, Uri::from_parts(parts)?)?;
        let first = health(&client, &path, start).await;
        first.with_context(|| format!("--health {url}: this is not the health of create-order"))?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let reading = tokio::spawn(async move {
            let mut turns = interval(EVERY);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                // It may be gone for a moment: the next look tells.
                if let Ok(change) = health(&client, &path, start).await {
                    kept.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(change);
                }
            }
        });
        Ok(Self { seen, reading })
    }

    /// The changes so far.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        without_repetitions(seen.clone())
    }
}

async fn health(client: &Client, path: &str, start: Instant) -> Result<Change> {
    let request = zerocart_wires::request(http::Method::GET, path, "");
    let reply = client.try_send(request).await?;
    let health: Value = serde_json::from_slice(&reply.body)?;
    let name = rpc::ProcessPayment::INFO.name;
    let breaker = &health["circuit_breakers"][name];
    let state = breaker["state"].as_str().context("it has no breaker")?;
    Ok(Change {
        at_s: start.elapsed().as_secs_f64(),
        breaker: name.to_owned(),
        of: rpc::ProcessPayment::INFO.domain.to_owned(),
        state: state.to_owned(),
        failures: breaker["consecutive_failures"].as_i64().unwrap_or_default(),
        successes: 0,
        probes: 0,
    })
}

/// What breakers did, and what of it is against their rules. `exact` says whether no state was missed.
pub(crate) fn judge(changes: &[Change], open_for_s: f64, exact: bool) -> (Vec<Cycle>, Vec<String>) {
    let mut by_breaker = BTreeMap::<_, Vec<&Change>>::new();
    for change in changes {
        let key = (&change.of, &change.breaker);
        by_breaker.entry(key).or_default().push(change);
    }
    let (mut cycles, mut wrong) = (Vec::new(), Vec::new());
    for changes in by_breaker.into_values() {
        cycles.extend(of_one(&changes, open_for_s, exact, &mut wrong));
    }
    cycles.sort_by(|a, b| a.opened_s.total_cmp(&b.opened_s));
    (cycles, wrong)
}

fn of_one(
    changes: &[&Change],
    open_for_s: f64,
    exact: bool,
    wrong: &mut Vec<String>,
) -> Vec<Cycle> {
    let mut cycles: Vec<Cycle> = Vec::new();
    let (mut state, mut successes, mut opened_s) = ("closed", 0, 0.0);
    for change in changes {
        let mut say = |what: String| {
            let Change { breaker, of, .. } = change;
            wrong.push(format!(
                "the breaker of {of} around {breaker}, at {:.2} s: {what}",
                change.at_s
            ));
        };
        let now = change.state.as_str();
        match (state, now) {
            ("closed", "open") => {
                if change.failures < i64::from(RULES.failure_threshold) {
                    say(format!("it opened after {} failures", change.failures));
                }
                opened_s = change.at_s;
                cycles.push(Cycle {
                    breaker: change.breaker.clone(),
                    of: change.of.clone(),
                    opened_s,
                    failures: change.failures,
                    half_open_s: None,
                    failed_probes: 0,
                    closed_s: None,
                    successes: None,
                });
            }
            ("open", "half_open") => {
                let open_for = change.at_s - opened_s;
                if exact && open_for + SLACK_S < open_for_s {
                    say(format!("it was open for {open_for:.2} s only"));
                }
                if let Some(cycle) = cycles.last_mut() {
                    cycle.half_open_s = Some(change.at_s);
                }
            }
            ("half_open", "open") => {
                opened_s = change.at_s;
                if let Some(cycle) = cycles.last_mut() {
                    cycle.failed_probes += 1;
                }
            }
            ("half_open", "closed") => {
                // The row of a closed breaker counts none: this success is the one that closed it.
                let successes = successes + 1;
                if exact && successes < i64::from(RULES.success_threshold) {
                    say(format!("it closed after {successes} successes"));
                }
                if let Some(cycle) = cycles.last_mut() {
                    cycle.closed_s = Some(change.at_s);
                    cycle.successes = exact.then_some(successes);
                }
            }
            ("open", "closed") if !exact => {
                if let Some(cycle) = cycles.last_mut() {
                    cycle.closed_s = Some(change.at_s);
                }
            }
            _ if state == now => {}
            _ => say(format!("it went from {state} to {now}")),
        }
        (state, successes) = (now, change.successes);
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(states: &[(f64, &str, i64, i64)]) -> Vec<Change> {
        let change = |(at_s, state, failures, successes): &(f64, &str, i64, i64)| Change {
            at_s: *at_s,
            breaker: "process-payment".into(),
            of: "order".into(),
            state: (*state).to_owned(),
            failures: *failures,
            successes: *successes,
            probes: 0,
        };
        states.iter().map(change).collect()
    }

    #[test]
    fn a_cycle_has_its_times_and_counts() {
        let changes = changes(&[
            (1.0, "closed", 1, 0),
            (1.5, "closed", 2, 0),
            (2.0, "open", 3, 0),
            (32.0, "half_open", 3, 0),
            (33.0, "open", 4, 0),
            (63.0, "half_open", 4, 0),
            (63.2, "half_open", 0, 1),
            (64.0, "closed", 0, 0),
        ]);
        let (cycles, wrong) = judge(&changes, 30.0, true);
        assert_eq!(wrong, Vec::<String>::new());
        let cycle = &cycles[0];
        assert_eq!((cycle.opened_s, cycle.failures), (2.0, 3));
        assert_eq!((cycle.half_open_s, cycle.failed_probes), (Some(63.0), 1));
        assert_eq!((cycle.closed_s, cycle.successes), (Some(64.0), Some(2)));
        assert_eq!(cycles.len(), 1);
    }

    #[test]
    fn what_is_against_the_rules_is_said() {
        for (states, says) in [
            (&[(1.0, "open", 2, 0)][..], "it opened after 2 failures"),
            (
                &[(1.0, "open", 3, 0), (20.0, "half_open", 3, 0)],
                "it was open for 19.00 s only",
            ),
            (
                &[
                    (1.0, "open", 3, 0),
                    (31.0, "half_open", 3, 0),
                    (32.0, "closed", 0, 0),
                ],
                "it closed after 1 successes",
            ),
            (
                &[(1.0, "open", 3, 0), (40.0, "closed", 0, 0)],
                "from open to closed",
            ),
            (&[(1.0, "half_open", 3, 0)], "from closed to half_open"),
        ] {
            let (_, wrong) = judge(&changes(states), 30.0, true);
            assert!(
                wrong.iter().any(|line| line.contains(says)),
                "{says:?}: {wrong:?}"
            );
        }
        // Between two looks at the health, a probe may come and go.
        let seen = changes(&[(1.0, "open", 3, 0), (40.0, "closed", 0, 0)]);
        let (cycles, wrong) = judge(&seen, 30.0, false);
        assert_eq!((wrong, cycles[0].closed_s), (Vec::new(), Some(40.0)));
    }

    #[test]
    fn a_row_that_was_only_locked_is_no_change() {
        let twice = changes(&[
            (1.0, "closed", 0, 0),
            (2.0, "closed", 1, 0),
            (2.1, "closed", 1, 0),
            (3.0, "closed", 0, 0),
        ]);
        let kept: Vec<_> = without_repetitions(twice).iter().map(|c| c.at_s).collect();
        assert_eq!(kept, [2.0, 3.0]);
    }
}
