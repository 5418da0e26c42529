//! The floor of a cold start: get-product with axum and tokio-postgres, and nothing else.
//!
//! It is a hand-written program for this one purpose: one thread, one connection (SCRAM, opened as
//! soon as the port is), one prepared statement, JSON by hand. It has no roles, deadline, logs,
//! metrics, gRPC or pool. `zerocart-bench cold` compares the functions with it.
//!
//! It reads `PORT` and `DATABASE_URL`, and serves until it is killed.

#![expect(
    clippy::disallowed_methods,
    reason = "the runtime, which reads the environment elsewhere, is what this does without"
)]

use std::{fmt::Write, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{Response, StatusCode, header},
    routing::get,
};
use tokio::{net::TcpListener, sync::OnceCell};
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

const SELECT: &str = "SELECT id, name, description, (price * 100)::bigint, inventory, \
     to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
     FROM products WHERE id = $1";

struct Floor {
    url: String,
    database: OnceCell<(Client, Statement)>,
}

impl Floor {
    /// The connection. The first caller opens it, and the others wait for it.
    async fn database(&self) -> &(Client, Statement) {
        let open = || async {
            let connected = tokio_postgres::connect(&self.url, NoTls).await;
            let (client, connection) = connected.expect("the database can be reached");
            tokio::spawn(connection);
            let select = client.prepare(SELECT).await;
            (client, select.expect("the statement is valid"))
        };
        self.database.get_or_init(open).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port: u16 = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .expect("PORT is a port");
    let floor = Arc::new(Floor {
        url: std::env::var("DATABASE_URL").expect("DATABASE_URL is set"),
        database: OnceCell::new(),
    });
    let router = Router::new()
        .route(
            "/health",
            get(async || json(StatusCode::OK, "{\"status\":\"ok\"}")),
        )
        .route("/ready", get(ready))
        .route("/products/{id}", get(product))
        .with_state(Arc::clone(&floor));
    let listener = TcpListener::bind(("0.0.0.0", port)).await;
    let listener = listener.expect("the port is free");
    tokio::spawn(async move {
        floor.database().await;
    });
    axum::serve(listener, router)
        .await
        .expect("serves for ever");
}

async fn ready(State(floor): State<Arc<Floor>>) -> Response<Body> {
    let (client, _) = floor.database().await;
    match client.simple_query("").await {
        Ok(_) => json(StatusCode::OK, "{\"status\":\"ready\"}"),
        Err(_) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            "{\"status\":\"unavailable\"}",
        ),
    }
}

async fn product(State(floor): State<Arc<Floor>>, Path(id): Path<String>) -> Response<Body> {
    let Ok(id) = Uuid::try_parse(&id) else {
        return json(
            StatusCode::BAD_REQUEST,
            "{\"detail\":\"id must be a UUID\"}",
        );
    };
    let (client, select) = floor.database().await;
    let row = match client.query_opt(select, &[&id]).await {
        Ok(Some(row)) => row,
        Ok(None) => return json(StatusCode::NOT_FOUND, "{\"detail\":\"no such product\"}"),
        Err(_) => return json(StatusCode::INTERNAL_SERVER_ERROR, "{\"detail\":\"failed\"}"),
    };
    let cents: i64 = row.get(3);
    let mut body = format!(
        "{{\"product\":{{\"id\":\"{}\",\"name\":",
        row.get::<_, Uuid>(0)
    );
    quote(&mut body, row.get(1));
    body.push_str(",\"description\":");
    quote(&mut body, row.get(2));
    let (inventory, created_at): (i32, &str) = (row.get(4), row.get(5));
    let (units, hundredths) = (cents / 100, cents % 100);
    let _ = write!(
        body,
        ",\"price\":{units}.{hundredths:02},\"inventory\":{inventory},\"created_at\":\"{created_at}\"}},\"message\":\"\"}}"
    );
    json(StatusCode::OK, body)
}

/// Appends `text` as a JSON string (RFC 8259, section 7).
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn json(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.into())
        .expect("constants make a valid response")
}
