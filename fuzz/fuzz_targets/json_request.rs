//! Fuzzes requests of every RPC (path, query and JSON) in the router that its function serves.
//!
//! An input is a line `PATCH /products/1/inventory?x=y admin`, whose last word is the caller, and
//! the body. fuzz/README.md lists the properties.
#![no_main]

use std::{
    cell::RefCell,
    collections::HashSet,
    future::Future,
    marker::PhantomData,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use axum::{Router, body::Body};
use http::{Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::percent_decode_str;
use prost::Message;
use serde_json::{Map, Value};
use tower::ServiceExt;
use zerocart_auth::{Issuer, KeySet, Role, Signer};
use zerocart_core::{Call, Env, Error, Function, Invalid, Setup};
use zerocart_proto::rpc::{self, Info, Rpc};

/// The user who calls as a customer.
const ME: &str = "018f4e9a-7c1b-7def-8000-000000000001";

/// Longer than any fuzzing run.
const TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Words that a refusal must not contain: words of Rust, and names of the crates that we use.
const INTERNALS: [&str; 9] = [
    "serde",
    "expected",
    "invalid type",
    "invalid value",
    "struct",
    "::",
    "panicked",
    "prost",
    ".rs",
];

/// Part of a value, which must not appear in an answer: a client's value may be a password.
const CANARY: &str = "canary";

thread_local! {
    static SERVED: RefCell<Served> = RefCell::new(Served::new());
}

/// The request that the handler got, as JSON.
static SEEN: Mutex<Option<Value>> = Mutex::new(None);

fuzz_target!(|input: &[u8]| -> Corpus {
    let tried = SERVED.with_borrow_mut(|served| served.try_request(input));
    tried.map_or(Corpus::Reject, |()| Corpus::Keep)
});

/// Serves an RPC by keeping the request.
struct Keep<R>(PhantomData<R>);

impl<R: Rpc> Function for Keep<R> {
    type Rpc = R;

    fn build(_: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self(PhantomData))
    }

    fn call(
        &self,
        _: &Call,
        request: R::Request,
    ) -> impl Future<Output = Result<R::Response, Error>> + Send {
        let json = serde_json::to_string(&request).expect("a request can be written");
        let bytes = request.encode_to_vec();
        let again: R::Request = serde_json::from_str(&json).expect("what is written can be read");
        assert_eq!(again.encode_to_vec(), bytes, "{json} is another request");
        let again = R::Request::decode(bytes.as_slice()).expect("what is encoded can be decoded");
        let again = serde_json::to_value(&again).expect("a request can be written");
        // Compared as values, because a zero loses its sign in gRPC.
        let json = serde_json::from_str(&json).expect("it has just been read");
        assert_eq!(again, json, "gRPC makes another request");
        *SEEN.lock().expect("nobody panics and goes on") = Some(json);
        std::future::ready(Ok(R::Response::default()))
    }
}

struct Served {
    routers: Vec<(&'static Info, Router)>,
    tokens: Vec<(&'static str, String)>,
    runtime: tokio::runtime::Runtime,
}

impl Served {
    fn new() -> Self {
        let [user, service] = [(); 2].map(|()| KeySet::generate().expect("there are random bytes"));
        let env = Env::from_iter([
            ("AUTH_USER_KEYS", user.keys().to_string()),
            ("AUTH_SERVICE_KEYS", service.keys().to_string()),
        ]);
        let mut routers = Vec::new();
        macro_rules! serve {
            ($($rpc:ident)*) => {$(
                let built = zerocart_runtime::build::<Keep<rpc::$rpc>>(env.clone());
                routers.push((&rpc::$rpc::INFO, built.expect("it needs no more").router));
            )*};
        }
        zerocart_proto::for_each_rpc!(serve);
        let sign = |issuer, keys: &KeySet, subject, role| {
            let token =
                Signer::new(issuer, keys.current()).issue(subject, role, TTL, SystemTime::now());
            token
                .expect("the issuer may give this role")
                .to_authorization()
        };
        let tokens = vec![
            ("customer", sign(Issuer::User, &user, ME, Role::Customer)),
            (
                "admin",
                sign(
                    Issuer::User,
                    &user,
                    "018f4e9a-7c1b-7def-8000-000000000002",
                    Role::Admin,
                ),
            ),
            (
                "service",
                sign(Issuer::Service, &service, "create-order", Role::Service),
            ),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        Self {
            routers,
            tokens,
            runtime: runtime.expect("it needs nothing"),
        }
    }

    fn try_request(&mut self, input: &[u8]) -> Option<()> {
        let end = input
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(input.len());
        let line = str::from_utf8(&input[..end]).ok()?;
        let body = input.get(end + 1..).unwrap_or_default();
        let mut words = line.split(' ');
        let (method, uri) = (words.next()?, words.next()?.parse::<Uri>().ok()?);
        let caller = words.next().unwrap_or_default();
        let (info, router) = self
            .routers
            .iter()
            .find(|(info, _)| info.http_method == method && params(info, uri.path()).is_some())?;

        let token = self.tokens.iter().find(|(name, _)| *name == caller);
        let given = Given {
            info,
            uri: &uri,
            body,
            caller: token.map_or("", |(name, _)| name),
        };
        let token = token.map(|(_, token)| token.as_str());
        let seen = ask(&self.runtime, router, &given, token, body);
        if let Some(seen) = seen {
            given.is_kept_by(&seen);
            if info.http_body {
                // The request is the same after writing and reading it.
                let again = ask(
                    &self.runtime,
                    router,
                    &given,
                    token,
                    seen.to_string().as_bytes(),
                );
                assert_eq!(
                    again.as_ref(),
                    Some(&seen),
                    "{} says it another way",
                    info.name
                );
            }
        }
        Some(())
    }
}

/// The request that the handler gets. If the handler is not called, the answer must be an allowed
/// refusal.
fn ask(
    runtime: &tokio::runtime::Runtime,
    router: &Router,
    given: &Given<'_>,
    token: Option<&str>,
    body: &[u8],
) -> Option<Value> {
    let mut request = Request::builder()
        .method(given.info.http_method)
        .uri(given.uri.clone());
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, token);
    }
    let request = request
        .body(Body::from(body.to_vec()))
        .expect("its parts are valid");
    let (parts, body) = runtime.block_on(async {
        let Ok(answer) = router.clone().oneshot(request).await;
        let (parts, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .expect("the body is in memory")
            .to_bytes();
        (parts, body)
    });
    let seen = SEEN.lock().expect("nobody panics and goes on").take();
    if seen.is_none() {
        let kind = parts.headers.get(header::CONTENT_TYPE);
        assert_eq!(
            kind.map(|kind| kind.as_bytes()),
            Some(b"application/problem+json".as_slice())
        );
        let problem = serde_json::from_slice(&body).expect("a problem is JSON");
        given.may_be_refused_by(parts.status, &problem);
    }
    seen
}

/// A parsed input.
struct Given<'a> {
    info: &'static Info,
    uri: &'a Uri,
    body: &'a [u8],
    caller: &'static str,
}

impl Given<'_> {
    /// The handler's request is what was sent, and the caller has access.
    fn is_kept_by(&self, seen: &Value) {
        let name = self.info.name;
        let access = &self.info.access;
        let by_role = access.roles.iter().any(|role| role.as_str() == self.caller);
        let is_me = |id: &Value| id.as_str().is_some_and(|id| id.eq_ignore_ascii_case(ME));
        let by_self = access.self_field.is_some_and(|field| is_me(&seen[field]));
        let by_self = self.caller == "customer" && (by_self || access.owner);
        assert!(
            access.anyone || by_role || by_self,
            "{name} lets {:?} in: {seen}",
            self.caller
        );

        let params = params(self.info, self.uri.path()).expect("the request was sent to this path");
        for (field, value) in &params {
            // The parameters of the path are ids.
            assert_eq!(
                seen[field],
                value.to_ascii_lowercase(),
                "{name}: {field} is not what the path says"
            );
        }
        let query = self.uri.query().unwrap_or_default();
        let names: Vec<_> = query
            .split('&')
            .map(|pair| pair.split('=').next().unwrap_or_default().replace('+', " "))
            .filter_map(|name| Some(percent_decode_str(&name).decode_utf8().ok()?.into_owned()))
            .map(|name| snake_case(&name))
            .filter(|name| !name.starts_with('_') && seen.get(name).is_some())
            .collect();
        if self.info.http_body {
            assert_eq!(names, [""; 0], "{name} ignores its query");
            self.is_body_of(seen);
        } else {
            let distinct: HashSet<_> = names.iter().collect();
            assert_eq!(
                names.len(),
                distinct.len(),
                "{name} takes one of two: {query}"
            );
        }
    }

    /// Nothing in the body was left out or changed.
    fn is_body_of(&self, seen: &Value) {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(self.body);
        if body.is_empty() {
            return;
        }
        let body: Map<String, Value> = serde_json::from_slice(body).expect("it was accepted");
        for (name, said) in &body {
            let field = snake_case(name);
            match (said, &seen[&field]) {
                (Value::Null, _) => {}
                (Value::String(said), Value::String(kept)) => {
                    // An id is the same in lower case.
                    assert!(
                        said == kept || said.to_ascii_lowercase() == *kept,
                        "{name}: {said:?}, {kept:?}"
                    );
                }
                (Value::Number(said), Value::Number(kept)) => {
                    assert_eq!(said.as_f64(), kept.as_f64(), "{name} is another number");
                }
                (Value::String(said), Value::Number(kept)) => {
                    // A number of a query is a number of JSON, too: no plus, no leading zero.
                    let said: serde_json::Number = said.parse().expect("a number of JSON");
                    assert_eq!(said.as_f64(), kept.as_f64(), "{name} is another number");
                }
                (_, kept) => assert!(!kept.is_null(), "{name} is left out"),
            }
        }
    }

    /// A refusal is a 4xx, has only our words, and has nothing that the client sent.
    fn may_be_refused_by(&self, status: StatusCode, problem: &Value) {
        assert!(status.is_client_error(), "{status}: {problem}");
        assert_eq!(problem["status"], status.as_u16(), "{problem}");
        for member in ["type", "title", "detail", "code", "trace_id"] {
            assert!(problem[member].is_string(), "{member} of {problem}");
        }
        let errors = problem["errors"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        // If there are field errors, the detail is the first of them, and so may have a field's
        // name as the client wrote it.
        let detail = if errors.is_empty() {
            &problem["detail"]
        } else {
            &problem["title"]
        };
        let described = errors.iter().map(|error| error["description"].as_str());
        for text in described.chain([problem["title"].as_str(), detail.as_str()]) {
            let text = text.expect("a text");
            let internal = INTERNALS
                .iter()
                .chain([&CANARY])
                .find(|word| text.contains(**word));
            assert_eq!(internal, None, "{text:?}");
        }
    }
}

/// The parameters of a path that is one of the RPC's.
fn params(info: &Info, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    let mut given = path.split('/');
    for wanted in info.http_path.split('/') {
        let given = given.next()?;
        match wanted
            .strip_prefix('{')
            .and_then(|wanted| wanted.strip_suffix('}'))
        {
            Some(_) if given.is_empty() => return None,
            Some(name) => params.push((name, percent_decode_str(given).decode_utf8_lossy().into())),
            None if given != wanted => return None,
            None => {}
        }
    }
    given.next().is_none().then_some(params)
}

/// The name in `proto/` of a field that may be called by its name in JSON.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
