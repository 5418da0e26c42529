//! Stories: what clients rely on, told against the address of any engine, over REST and over gRPC.
//!
//! A story is a function over a [`Shop`]; it calls functions and says what it expects of each
//! answer. Everything that it makes has a name of its own, so stories can be told again and again
//! on one system. They know the public contract and nothing else: no database, no process, no
//! engine. [`run`] tells all of them and stops at the first thing that is not so.
//!
//! They keep under the limits of the gateway (per client and function 100 requests a minute, 10 of
//! them to sign in), and wait when it says so.
//!
//! - [`shop`]: who calls whom, by which wire;
//! - [`answer`]: what is expected of an answer, and the words for it;
//! - [`steps`]: what several stories do;
//! - [`payments`]: the simulated payment gateway, as it was found and as stories want it.

pub mod answer;
pub mod payments;
pub mod shop;
pub mod steps;

mod access;
mod failures;
mod order;
mod retry;

use std::{pin::pin, sync::Arc};

use futures_util::future::{BoxFuture, Either, select};
use http::Uri;
use zerocart_auth::Token;
use zerocart_test_support::clients::Wire;

pub use answer::Failed;
use payments::Found;
use shop::Shop;

/// Where a line of the report goes.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// What happens, and what is expected meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Its name, to choose it by.
    pub name: &'static str,
    /// What it tells, in one line.
    pub about: &'static str,
    tell: for<'a> fn(&'a Shop) -> BoxFuture<'a, Result<(), Failed>>,
}

/// Every story.
pub const ALL: &[Story] = &[
    Story {
        name: "order",
        about: "from sign-up to a delivered order",
        tell: |shop| Box::pin(order::order(shop)),
    },
    Story {
        name: "cancel",
        about: "a paid order is cancelled: refunded and restocked",
        tell: |shop| Box::pin(order::cancel(shop)),
    },
    Story {
        name: "empty-cart",
        about: "an empty cart is not ordered",
        tell: |shop| Box::pin(failures::empty_cart(shop)),
    },
    Story {
        name: "out-of-stock",
        about: "without enough stock the order fails, and nothing is kept for it",
        tell: |shop| Box::pin(failures::out_of_stock(shop)),
    },
    Story {
        name: "declined",
        about: "a declined payment is an answer: FAILED, stock released, cart kept",
        tell: |shop| Box::pin(failures::declined(shop)),
    },
    Story {
        name: "retry",
        about: "a repeated order under one key is one order with one answer",
        tell: |shop| Box::pin(retry::retry(shop)),
    },
    Story {
        name: "access",
        about: "nobody sees or touches what belongs to another",
        tell: |shop| Box::pin(access::access(shop)),
    },
];

/// The wires that stories are told over.
pub const WIRES: [Wire; 2] = [Wire::Http1, Wire::Grpc];

/// What is to be told, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The base URL of the public edge.
    pub url: Uri,
    /// The token of an admin there.
    pub admin: Token,
    /// The wires, of [`WIRES`].
    pub wires: Vec<Wire>,
    /// The names of the stories; empty means all.
    pub only: Vec<String>,
    /// The failure rate that the payment gateway has afterwards, 0 to 1: it cannot be asked for
    /// that which it had.
    pub failure_rate: f64,
}

/// How much was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Stories, once for each wire.
    pub stories: usize,
    /// Answers that were as expected.
    pub answers: usize,
}

/// Why not everything was told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Stop {
    /// Something is not as it should be.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// No story has this name.
    #[error("there is no story {0:?}; there are {names}", names = names())]
    Unknown(String),
    /// `stop` came first.
    #[error("stopped before the end")]
    Asked,
}

/// Tells the stories of `plan`, one after the other, until `stop` resolves.
///
/// Meanwhile the simulated payment gateway answers at once and never fails, unless a story says so.
/// Whatever happens, in the end it gets back the delays that it had, `plan.failure_rate`, and all
/// kinds of failure.
///
/// # Errors
///
/// The first thing that is not so.
pub async fn run(
    plan: &Plan,
    say: Say,
    stop: impl Future<Output = ()> + Send,
) -> Result<Told, Stop> {
    let unknown = |name: &&String| ALL.iter().all(|story| story.name != **name);
    if let Some(name) = plan.only.iter().find(unknown) {
        return Err(Stop::Unknown(name.clone()));
    }
    let Some(first) = plan.wires.first() else {
        return Ok(Told::default());
    };
    let shop = Shop::of_admin(plan, *first, Arc::clone(&say))?;
    say("the payment gateway: no failures, no delays");
    let found = Found::prepare(&shop).await?;
    let told = match select(pin!(tell(plan, &say)), pin!(stop)).await {
        Either::Left((told, _)) => told.map_err(Stop::from),
        Either::Right(_) => Err(Stop::Asked),
    };
    say("the payment gateway: as before");
    let restored = found.restore(&shop, plan.failure_rate).await;
    let mut told = told?;
    restored?;
    told.answers += shop.answers();
    Ok(told)
}

async fn tell(plan: &Plan, say: &Say) -> Result<Told, Failed> {
    let mut told = Told::default();
    let chosen = |story: &&Story| plan.only.is_empty() || plan.only.iter().any(|n| n == story.name);
    for wire in &plan.wires {
        say(&format!("\npeople, over {}", shop::name(*wire)));
        let mut shop = Shop::open(plan, *wire, Arc::clone(say)).await?;
        for story in ALL.iter().filter(chosen) {
            let title = format!("{}, over {}", story.name, shop::name(*wire));
            say(&format!("\n{title}: {}", story.about));
            shop.begin(title);
            (story.tell)(&shop).await?;
            told.stories += 1;
        }
        told.answers += shop.answers();
    }
    Ok(told)
}

fn names() -> String {
    ALL.iter()
        .map(|story| story.name)
        .collect::<Vec<_>>()
        .join(", ")
}
