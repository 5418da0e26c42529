//! Secrets Manager: the values of variables that must not be in a function's configuration.

use std::{collections::BTreeMap, fmt};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use futures_util::future::join_all;
use zerocart_core::{Env, StartError, error::chain};

use crate::env::{self, Wanted};

/// `env` with the values of the secrets that it names. All secrets are read at the same time, each
/// once. Without secrets, there is no request.
///
/// # Errors
///
/// Every secret that cannot be read, with its variable, without any value.
pub async fn resolve(env: Env, aws: &SdkConfig) -> Result<Env, StartError> {
    let wanted = env::secrets(&env);
    if wanted.is_empty() {
        return Ok(env);
    }
    let client = Client::new(aws);
    let mut ids: Vec<_> = wanted.iter().map(|wanted| wanted.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let texts = ids
        .iter()
        .map(|id| async { (*id, read(&client, id).await) });
    let texts: BTreeMap<_, _> = join_all(texts).await.into_iter().collect();
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    for wanted in &wanted {
        let value = match texts.get(wanted.id) {
            Some(Ok(text)) => pick(wanted, text),
            Some(Err(problem)) => Err(problem.clone()),
            None => Err(Problem("was not read".into())),
        };
        match value {
            Ok(value) => values.push((wanted.variable.to_owned(), value)),
            Err(problem) => problems.push(format!("{}_SECRET: {problem}", wanted.variable)),
        }
    }
    if problems.is_empty() {
        Ok(env.with(values))
    } else {
        Err(StartError::Config(problems))
    }
}

/// Why there is no value. It has no value in it.
#[derive(Clone, Debug)]
struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

async fn read(client: &Client, id: &str) -> Result<String, Problem> {
    let answer = client.get_secret_value().secret_id(id).send().await;
    let answer =
        answer.map_err(|error| Problem(format!("the secret cannot be read: {}", chain(&error))))?;
    match answer.secret_string {
        Some(text) => Ok(text),
        None => Err(Problem("the secret is binary, not text".into())),
    }
}

fn pick(wanted: &Wanted<'_>, text: &str) -> Result<String, Problem> {
    let Some(key) = wanted.key else {
        return Ok(text.to_owned());
    };
    let object: serde_json::Map<_, _> = serde_json::from_str(text)
        .map_err(|_| Problem("the secret is no JSON object, in which a key could be".into()))?;
    match object.get(key) {
        Some(serde_json::Value::String(value)) => Ok(value.clone()),
        Some(value @ serde_json::Value::Number(_)) => Ok(value.to_string()),
        Some(_) => Err(Problem(format!("the secret's {key} is no text"))),
        None => Err(Problem(format!("the secret has no {key}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(key: Option<&str>, text: &str) -> Result<String, String> {
        let wanted = Wanted {
            variable: "DATABASE_PASSWORD",
            id: "db",
            key,
        };
        pick(&wanted, text).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_value_is_the_text_or_a_part_of_its_json() {
        assert_eq!(picked(None, "whole").unwrap(), "whole");
        let json = r#"{"password": "p#1", "port": 5432, "tags": []}"#;
        assert_eq!(picked(Some("password"), json).unwrap(), "p#1");
        assert_eq!(picked(Some("port"), json).unwrap(), "5432");
        for (key, text, says) in [
            ("user", json, "has no user"),
            ("tags", json, "is no text"),
            ("password", "hunter2", "no JSON object"),
        ] {
            let problem = picked(Some(key), text).unwrap_err();
            assert!(problem.contains(says), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
