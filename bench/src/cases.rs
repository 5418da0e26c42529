//! For each function, a request that it answers well, and that queries PostgreSQL.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use zerocart_proto::rpc::Info;

use crate::http::Request;

/// The password of the seeded account.
const PASSWORD: &str = "correct horse battery staple";

/// What was put into the databases before anything is measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seeds {
    /// The e-mail of an account.
    pub(crate) email: String,
    /// Its id.
    pub(crate) user_id: String,
    /// The id of a product.
    pub(crate) product_id: String,
    /// An admin's token.
    pub(crate) token: String,
}

/// Whether a call of this function hashes a password (argon2id: 19 MiB, two passes), which takes
/// longer than all else and has nothing to do with starting.
pub(crate) fn hashes(name: &str) -> bool {
    matches!(name, "create-user" | "authenticate-user")
}

/// Whether this function needs the private key of the user issuer.
pub(crate) fn signs(name: &str) -> bool {
    name == "authenticate-user"
}

/// The request for the function of `info`. `n` is another number each time: no e-mail is taken
/// twice.
///
/// # Errors
///
/// For a function that this table does not know yet.
pub(crate) fn request(info: &Info, seeds: &Seeds, n: u32) -> Result<Request> {
    let (id, body): (&str, Option<Value>) = match info.name {
        "create-user" => {
            let email = email(n);
            let body = json!({"email": email, "name": "Ada Lovelace", "password": PASSWORD});
            ("", Some(body))
        }
        "authenticate-user" => {
            let body = json!({"email": seeds.email, "password": PASSWORD});
            ("", Some(body))
        }
        "get-user" => (&seeds.user_id, None),
        "create-product" => ("", Some(product(n))),
        "get-product" => (&seeds.product_id, None),
        "list-products" => ("", None),
        "update-inventory" => (&seeds.product_id, Some(json!({"quantity_change": 1}))),
        name => anyhow::bail!("bench/src/cases.rs has no request for {name}"),
    };
    let token = (!info.access.anyone).then_some(seeds.token.as_str());
    let path = fill(info.http_path, id);
    let body = body.map(|body| body.to_string());
    Ok(Request::new(
        info.http_method,
        &path,
        token,
        body.as_deref(),
    ))
}

/// The e-mail of the `n`th account.
pub(crate) fn email(n: u32) -> String {
    format!("ada+{n}@example.com")
}

/// The id of what a call created.
pub(crate) fn created(body: &str) -> Result<String> {
    let body: Value = serde_json::from_str(body).context("an answer that is not JSON")?;
    let id = ["user", "product"]
        .iter()
        .find_map(|what| body[what]["id"].as_str());
    Ok(id.context("an answer without id")?.to_owned())
}

fn product(n: u32) -> Value {
    json!({
        "name": format!("Teapot {n}"),
        "description": "Stoneware, 1.2 litres, with an infuser of stainless steel.",
        "price": 39.9,
        "inventory": 100,
    })
}

/// The path of a template with at most one parameter.
fn fill(template: &str, id: &str) -> String {
    match (template.find('{'), template.find('}')) {
        (Some(begin), Some(end)) => format!("{}{id}{}", &template[..begin], &template[end + 1..]),
        _ => template.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_request() {
        for entry in [zerocart_user::FUNCTIONS, zerocart_product::FUNCTIONS].concat() {
            request(entry.info, &Seeds::default(), 0).unwrap();
        }
    }

    #[test]
    fn paths_are_filled() {
        assert_eq!(
            fill("/products/{product_id}/inventory", "7"),
            "/products/7/inventory"
        );
        assert_eq!(fill("/users", "7"), "/users");
    }
}
