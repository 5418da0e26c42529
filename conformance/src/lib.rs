//! The conformance suite: stories of what clients rely on, told against the address of any engine, over
//! REST and over gRPC.
//!
//! A story is a function over a [`Shop`]. It calls functions and says what it expects of each
//! answer. Everything that it makes has a new name, so stories can run many times on one system.
//! They know only the public contract: no database, no process, and of the engine only its
//! [`Edge`]. [`run`] runs all of them, stops at the first wrong answer, and fails if an RPC is
//! never called with success or never with a refusal. It also returns the transcript of all
//! answers. Two engines behave alike if their transcripts have no
//! [differences](Transcript::differences), also in what no story checks.
//!
//! A gateway limits requests (per client and function 100 a minute, 10 of them to sign in). Stories
//! wait when it says so, or call from several [sources](Plan::sources).
//!
//! - [`edge`]: what engines may differ in, and why;
//! - [`shop`]: who calls whom, by which wire;
//! - [`answer`], [`refusal`]: what is expected of an answer, and the words for it;
//! - [`transcript`]: every answer, to be held against that of another engine;
//! - [`wire`]: a call and what came back, for stories and for other clients;
//! - [`steps`]: what several stories do;
//! - [`payments`]: the simulated payment provider, as it was found and as stories want it.
//!
//! Bad inputs, and who may call whom, are not listed: they are derived from the descriptors, for
//! every RPC and every field.

pub mod answer;
pub mod edge;
pub mod payments;
pub mod refusal;
pub mod shop;
pub mod steps;
pub mod transcript;
pub mod wire;

mod access;
mod accounts;
mod disabled;
mod failures;
mod forms;
mod input;
mod inputs;
mod keys;
mod methods;
mod mistakes;
mod order;
mod people;
mod retry;
mod schema;
mod states;
mod tokens;
mod undo;

use std::{collections::BTreeSet, net::IpAddr, pin::pin, sync::Arc};

use futures_util::future::{BoxFuture, Either, select};
use http::Uri;
use zerocart_auth::Token;
use zerocart_wires::Wire;

pub use answer::Failed;
pub use edge::Edge;
use payments::Found;
pub use schema::{Things, sample};
use shop::Shop;
pub use transcript::Transcript;

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
        name: "cancel-own",
        about: "a customer cancels a paid order, and follows it; a shipped one is not cancelled",
        tell: |shop| Box::pin(order::cancel_own(shop)),
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
    Story {
        name: "tokens",
        about: "every function refuses who has no good token, and whom it is not for, unless it is for anyone",
        tell: |shop| Box::pin(tokens::tokens(shop)),
    },
    Story {
        name: "input",
        about: "every function names the field that is wrong, and says what it must be",
        tell: |shop| Box::pin(input::input(shop)),
    },
    Story {
        name: "methods",
        about: "HEAD is served where GET is, and any other method is refused with the methods of the path",
        tell: |shop| Box::pin(methods::methods(shop)),
    },
    Story {
        name: "forms",
        about: "what means the same is the same request: ids, numbers, nulls, queries",
        tell: |shop| Box::pin(forms::forms(shop)),
    },
    Story {
        name: "keys",
        about: "every function that writes does it once under one idempotency key",
        tell: |shop| Box::pin(keys::keys(shop)),
    },
    Story {
        name: "accounts",
        about: "one account per e-mail, however it is spelled; admins find it, and its owner changes the password",
        tell: |shop| Box::pin(accounts::accounts(shop)),
    },
    Story {
        name: "disabled",
        about: "a disabled account cannot be signed in to, and its owner's tokens are recorded as void",
        tell: |shop| Box::pin(disabled::disabled(shop)),
    },
    Story {
        name: "catalogue",
        about: "pages of products, stock that is taken and given back, products that are not there",
        tell: |shop| Box::pin(states::catalogue(shop)),
    },
    Story {
        name: "carts",
        about: "lines that are set, removed and not there, more than is in stock",
        tell: |shop| Box::pin(states::carts(shop)),
    },
    Story {
        name: "orders",
        about: "orders and pages of them that are not there, orders that cannot be moved on",
        tell: |shop| Box::pin(states::orders(shop)),
    },
    Story {
        name: "payments",
        about: "an order is charged once, refunded once, and by a provider that may fail",
        tell: |shop| Box::pin(states::payments(shop)),
    },
    Story {
        name: "undo",
        about: "a refund during a charge ends in no money taken",
        tell: |shop| Box::pin(undo::undo(shop)),
    },
];

/// What is to be told, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The base URL of the public edge.
    pub url: Uri,
    /// The token of an admin there.
    pub admin: Token,
    /// What is in front of the functions there.
    pub edge: Edge,
    /// The wires, of those of the edge.
    pub wires: Vec<Wire>,
    /// The addresses of this machine to call from, in turn; empty leaves it to the system. A gateway
    /// counts the requests of each address alone.
    pub sources: Vec<IpAddr>,
    /// The names of the stories; empty means all.
    pub only: Vec<String>,
    /// The failure rate that the payment provider has afterwards, 0 to 1: it cannot be asked for
    /// that which it had.
    pub failure_rate: f64,
}

/// The e-mail of a new system's first admin.
pub const FIRST_ADMIN: &str = "admin@zerocart.example";

/// The share of charges that fail in a new system.
pub const FAILURE_RATE: f64 = 0.3;

impl Plan {
    /// All stories, by all wires of the edge.
    pub fn new(url: Uri, admin: Token, edge: Edge) -> Self {
        Self {
            url,
            admin,
            edge,
            wires: edge.wires.to_vec(),
            sources: Vec::new(),
            only: Vec::new(),
            failure_rate: FAILURE_RATE,
        }
    }
}

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How many stories, once for each wire.
    pub stories: usize,
    /// How many answers were as expected.
    pub answers: usize,
    /// Every answer.
    pub transcript: Transcript,
    /// What was sent that no engine may write anywhere: tokens, idempotency keys, passwords and e-mail
    /// addresses.
    pub secrets: BTreeSet<String>,
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
    /// The stories leave something out.
    #[error("not everything is told:\n{}", .0.join("\n"))]
    Untold(Vec<String>),
    /// `stop` came first.
    #[error("stopped before the end")]
    Asked,
}

/// Tells the stories of `plan`, one after the other, until `stop` resolves.
///
/// Meanwhile the simulated payment provider answers at once and never fails, unless a story says
/// so. In any case, it gets back at the end the delays that it had, `plan.failure_rate`, and all
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
    say("the payment provider: no failures, no delays");
    let found = Found::prepare(&shop).await?;
    let told = match select(pin!(tell(plan, &say)), pin!(stop)).await {
        Either::Left((told, _)) => told.map_err(Stop::from),
        Either::Right(_) => Err(Stop::Asked),
    };
    say("the payment provider: as before");
    let restored = found.restore(&shop, plan.failure_rate).await;
    let mut told = told?;
    restored?;
    told.answers += shop.answers();
    if plan.only.is_empty() {
        let untold = transcript::untold(&told.transcript, &plan.wires);
        if !untold.is_empty() {
            return Err(Stop::Untold(untold));
        }
    }
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
            shop.begin(story.name);
            (story.tell)(&shop).await?;
            told.stories += 1;
        }
        told.answers += shop.answers();
        told.transcript.extend(shop.take_transcript());
        told.secrets.extend(shop.take_secrets());
    }
    Ok(told)
}

fn names() -> String {
    ALL.iter()
        .map(|story| story.name)
        .collect::<Vec<_>>()
        .join(", ")
}
