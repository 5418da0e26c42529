//! The public edge of an engine, as far as it differs from others'.
//!
//! This is the whole list of what engines may differ in. Each difference is data here, and each has
//! its reason; any other difference between two engines is a failure of one of them.

use std::fmt;

use tonic::Code;
use zerocart_proto::rpc::{self, Info};
use zerocart_wires::Wire;

use super::refusal::Refusal;

/// The public edge of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What it is called in settings.
    pub name: &'static str,
    /// By which wires it can be called. gRPC needs HTTP/2 from end to end, which Lambda's function
    /// URLs do not have: there gRPC-Web takes its place.
    pub wires: &'static [Wire],
    /// What it says itself of bad tokens. Kong checks signatures before anything is woken, and has
    /// answers of its own; without it the function says it.
    pub tokens: Option<Tokens>,
    /// What it says itself of a body of more than a megabyte. Kong refuses it while it is announced;
    /// without it the function, whose own limit is lower, says it.
    pub too_large: Option<&'static str>,
    /// What it says itself of a method that a path does not have. Kong says so before anything is woken;
    /// without it a function of that path does.
    pub wrong_method: Option<&'static str>,
    /// Whether it carries JSON only as text. cargo-lambda's emulator puts a body of that media type
    /// into its event as it is, and answers 500 itself when it is no UTF-8. Lambda does not: it
    /// encodes such a body.
    pub only_text: bool,
    /// Whether it carries headers only as text, as Lambda's events do.
    pub only_text_in_headers: bool,
    /// Whether the engine behind it knows all functions. Lambda does not, so the functions that read the fleet are not
    /// there.
    pub fleet: bool,
}

/// What an edge says of tokens that are not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// There is none.
    pub missing: &'static str,
    /// It is not signed.
    pub unsigned: &'static str,
    /// It is not what was signed.
    pub altered: &'static str,
}

/// Kong, or the local engine's gateway, which is driven by the same file.
///
/// It also limits requests, per address and function: stories wait when it says so.
pub const KONG: Edge = Edge {
    name: "kong",
    wires: &[Wire::Http1, Wire::Grpc],
    tokens: Some(Tokens {
        missing: "Unauthorized",
        unsigned: "Bad token; invalid alg",
        altered: "Invalid signature",
    }),
    too_large: Some("Request size limit exceeded"),
    wrong_method: Some("Method not allowed"),
    only_text: false,
    only_text_in_headers: false,
    fleet: true,
};

/// Functions without a gateway in front of them, as on Lambda.
pub const FUNCTIONS: Edge = Edge {
    name: "functions",
    wires: &[Wire::Http1, Wire::GrpcWeb],
    tokens: None,
    too_large: None,
    wrong_method: None,
    only_text: false,
    only_text_in_headers: true,
    fleet: false,
};

/// Functions on a local Lambda: `cargo lambda watch`.
pub const LAMBDA_WATCH: Edge = Edge {
    name: "lambda-watch",
    only_text: true,
    ..FUNCTIONS
};

/// Every kind of edge.
pub const ALL: [Edge; 3] = [KONG, FUNCTIONS, LAMBDA_WATCH];

/// A token that is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadToken {
    /// There is none.
    Missing,
    /// It is not signed.
    Unsigned,
    /// It is not what was signed.
    Altered,
}

impl Edge {
    /// The functions that can be called there.
    pub fn functions(&self) -> impl Iterator<Item = &'static Info> {
        let fleet = self.fleet;
        rpc::ALL
            .iter()
            .filter(move |info| fleet || !info.reads_fleet)
    }

    /// How a call of a function that wants a token is refused with a bad one.
    pub fn refuses(&self, token: BadToken) -> Refusal {
        match &self.tokens {
            Some(says) => {
                let message = match token {
                    BadToken::Missing => says.missing,
                    BadToken::Unsigned => says.unsigned,
                    BadToken::Altered => says.altered,
                };
                Refusal::of_edge(Code::Unauthenticated, 401, message)
            }
            None => Refusal::unauthenticated(match token {
                BadToken::Missing => "a token is required",
                BadToken::Unsigned | BadToken::Altered => "the token is not valid",
            })
            .whoever_says_it(),
        }
    }

    /// How a body of more than a megabyte is refused over HTTP.
    pub fn refuses_large(&self) -> Refusal {
        match self.too_large {
            Some(message) => Refusal::of_edge(Code::InvalidArgument, 413, message),
            None => Refusal::too_large().whoever_says_it(),
        }
    }
}

impl Edge {
    /// How a method is refused that a path does not have, which has those.
    pub fn refuses_method(&self, allowed: &str) -> Refusal {
        let refusal = match self.wrong_method {
            // Over HTTP it has no code; the stories give it that of its gRPC clients.
            Some(message) => Refusal::of_edge(Code::InvalidArgument, 405, message),
            None => Refusal::method(allowed).whoever_says_it(),
        };
        refusal.with_header("allow", allowed)
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
