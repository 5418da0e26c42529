//! Kubernetes Secrets. Values go to kubectl through its standard input: arguments can be read by every
//! user of a machine.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{Applied, Kubectl, Mode, Problem, Result, names};

/// The content of a Secret.
pub type Data = BTreeMap<String, String>;

impl Kubectl {
    /// The content of a Secret; none where there is none.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked, or a value is no text.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Data>> {
        let found = self.get("secret", namespace, name).await?;
        found.map(|secret| data(name, &secret)).transpose()
    }

    /// Makes a Secret have this content, and says whether it had another.
    ///
    /// # Errors
    ///
    /// When the server refuses it.
    pub async fn put_secret(&self, namespace: &str, name: &str, data: &Data) -> Result<Applied> {
        let found = self.secret(namespace, name).await?;
        let mut applied = Applied::default();
        match &found {
            Some(found) if found == data => {
                applied.unchanged = 1;
                return Ok(applied);
            }
            Some(_) => applied.changed = 1,
            None => applied.created = 1,
        }
        // Applied by the server: kubectl's own apply would copy the values into an annotation.
        let mut args = vec![
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager",
            names::MANAGER,
            "--filename",
            "-",
        ];
        match self.mode() {
            Mode::Change => {}
            Mode::DryRun => args.push("--dry-run=server"),
            Mode::Print => {
                self.print(&[object(namespace, name, &masked(data))]);
                return Ok(applied);
            }
        }
        let input = object(namespace, name, data).to_string();
        let result = self.call(args)?.input(input).output().await;
        result
            .map_err(|problem| problem.in_step(format!("the Secret {name} cannot be written")))?;
        Ok(applied)
    }

    /// The content of a Secret that is made once: what is there stays, and `make` gives what is missing.
    ///
    /// # Errors
    ///
    /// Those of `make`; when the server refuses it.
    pub async fn secret_made_once(
        &self,
        namespace: &str,
        name: &str,
        make: impl FnOnce(&Data) -> Result<Data>,
    ) -> Result<(Data, Applied)> {
        let found = self.secret(namespace, name).await?.unwrap_or_default();
        let mut data = make(&found)?;
        data.extend(found);
        let applied = self.put_secret(namespace, name, &data).await?;
        Ok((data, applied))
    }
}

fn object(namespace: &str, name: &str, data: &Data) -> Value {
    let encode = |(key, value): (&String, &String)| (key.clone(), STANDARD.encode(value).into());
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": names::labels()},
        "data": data.iter().map(encode).collect::<serde_json::Map<String, Value>>(),
    })
}

fn masked(data: &Data) -> Data {
    data.keys()
        .map(|key| (key.clone(), "***".to_owned()))
        .collect()
}

fn data(name: &str, secret: &Value) -> Result<Data> {
    let Some(fields) = secret["data"].as_object() else {
        return Ok(Data::new());
    };
    let decode = |(key, value): (&String, &Value)| {
        let text = value.as_str().and_then(|value| STANDARD.decode(value).ok());
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        text.map(|text| (key.clone(), text)).ok_or_else(|| {
            Problem::new(format!(
                "the Secret {name} has a value {key} that is no text"
            ))
        })
    };
    fields.iter().map(decode).collect()
}
