//! The adapter that serves a function's router on AWS Lambda.
//!
//! [`run`] and [`run_job`] are a binary's `main` there. The handler, the router and everything
//! around them are the same on every engine. Only these parts are Lambda's:
//!
//! - events of API Gateway (HTTP APIs) and of function URLs become requests of the router;
//! - variables whose values are secrets are read from Secrets Manager, and a connection is opened, during
//!   init, so that the first request waits for neither ([`mod@env`], [`secrets`]);
//! - the password of the database can be an IAM token, made for each connection ([`rds`]);
//! - functions call each other as gRPC-Web over HTTPS, signed for IAM ([`calls`]): Lambda loses the
//!   trailers that native gRPC needs;
//! - an environment is frozen as soon as its answer is sent, so an answer waits for the rest of the
//!   work; SIGTERM ends in order.
//!
//! Outside of Lambda, such a binary is a normal process.
//!
//! # Settings
//!
//! In addition to those of the runtime:
//!
//! | variable | meaning |
//! |---|---|
//! | `<NAME>_SECRET` | a secret's name or ARN, perhaps `#` and a key of its JSON: its value is that of `<NAME>`, unless that is set |
//! | `DATABASE_URL_<DOMAIN>` | `DATABASE_URL` of the functions of this domain, where one environment is that of all (`cargo lambda watch`) |
//! | `DATABASE_IAM_AUTH` | `true`: the password is a token of IAM ([`rds`]) |
//! | `DATABASE_RECYCLING` | `verified` unless it is set: an environment may have been frozen for hours |
//!
//! Credentials and the region are found in the usual places of AWS programs.

#![cfg(feature = "aws")]

pub mod calls;
pub mod env;
mod host;
pub mod rds;
pub mod secrets;
pub mod sign;

pub use host::{run, run_job};
