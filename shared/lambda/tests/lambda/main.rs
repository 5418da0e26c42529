//! The adapter, against what AWS publishes and against functions on sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod calls;
mod rds;
mod secrets;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use zerocart_lambda::sign::Signer;

/// The credentials of AWS's own examples.
fn signer(session_token: Option<&str>) -> Signer {
    let credentials = Credentials::from_keys(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token.map(str::to_owned),
    );
    Signer {
        credentials: SharedCredentialsProvider::new(credentials),
        region: "eu-central-1".into(),
    }
}
