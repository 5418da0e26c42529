//! Secrets that are sent everywhere, and that nobody writes anywhere.
//!
//! Card numbers and tokens are put into every part of a request that may have text: fields of every
//! type, names of fields, paths, queries, headers, and what is no JSON and no message at all.
//! Passwords where passwords belong, well-formed and not. Then no error, no line of any log, no span
//! and no metric may hold one of them.

use std::{collections::BTreeSet, fs};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value as Field};
use serde_json::{Value, json};
use uuid::Uuid;
use zerocart_auth::Role;
use zerocart_proto::rpc::{self, Info};
use zerocart_runtime::redact::REDACTED;
use zerocart_test_support::clients::{Reply, Wire};

use super::{
    engine::{Data, Engine},
    forged::Keys,
    http::Http,
    telemetry::{command, spans},
};

const PASSWORD: &str = "canary-Tr0ub4dor&3";
const CARD: &str = "4111111111111111";
const GROUPED: &str = "5500 0000 0000 0004";
/// Well-formed, and signed by nobody.
const TOKEN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImNhbmFyeSJ9.eyJzdWIiOiJjYW5hcnkifQ.Y2FuYXJ5";

/// What is planted in every place.
const PLANTED: [&str; 3] = [CARD, GROUPED, TOKEN];

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_a_log_or_an_error() {
    let data = Data::new();
    let engine = Engine::start_with(&data, &["--log-level", "debug"]).await;
    let keys = Keys::of(&data);
    let pool = DescriptorPool::decode(zerocart_proto::DESCRIPTORS);
    let user = Uuid::now_v7().to_string();
    let planter = Planter {
        engine: &engine,
        pool: pool.expect("the descriptors are valid"),
        tokens: [Role::Customer, Role::Admin].map(|role| keys.token(&user, role)),
    };
    let mut errors = Vec::new();
    for info in rpc::ALL {
        errors.extend(planter.rest(info).await);
        errors.extend(planter.grpc(info).await);
    }
    errors.extend(planter.passwords().await);
    errors.extend(planter.at_the_gateway().await);

    let mut secrets: Vec<String> = PLANTED.map(str::to_owned).into();
    secrets.push(PASSWORD.into());
    secrets.extend(planter.tokens.clone());
    secrets.push(planter.signed_in().await);
    for set in [&keys.user, &keys.service] {
        let jwk: Value = serde_json::from_str(&set.current().to_private_jwk()).expect("a JWK");
        secrets.push(jwk["d"].as_str().expect("a private key").into());
    }
    let (_, password) = engine.admin_credential().expect("the first start shows it");
    secrets.push(password);
    let urls = engine.processes();
    let urls = urls
        .iter()
        .filter_map(|process| process.env("DATABASE_URL"));
    let databases = urls.filter_map(|url| {
        let (user_info, _) = url.split_once('@')?;
        Some(user_info.rsplit_once(':')?.1.to_owned())
    });
    let before = secrets.len();
    secrets.extend(databases);
    assert!(secrets.len() > before, "some function runs");
    let traces = command(&data, &["traces", "--json", "--limit", "1000000"]).await;
    let traces = traces.expect("it prints the traces");
    let status = fs::read_to_string(data.path().join("engine.json")).expect("the engine runs");
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let status = status["status"].as_str().expect("an address").to_owned();
    let metrics = Http::to(status, [127, 0, 0, 1].into(), Wire::Http1);
    let metrics = metrics.get("/metrics").await.text();
    // With it everything that was written is in the files.
    engine.stop().await;

    assert!(errors.len() > 500, "{}", errors.len());
    for error in &errors {
        assert_without(&secrets, error, "an error");
    }
    // It was hidden, not left out: the name of an unknown field is told.
    assert!(errors.iter().any(|error| error.contains(REDACTED)));
    assert_without(&secrets, &metrics, "the metrics");
    assert_without(&secrets, &traces, "the traces");
    assert!(traces.contains(REDACTED));
    let logs = data.path().join("logs");
    for entry in fs::read_dir(&logs).expect("an engine writes logs") {
        let path = entry.expect("it can be listed").path();
        let log = fs::read_to_string(&path).expect("a log is text");
        assert_without(&secrets, &log, &path.display().to_string());
    }
    let traces: Value = serde_json::from_str(&traces).expect("the traces are JSON");
    let refused: BTreeSet<_> = spans(&traces)
        .filter(|(_, span)| span.to_string().contains("zerocart.reason"))
        .map(|(function, _)| function)
        .collect();
    for info in rpc::ALL {
        assert!(refused.contains(info.name), "{}", info.name);
    }
}

