//! One customer's client: it sends a request again as docs/clients.md tells clients to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::RngExt;
use tokio::time::{sleep, timeout};
use tonic::Code;
use zerocart_conformance::wire;
use zerocart_proto::rpc::Rpc;
use zerocart_wires::{Client, Outcome};

use super::{
    attempt::{self, Class},
    figures::{Attempt, Figures},
    journal::{End, Entry, Journal},
};

/// How long a request is sent again, beside what the gateway's limit makes it wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What an answer may take longer than the call of the function: a cold start, the network.
const ROUND_TRIP: Duration = Duration::from_secs(5);

/// The first pause before a request is sent again without a Retry-After, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The longest wait for the gateway's limit of a minute. That of an hour is not waited for.
const MAX_LIMIT_WAIT: Duration = Duration::from_secs(61);

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// It was sent again for [`PATIENCE`], and nothing came of it.
    #[error("no answer in {seconds} s, the last time: {0}", seconds = PATIENCE.as_secs())]
    LostForGood(String),
    /// The gateway's limit of an hour is used up.
    #[error("the gateway's limit is used up for {seconds} s: call from more addresses (--from)", seconds = .0.as_secs())]
    LimitUsedUp(Duration),
    /// An answer that this client should never get.
    #[error("{0}")]
    Wrong(String),
}

/// A client, and where its attempts are counted.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) figures: Arc<Figures>,
    /// Where each request is noted as a whole, if that is wanted, and the network to the system.
    pub(crate) journal: Option<Arc<Journal>>,
}

/// The attempts of a request.
#[derive(Debug, Default)]
struct Tally {
    attempts: u32,
    /// Whether the first of them got no answer of a function that works.
    first_failed: bool,
    limited: bool,
}

impl Caller {
    /// Reads what is there.
    pub(crate) async fn read<R: Rpc>(
        &self,
        request: &R::Request,
    ) -> Result<Outcome<R::Response>, NoAnswer> {
        found::<R>(self.call::<R>(None, request).await?)
    }

    /// Reads what may not be there.
    pub(crate) async fn find<R: Rpc>(
        &self,
        request: &R::Request,
    ) -> Result<Option<R::Response>, NoAnswer> {
        Ok(self.call::<R>(None, request).await?.response)
    }

    /// Writes under an idempotency key.
    pub(crate) async fn write<R: Rpc>(
        &self,
        key: &str,
        request: &R::Request,
    ) -> Result<Outcome<R::Response>, NoAnswer> {
        found::<R>(self.call::<R>(Some(key), request).await?)
    }

    async fn call<R: Rpc>(
        &self,
        key: Option<&str>,
        request: &R::Request,
    ) -> Result<Outcome<R::Response>, NoAnswer> {
        let mut tally = Tally::default();
        let sent = Instant::now();
        let result = self.answered::<R>(key, request, &mut tally).await;
        if let Some(journal) = &self.journal {
            let end = match &result {
                Ok(outcome) => End::of(outcome),
                Err(NoAnswer::LostForGood(_)) => End::Lost,
                Err(NoAnswer::LimitUsedUp(_) | NoAnswer::Wrong(_)) => End::Wrong,
            };
            let planned = journal.take_due();
            journal.note(Entry {
                function: R::INFO.name,
                due: planned.unwrap_or(sent),
                planned: planned.is_some(),
                sent,
                ended: Instant::now(),
                attempts: tally.attempts,
                first_failed: tally.first_failed,
                limited: tally.limited,
                end,
            });
        }
        result
    }

    /// Sends a request until it has an answer.
    async fn answered<R: Rpc>(
        &self,
        key: Option<&str>,
        request: &R::Request,
        tally: &mut Tally,
    ) -> Result<Outcome<R::Response>, NoAnswer> {
        let (began, mut limited) = (Instant::now(), Duration::ZERO);
        let mut client = self.client.clone();
        if let Some(key) = key {
            client = client.header("idempotency-key", key);
        }
        let (mut again, mut backoff) = (false, PAUSES.0);
        loop {
            let (class, outcome) = self.attempt::<R>(&client, request, again).await;
            tally.limited |= matches!(class, Class::Limited(_));
            if !matches!(class, Class::Limited(_)) {
                tally.attempts += 1;
                tally.first_failed |=
                    tally.attempts == 1 && matches!(class, Class::Lost | Class::Busy(_));
            }
            let told = match outcome {
                Ok(outcome) if matches!(class, Class::Good | Class::Refused) => return Ok(outcome),
                Ok(outcome) => format!("{:?}: {}", outcome.code, outcome.message),
                Err(told) => told,
            };
            again |= !matches!(class, Class::Limited(_));
            let pause = match class {
                Class::Wrong => return Err(NoAnswer::Wrong(format!("{}: {told}", R::INFO.name))),
                Class::Limited(pause) if pause > MAX_LIMIT_WAIT => {
                    return Err(NoAnswer::LimitUsedUp(pause));
                }
                Class::Limited(pause) => {
                    limited += pause;
                    pause
                }
                Class::Busy(Some(pause)) => pause,
                _ => {
                    let pause = backoff.mul_f64(rand::rng().random_range(0.5..1.0));
                    backoff = (backoff * 2).min(PAUSES.1);
                    pause
                }
            };
            if began.elapsed().saturating_sub(limited) >= PATIENCE {
                self.figures.gave_up(&R::INFO, self.client.wire());
                return Err(NoAnswer::LostForGood(told));
            }
            sleep(pause).await;
        }
    }

    async fn attempt<R: Rpc>(
        &self,
        client: &Client,
        request: &R::Request,
        again: bool,
    ) -> (Class, Result<Outcome<R::Response>, String>) {
        let sent = Instant::now();
        let network = self.journal.as_ref().map(|journal| journal.network());
        if let Some(network) = network {
            network.delay().await;
        }
        let answer = Box::pin(wire::call::<R>(client.clone(), request));
        let answer = timeout(R::INFO.timeout() + ROUND_TRIP, answer).await;
        let took = sent.elapsed();
        let (class, label, outcome) = match network.is_some_and(|network| network.loses()) {
            true => attempt::lost_on_the_way(),
            false => attempt::read(answer.ok()),
        };
        let attempt = Attempt {
            sent,
            took,
            class: class.clone(),
            again,
        };
        let told = || match &outcome {
            Ok(outcome) => outcome.message.clone(),
            Err(told) => told.clone(),
        };
        let of = (&R::INFO, self.client.wire());
        self.figures.note(of, attempt, label, told);
        (class, outcome)
    }
}

/// What this client asks for is there.
fn found<R: Rpc>(outcome: Outcome<R::Response>) -> Result<Outcome<R::Response>, NoAnswer> {
    match outcome.code {
        Code::NotFound => {
            let message = &outcome.message;
            Err(NoAnswer::Wrong(format!("{}: {message}", R::INFO.name)))
        }
        _ => Ok(outcome),
    }
}
