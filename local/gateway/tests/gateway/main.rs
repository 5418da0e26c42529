//! The gateway over real sockets: a client, the gateway, an upstream.

#![allow(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod auth;
mod failures;
mod grpc;
mod http2;
mod kong_yml;
mod limits;
mod parity;
mod rest;
mod support;
