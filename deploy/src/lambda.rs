//! AWS Lambda: the functions' settings, a region in the manifest of each domain's crate, where cargo-lambda
//! reads them; and what a deployment needs beside the functions, a template of CloudFormation.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{Output, Unit, unit::Secret};

pub mod routes;
mod template;

pub use template::render as template;

/// Where the addresses of the functions are: the stack of `lambda/template.json` writes them.
const URLS: &str = "FUNCTION_URLS_SECRET=zerocart/function-urls";

/// A region `lambda` in each `functions/<domain>/Cargo.toml`.
pub fn render(units: &[Unit]) -> Vec<Output> {
    let mut domains: BTreeMap<&str, String> = BTreeMap::new();
    for unit in units {
        domains
            .entry(unit.domain)
            .or_default()
            .push_str(&function(unit));
    }
    let regions = domains.into_iter().map(|(domain, text)| {
        let path = format!("functions/{domain}/Cargo.toml");
        Output::region(path, "lambda", text)
    });
    regions.collect()
}

fn function(unit: &Unit) -> String {
    // Longer than its own limit, and so longer than those of the functions that it calls.
    let timeout_s = unit.timeout_s() + 1;
    let mut text = format!(
        "[package.metadata.lambda.bin.{}.deploy]\nmemory = {}\ntimeout = {timeout_s}\nenv_var = [\n",
        unit.name, unit.settings.lambda_memory_mb
    );
    // CloudWatch keeps what they write, spans too: observability/lambda.yaml reads them.
    text.push_str("    \"LOG_FORMAT=otlp\",\n");
    for secret in &unit.secrets {
        for variable in secret.variables(unit.domain) {
            let _ = writeln!(text, "    \"{variable}\",");
        }
    }
    if !unit.calls.is_empty() {
        let _ = writeln!(text, "    \"{URLS}\",");
    }
    text.push_str("]\n\n");
    text
}

impl Secret {
    /// The variables on Lambda, each with the name of its secret in AWS Secrets Manager.
    fn variables(self, domain: &str) -> Vec<String> {
        match self {
            Self::PublicKeys => vec![
                "AUTH_USER_KEYS_SECRET=zerocart/auth#user_keys".into(),
                "AUTH_SERVICE_KEYS_SECRET=zerocart/auth#service_keys".into(),
            ],
            Self::Database => vec![format!(
                "DATABASE_URL_SECRET=zerocart/{domain}#database_url"
            )],
            Self::Signing => vec!["AUTH_SIGNING_KEY_SECRET=zerocart/user-signing-key".into()],
            Self::ServiceSigning => {
                vec!["AUTH_SERVICE_SIGNING_KEY_SECRET=zerocart/service-signing-key".into()]
            }
        }
    }
}
