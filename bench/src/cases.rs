//! For each function, a request that it answers from its own database alone.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use uuid::Uuid;
use zerocart_proto::rpc::Info;

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
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) body: Option<String>,
    /// The status of the answer.
    pub(crate) status: u16,
    /// A description of the request, if the name of the function does not say it.
    pub(crate) note: &'static str,
}

impl Case {
    /// A GET without token.
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            token: None,
            body: None,
            status: 200,
            note: "",
        }
    }

    /// The call of a function: the values of its path's parameters, then its body.
    pub(crate) fn call(
        info: &Info,
        token: &str,
        parameters: &[(&str, &str)],
        body: Option<Value>,
    ) -> Self {
        Self {
            method: info.http_method,
            path: fill(info.http_path, parameters),
            token: (!info.access.anyone).then(|| token.to_owned()),
            body: body.map(|body| body.to_string()),
            status: if info.creates { 201 } else { 200 },
            note: "",
        }
    }

    fn answers(self, status: u16, note: &'static str) -> Self {
        Self {
            status,
            note,
            ..self
        }
    }

    /// The request as bytes.
    pub(crate) fn request(&self) -> Request {
        let (token, body) = (self.token.as_deref(), self.body.as_deref());
        Request::new(self.method, &self.path, token, body)
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

/// Whether this function is one of those.
pub(crate) fn apart(name: &str) -> Option<Apart> {
    match name {
        "create-user" | "authenticate-user" => Some(Apart::Hashes),
        "add-to-cart" => Some(Apart::Calls),
        _ => None,
    }
}

/// The request for the function of `info`, while no other function runs. `n` is a new number each
/// time, so no e-mail is used twice.
///
/// # Errors
///
/// For a function that this table does not know yet.
pub(crate) fn case(info: &Info, seeds: &Seeds, n: u32) -> Result<Case> {
    let call = |parameters: &[(&str, &str)], body| Case::call(info, &seeds.token, parameters, body);
    let (user, product) = (seeds.user_id.as_str(), seeds.product_id.as_str());
    let case = match info.name {
        "create-user" => {
            let email = email(n);
            let body = json!({"email": email, "name": "Ada Lovelace", "password": PASSWORD});
            call(&[], Some(body))
        }
        "authenticate-user" => {
            let body = json!({"email": seeds.email, "password": PASSWORD});
            call(&[], Some(body))
        }
        "get-user" => call(&[("id", user)], None),
        "create-product" => call(&[], Some(self::product(n))),
        "get-product" => call(&[("id", product)], None),
        "list-products" => call(&[], None),
        "update-inventory" => {
            let body = json!({"quantity_change": 1});
            call(&[("product_id", product)], Some(body))
        }
        "add-to-cart" => Case::get("/ready").answers(200, "only /ready: it needs get-product"),
        "get-cart" => call(&[("user_id", user)], None),
        "update-cart-item" => {
            let nothing = Uuid::now_v7().to_string();
            let line = [("user_id", user), ("product_id", &*nothing)];
            call(&line, Some(json!({"new_quantity": 0})))
                .answers(404, "0 of a line that is not there")
        }
        "remove-from-cart" => {
            let nothing = Uuid::now_v7().to_string();
            call(&[("user_id", user), ("product_id", &nothing)], None)
                .answers(404, "a line that is not there")
        }
        "clear-cart" => {
            let nobody = Uuid::now_v7().to_string();
            call(&[("user_id", &nobody)], None).answers(200, "a cart that never had a line")
        }
        "create-order" => {
            let body = json!({"user_id": seeds.busy_user_id});
            Case::call(info, &seeds.busy_token, &[], Some(body))
                .answers(409, "another order of the cart is being made")
        }
        "get-order" => call(&[("id", seeds.order_id.as_str())], None),
        "list-user-orders" => call(&[("user_id", user)], None),
        "update-order-status" => {
            let body = json!({"status": "DELIVERED"});
            call(&[("order_id", seeds.order_id.as_str())], Some(body))
                .answers(409, "not allowed for an order that is PAID")
        }
        "process-payment" => {
            let order = Uuid::now_v7().to_string();
            let body = json!({"order_id": order, "user_id": user, "amount": 39.9});
            call(&[], Some(body)).answers(200, "a charge, without delay")
        }
        "get-payment-status" => call(&[("payment_id", seeds.payment_id.as_str())], None),
        "set-failure-rate" => call(&[], Some(at_once())),
        name => anyhow::bail!("bench/src/cases.rs has no request for {name}"),
    };
    Ok(case)
}

/// The body that makes the simulated payment gateway answer at once and never fail.
pub(crate) fn at_once() -> Value {
    json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0})
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

fn product(n: u32) -> Value {
    json!({
        "name": format!("Teapot {n}"),
        "description": "Stoneware, 1.2 litres, with an infuser of stainless steel.",
        "price": 39.9,
        "inventory": 1_000_000,
    })
}

/// The path of a template.
fn fill(template: &str, parameters: &[(&str, &str)]) -> String {
    let mut path = template.to_owned();
    for (name, value) in parameters {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    path
}

#[cfg(test)]
mod tests {
    use zerocart_proto::rpc;

    use super::*;
    use crate::binaries::entries;

    #[test]
    fn every_function_has_a_request() {
        for info in rpc::ALL {
            let case = case(info, &Seeds::default(), 0).unwrap();
            assert!(!case.path.contains('{'), "{}: {}", info.name, case.path);
        }
        let known: Vec<_> = entries().iter().map(|entry| entry.info.name).collect();
        assert!(rpc::ALL.iter().all(|info| known.contains(&info.name)));
        assert_eq!(known.len(), rpc::ALL.len());
    }

    #[test]
    fn paths_are_filled() {
        let line = [("user_id", "7"), ("product_id", "8")];
        assert_eq!(
            fill("/carts/{user_id}/items/{product_id}", &line),
            "/carts/7/items/8"
        );
        assert_eq!(fill("/users", &[]), "/users");
    }

    #[test]
    fn texts_are_found_in_answers() {
        let answer = r#"{"order": {"id": "7"}}"#;
        assert_eq!(text(answer, "/order/id").unwrap(), "7");
        assert!(text(answer, "/order/name").is_err());
        assert!(text("<html>", "/order/id").is_err());
    }
}
