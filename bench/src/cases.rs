//! For each function, a request that it answers from its own database alone.
//!
//! The field rules give the least request. What a domain decides beside that stands in
//! `functions/<domain>/bench.toml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::LazyLock,
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;
use zerocart_conformance::Things;
use zerocart_proto::rpc::{self, Info};
use zerocart_wires::bind;

use crate::http::Request;

/// The password of the seeded account.
const PASSWORD: &str = "correct horse battery staple";

/// The data that is put into the databases before anything is measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seeds {
    /// The e-mail of an account.
    pub(crate) email: String,
    /// Its id. Its cart has a line, and it has an order that is paid.
    pub(crate) user_id: String,
    /// The id of a product, which is that line.
    pub(crate) product_id: String,
    /// That order.
    pub(crate) order_id: String,
    /// Its payment.
    pub(crate) payment_id: String,
    /// A customer who has an order that is being made, so that a new one is refused.
    pub(crate) busy_user_id: String,
    /// That customer's token.
    pub(crate) busy_token: String,
    /// An admin's token.
    pub(crate) token: String,
}

/// A request, and the answer to it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) body: Option<String>,
    /// The status of the answer.
    pub(crate) status: u16,
    /// A description of the request, if the name of the function does not say it.
    pub(crate) note: String,
}

impl Case {
    /// A GET without token.
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            token: None,
            body: None,
            status: 200,
            note: String::new(),
        }
    }

    /// The call of a function with these fields, an object.
    pub(crate) fn call(info: &Info, token: &str, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let (method, path, body) = bind(info, fields);
        let body = String::from_utf8_lossy(&body).into_owned();
        Self {
            method: method.to_string(),
            path,
            token: (!info.access.anyone).then(|| token.to_owned()),
            body: info.http_body.then_some(body),
            status: if info.creates { 201 } else { 200 },
            note: String::new(),
        }
    }

    /// The request as bytes.
    pub(crate) fn request(&self) -> Request {
        let (token, body) = (self.token.as_deref(), self.body.as_deref());
        Request::new(&self.method, &self.path, token, body)
    }
}

/// Why the first answer of a function is not compared with the floor's, and `/ready` is instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apart {
    /// A call hashes a password (argon2id: 19 MiB, two passes), which takes longer than the rest
    /// and has nothing to do with starting.
    Hashes,
    /// There is no answer without another function. Only its readiness is asked.
    Calls,
}

/// What a domain decides about the request to one of its functions.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Decided {
    /// Fields of the request, beside those that the field rules require.
    request: Map<String, Value>,
    /// Whose token is sent.
    caller: Caller,
    /// The status of the answer, where it is no success.
    status: Option<u16>,
    /// A description of the request, if the name of the function does not say it.
    note: String,
    /// Whether a call hashes a password.
    hashes: bool,
    /// Why the function is only asked whether it is ready.
    only_ready: String,
    /// Whether the answer needs one statement alone.
    one_statement: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Caller {
    #[default]
    Admin,
    /// The customer of whom another order is being made.
    Busy,
}

/// What the domains decide, by the names of functions.
static DECIDED: LazyLock<BTreeMap<String, Decided>> = LazyLock::new(|| {
    let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let domains: BTreeSet<_> = rpc::ALL.iter().map(|info| info.domain).collect();
    let tables = domains.into_iter().flat_map(|domain| {
        let path = functions.join(domain).join("bench.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        toml::from_str::<BTreeMap<String, Decided>>(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    tables.collect()
});

/// Whether this function is one of those.
pub(crate) fn apart(name: &str) -> Option<Apart> {
    let decided = DECIDED.get(name)?;
    match decided.hashes {
        true => Some(Apart::Hashes),
        false => (!decided.only_ready.is_empty()).then_some(Apart::Calls),
    }
}

/// Whether its answer needs one statement alone.
pub(crate) fn one_statement(name: &str) -> bool {
    DECIDED
        .get(name)
        .is_some_and(|decided| decided.one_statement)
}

/// The request for the function of `info`, while no other function runs. `n` is another number each
/// time: no e-mail is taken twice.
pub(crate) fn case(info: &Info, seeds: &Seeds, n: u32) -> Case {
    let nothing = Decided::default();
    let decided = DECIDED.get(info.name).unwrap_or(&nothing);
    if !decided.only_ready.is_empty() {
        return Case {
            note: decided.only_ready.clone(),
            ..Case::get("/ready")
        };
    }
    let things = Things {
        user: seeds.user_id.clone(),
        product: seeds.product_id.clone(),
        order: seeds.order_id.clone(),
        payment: seeds.payment_id.clone(),
    };
    let mut fields = zerocart_conformance::sample(info, &things);
    let more = decided.request.iter();
    fields.extend(more.map(|(name, value)| (name.clone(), filled(value, seeds, n))));
    let token = match decided.caller {
        Caller::Admin => &seeds.token,
        Caller::Busy => &seeds.busy_token,
    };
    let case = Case::call(info, token, fields.into());
    Case {
        status: decided.status.unwrap_or(case.status),
        note: decided.note.clone(),
        ..case
    }
}

/// A value of `bench.toml`, or the one that it stands for.
fn filled(value: &Value, seeds: &Seeds, n: u32) -> Value {
    match value.as_str() {
        Some("$email") => email(n).into(),
        Some("$known-email") => seeds.email.clone().into(),
        Some("$password") => PASSWORD.into(),
        Some("$new-id") => Uuid::now_v7().to_string().into(),
        Some("$busy-user") => seeds.busy_user_id.clone().into(),
        _ => value.clone(),
    }
}

/// The e-mail of the `n`th account.
pub(crate) fn email(n: u32) -> String {
    format!("ada+{n}@example.com")
}

/// A text in an answer, by its JSON pointer (RFC 6901).
pub(crate) fn text(answer: &str, pointer: &str) -> Result<String> {
    let answer: Value = serde_json::from_str(answer).context("an answer that is not JSON")?;
    let text = answer.pointer(pointer).and_then(Value::as_str);
    Ok(text
        .with_context(|| format!("an answer without {pointer}: {answer}"))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binaries::entries;

    #[test]
    fn every_function_has_a_request() {
        for info in rpc::ALL {
            let case = case(info, &Seeds::default(), 0);
            assert!(!case.path.contains('{'), "{}: {}", info.name, case.path);
        }
        for name in DECIDED.keys() {
            assert!(rpc::ALL.iter().any(|info| info.name == name), "{name}");
        }
        let known: Vec<_> = entries().iter().map(|entry| entry.info.name).collect();
        let all = || rpc::ALL.iter().filter(|info| !info.reads_fleet);
        assert!(all().all(|info| known.contains(&info.name)));
        assert_eq!(known.len(), all().count());
    }

    #[test]
    fn texts_are_found_in_answers() {
        let answer = r#"{"order": {"id": "7"}}"#;
        assert_eq!(text(answer, "/order/id").unwrap(), "7");
        assert!(text(answer, "/order/name").is_err());
        assert!(text("<html>", "/order/id").is_err());
    }
}
