//! AWS Lambda: a local one, and what a deployment there needs beside the functions.

mod routes;
mod secrets;
mod template;
pub(crate) mod watch;

pub(crate) use secrets::print as print_secrets;
pub(crate) use template::print as print_template;
