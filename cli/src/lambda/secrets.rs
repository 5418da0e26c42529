//! `zerocart lambda secrets`: puts the secrets that functions on Lambda look for into Secrets Manager,
//! unless they are there.
//!
//! These are the keys of both issuers (those of the data folder, made if there are none), and the URL of
//! each `DATABASE_URL_<DOMAIN>` in the environment. Values go through pipes only: a program's arguments
//! can be read by every user of a machine.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use zerocart_core::Env;

use super::tool;
use crate::{
    console, domains,
    key_files::Keys,
    layout::{Data, Project},
};

/// A secret: its name in Secrets Manager, and its value.
struct Secret {
    name: String,
    value: String,
}

pub(super) async fn run(data: Option<PathBuf>) -> Result<()> {
    let project = Project::find()?;
    let data = Data::new(data, Some(&project))?;
    data.create()?;
    for secret in secrets(&Keys::load_or_make(&data)?, &Env::of_process()) {
        let name = &secret.name;
        if is_there(&project, name).await? {
            console::say(format_args!("{name} is there"));
        } else {
            make(&project, &secret).await?;
            console::say(format_args!("{name} is made"));
        }
    }
    Ok(())
}

async fn is_there(project: &Project, name: &str) -> Result<bool> {
    let mut aws = tool::aws(project);
    aws.args(["secretsmanager", "describe-secret", "--secret-id", name])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(aws.status().await.context("cannot run aws")?.success())
}

async fn make(project: &Project, secret: &Secret) -> Result<()> {
    let mut aws = tool::aws(project);
    aws.args(["secretsmanager", "create-secret"])
        .args(["--cli-input-json", "file:///dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut aws = aws.spawn().context("cannot run aws")?;
    let input = json!({"Name": secret.name, "SecretString": secret.value});
    if let Some(mut stdin) = aws.stdin.take() {
        // A program that ends before it has read says why by its status.
        let _ = stdin.write_all(input.to_string().as_bytes()).await;
    }
    let what = "`aws secretsmanager create-secret`";
    tool::succeeded(aws.wait().await?, what)
}

/// The keys of both issuers, and the URLs of the databases that are in the environment.
fn secrets(keys: &Keys, env: &Env) -> Vec<Secret> {
    let secret = |name: &str, value: String| Secret {
        name: name.to_owned(),
        value,
    };
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
    use serde_json::Value;
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
            let secret = secrets.iter().find(|secret| secret.name == name);
            secret.unwrap().value.clone()
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
