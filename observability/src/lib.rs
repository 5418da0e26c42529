//! What is measured, drawn and alerted on, as data.
//!
//! [`metrics::ALL`] is the only definition of the metrics: the collector of the local engine counts by it,
//! and the generator makes the tables of `docs/telemetry.md` and the configuration of a cluster's OpenTelemetry
//! Collector from it. [`boards`] and [`rules`] use these metrics; the generator makes Grafana's boards
//! and Prometheus' rules of them. The limits of both are [`goals`].

pub mod boards;
pub mod goals;
pub mod metrics;
pub mod rules;
