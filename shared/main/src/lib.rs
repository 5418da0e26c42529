//! The `main` of every function and job, for the engine that it is built for.
//!
//! Without features a binary is a process: for the local engine and for Knative. With the feature
//! `lambda` it is an AWS Lambda function, too. This is the one place where the two part: no
//! function knows, and what is built without the feature contains nothing of AWS.

#[cfg(feature = "lambda")]
pub use zerocart_lambda::{run, run_job};
#[cfg(not(feature = "lambda"))]
pub use zerocart_runtime::{run, run_job};
