//! The secrets that functions on Lambda look for, with their values: for `lambda/secrets`, which puts
//! them into Secrets Manager.

use std::{io::IsTerminal, path::PathBuf};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use zerocart_core::Env;

use crate::{console, domains, key_files::Keys, layout::Data};

/// `zerocart lambda-secrets`: a JSON object a line, as `aws secretsmanager create-secret` takes it.
pub(crate) fn print(data: Option<PathBuf>) -> Result<()> {
    if std::io::stdout().is_terminal() {
        bail!("secrets are not shown on a terminal; `just lambda-secrets` sends them to AWS");
    }
    let data = Data::new(data, None)?;
    data.create()?;
    for secret in secrets(&Keys::load_or_make(&data)?, &Env::of_process()) {
        console::say(secret);
    }
    Ok(())
}

/// The keys of both issuers, and the URLs of the databases that are in the environment.
fn secrets(keys: &Keys, env: &Env) -> Vec<Value> {
    let secret = |name: &str, value: String| json!({"Name": name, "SecretString": value});
    let public = json!({
        "user_keys": keys.user.keys().to_string(),
        "service_keys": keys.service.keys().to_string(),
    });
    let user = keys.user.current().to_private_jwk().to_string();
    let service = keys.service.current().to_private_jwk().to_string();
    let mut secrets = vec![
        secret("zerocart/auth", public.to_string()),
        secret("zerocart/user-signing-key", user),
        secret("zerocart/service-signing-key", service),
    ];
    for domain in domains::names() {
        if let Some(url) = env.get(&format!("DATABASE_URL_{}", domain.to_uppercase())) {
            let value = json!({ "database_url": url });
            secrets.push(secret(&format!("zerocart/{domain}"), value.to_string()));
        }
    }
    secrets
}

#[cfg(test)]
mod tests {
    use zerocart_auth::KeySet;

    use super::*;

    #[test]
    fn every_secret_has_its_name_and_value() {
        let keys = Keys {
            user: KeySet::generate().unwrap(),
            service: KeySet::generate().unwrap(),
        };
        let env = Env::from_iter([("DATABASE_URL_CART", "postgres://u:p@h/cart")]);
        let secrets = secrets(&keys, &env);
        let value = |name: &str| {
            let secret = secrets.iter().find(|secret| secret["Name"] == name);
            let text = secret.unwrap()["SecretString"].as_str().unwrap();
            text.to_owned()
        };
        assert_eq!(secrets.len(), 4);
        assert!(value("zerocart/cart").contains("postgres://u:p@h/cart"));
        let public: Value = serde_json::from_str(&value("zerocart/auth")).unwrap();
        let user_keys = public["user_keys"].as_str().unwrap();
        assert_eq!(user_keys, keys.user.keys().to_string());
        // A private key has a `d` (RFC 8037); these have none.
        assert!(!value("zerocart/auth").contains(r#"\"d\""#));
        assert!(value("zerocart/user-signing-key").contains(r#""d""#));
    }
}