#[track_caller]
fn assert_without(secrets: &[String], text: &str, what: &str) {
    for secret in secrets {
        if let Some(at) = text.find(secret.as_str()) {
            let from = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let line = text[from..].lines().next().unwrap_or_default();
            panic!("{what} holds {secret}: {line}");
        }
    }
}

struct Planter<'a> {
    engine: &'a Engine,
    pool: DescriptorPool,
    /// Of a customer and an admin.
    tokens: [String; 2],
}

impl Planter<'_> {
    fn function(&self, info: &Info, wire: Wire) -> Http {
        let authority = self.engine.function(info.name);
        Http::to(authority, [127, 0, 0, 1].into(), wire)
    }

    fn input(&self, info: &Info) -> MessageDescriptor {
        let path = info.grpc_path.trim_start_matches('/');
        let (service, method) = path.split_once('/').expect("a service and a method");
        let service = self.pool.get_service_by_name(service).expect("declared");
        let method = service.methods().find(|m| m.name() == method);
        method.expect("declared").input()
    }

    /// Values of the header `authorization`: good ones, which get a request further, and bad ones.
    fn authorizations(&self, planted: &str) -> Vec<String> {
        let [customer, admin] = &self.tokens;
        vec![
            format!("Bearer {customer}"),
            format!("Bearer {admin}"),
            format!("Bearer {planted}"),
            format!("Basic {planted}"),
            planted.to_owned(),
        ]
    }

    /// Requests over REST, past the gateway; gives the errors.
    async fn rest(&self, info: &Info) -> Vec<String> {
        let http = self.function(info, Wire::Http1);
        let method: Method = info.http_method.parse().expect("a method");
        let fields: Vec<String> = self
            .input(info)
            .fields()
            .map(|field| field.name().to_owned())
            .collect();
        let mut errors = Vec::new();
        for planted in PLANTED {
            let escaped = utf8_percent_encode(planted, NON_ALPHANUMERIC).to_string();
            let all = |value: Value| -> Value {
                let pairs = fields.iter().map(|name| (name.clone(), value.clone()));
                Value::Object(pairs.collect())
            };
            let bodies = [
                all(json!(planted)).to_string(),
                all(json!([planted])).to_string(),
                all(json!({planted: planted})).to_string(),
                all(json!(4_111_111_111_111_111_u64)).to_string(),
                json!({planted: planted}).to_string(),
                json!([planted]).to_string(),
                format!(
                    "{{\"{}\": \"{planted}",
                    fields.first().map_or("id", |name| name)
                ),
                planted.to_owned(),
            ];
            let path: Vec<_> = info
                .http_path
                .split('/')
                .map(|segment| {
                    if segment.starts_with('{') {
                        &escaped
                    } else {
                        segment
                    }
                })
                .collect();
            let path = path.join("/");
            let query: Vec<_> = fields
                .iter()
                .map(|name| format!("{name}={escaped}"))
                .collect();
            let paths = [
                path.clone(),
                format!("{path}?{}", query.join("&")),
                format!("{path}?{escaped}={escaped}"),
                format!("{path}/{escaped}"),
            ];
            for authorization in self.authorizations(planted) {
                let headers = [
                    ("authorization", authorization.as_str()),
                    ("idempotency-key", planted),
                    ("cookie", planted),
                    ("user-agent", planted),
                    ("traceparent", planted),
                    // Ends the call at once.
                    ("grpc-timeout", planted),
                ];
                // What a GET has no place for is sent all the same.
                let all = paths
                    .iter()
                    .zip([&bodies[..], &bodies[..1], &bodies[..1], &bodies[..1]]);
                for (path, bodies) in all {
                    for body in bodies {
                        let call = http.call(method.clone(), path, body.clone(), &headers[..5]);
                        errors.extend(error(Wire::Http1, &call.await));
                    }
                }
                let call = http.call(method.clone(), &path, bodies[0].clone(), &headers);
                errors.extend(error(Wire::Http1, &call.await));
            }
        }
        errors
    }

    /// Requests over gRPC, past the gateway; gives the errors.
    async fn grpc(&self, info: &Info) -> Vec<String> {
        let http = self.function(info, Wire::Grpc);
        let input = self.input(info);
        let mut errors = Vec::new();
        for planted in PLANTED {
            let mut message = DynamicMessage::new(input.clone());
            for field in input.fields() {
                if matches!(field.kind(), Kind::String) && !field.is_list() {
                    message.set_field(&field, Field::String(planted.to_owned()));
                }
            }
            let good = message.encode_to_vec();
            // Field 1, a text of two bytes that are no UTF-8; then what is no field at all.
            let bad = [&[0x0a, 2, 0xff, 0xff], planted.as_bytes()].concat();
            for authorization in self.authorizations(planted) {
                let headers = [
                    ("authorization", authorization.as_str()),
                    ("idempotency-key", planted),
                    ("traceparent", planted),
                ];
                for message in [&good[..], &bad, planted.as_bytes()] {
                    let reply = http.grpc(info.grpc_path, message, &headers).await;
                    errors.extend(error(Wire::Grpc, &reply));
                }
            }
        }
        errors
    }

    /// Passwords, where they belong; gives the errors.
    async fn passwords(&self) -> Vec<String> {
        let mut errors = Vec::new();
        for (info, path) in [
            (&<rpc::CreateUser as rpc::Rpc>::INFO, "/users"),
            (&<rpc::AuthenticateUser as rpc::Rpc>::INFO, "/auth/login"),
        ] {
            let http = self.function(info, Wire::Http1);
            let grpc = self.function(info, Wire::Grpc);
            let field = |value: Value| json!({"password": value}).to_string();
            let long = PASSWORD.repeat(20);
            for body in [
                field(json!(PASSWORD)),
                field(json!([PASSWORD])),
                field(json!({"is": PASSWORD})),
                field(json!(long)),
                json!({"password": PASSWORD, "email": 5}).to_string(),
                json!({"password": PASSWORD, "admin": true}).to_string(),
                format!("{{\"password\": \"{PASSWORD}"),
                format!("{{\"password\": \"{PASSWORD}\", \"password\": \"{PASSWORD}\"}}"),
                format!("{{\"password\": \"\\uD800{PASSWORD}\"}}"),
            ] {
                let reply = http.call(Method::POST, path, body, &[]).await;
                errors.extend(error(Wire::Http1, &reply));
            }
            let mut message = DynamicMessage::new(self.input(info));
            message.set_field_by_name("password", Field::String(long));
            let message = message.encode_to_vec();
            for message in [&message[..], &message[..message.len() - 4]] {
                let reply = grpc.grpc(info.grpc_path, message, &[]).await;
                errors.extend(error(Wire::Grpc, &reply));
            }
        }
        errors
    }

    /// Requests that the gateway answers itself; gives the errors.
    async fn at_the_gateway(&self) -> Vec<String> {
        let mut errors = Vec::new();
        for planted in PLANTED {
            let http = self.engine.http();
            let escaped = utf8_percent_encode(planted, NON_ALPHANUMERIC).to_string();
            let bearer = format!("Bearer {planted}");
            for path in [
                format!("/users/{escaped}"),
                format!("/users/{escaped}?jwt={escaped}"),
                format!("/nowhere/{escaped}?{escaped}"),
            ] {
                for headers in [&[][..], &[("authorization", bearer.as_str())]] {
                    let reply = http.call(Method::GET, &path, "", headers).await;
                    errors.extend(error(Wire::Http1, &reply));
                }
            }
        }
        errors
    }

    /// Signs up, fails to sign up again and to sign in, and signs in; gives the token.
    async fn signed_in(&self) -> String {
        let http = self.engine.http();
        let email = "canary@example.com";
        let sign_up = json!({"email": email, "name": "Canary", "password": PASSWORD});
        for status in [201, 409] {
            let reply = http.call(Method::POST, "/users", sign_up.to_string(), &[]);
            assert_eq!(reply.await.status, status);
        }
        let other = format!("{PASSWORD}!");
        for (password, status) in [(other.as_str(), 401), (PASSWORD, 200)] {
            let body = json!({"email": email, "password": password}).to_string();
            let reply = http.call(Method::POST, "/auth/login", body, &[]).await;
            assert_eq!(reply.status, status);
            if status == 200 {
                let answer: Value = reply.json();
                return answer["token"].as_str().expect("a token").to_owned();
            }
        }
        unreachable!("the right password signs in")
    }
}

/// All that a client is told by an answer that is no success: its body, over gRPC its status.
fn error(wire: Wire, reply: &Reply) -> Option<String> {
    if wire != Wire::Grpc {
        return (!reply.status.is_success()).then(|| reply.text());
    }
    let headers = reply.trailers.iter().chain([&reply.headers]);
    let mut texts = Vec::new();
    for headers in headers {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if text("grpc-status").is_none_or(|status| status == "0") {
            continue;
        }
        let message = text("grpc-message").unwrap_or_default();
        let message = percent_encoding::percent_decode_str(message);
        texts.push(message.decode_utf8_lossy().into_owned());
        let details = text("grpc-status-details-bin").unwrap_or_default();
        let details = STANDARD_NO_PAD.decode(details.trim_end_matches('='));
        texts.push(String::from_utf8_lossy(&details.expect("base64")).into_owned());
    }
    (!texts.is_empty()).then(|| texts.join("\n"))
}
