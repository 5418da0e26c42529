//! Who calls whom, by which wire.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::Value;
use tonic::Code;
use uuid::Uuid;
use zerocart_auth::Token;
use zerocart_proto::{
    rpc::{self, Rpc},
    user::{AuthRequest, CreateUserRequest},
    validate::Validate,
};
use zerocart_runtime::Kind;
use zerocart_test_support::clients::{Client, Outcome, Reply, Unusable, Wire, http_request};

use super::{
    Plan, Say,
    answer::{Answer, Failed, Failure},
};

/// The longest that a story waits because the gateway asks it to: its limits are per minute.
const MAX_WAIT: Duration = Duration::from_secs(61);

/// How often one call waits for that.
const MAX_WAITS: usize = 3;

/// The password of everybody who signs up.
const PASSWORD: &str = "correct horse battery staple";

/// Somebody who calls.
#[derive(Clone, Debug)]
pub struct Who {
    /// For the report.
    pub name: String,
    /// UUID of the account; empty for the admin and for nobody.
    pub id: String,
    /// None for nobody.
    pub token: Option<Token>,
}

impl Who {
    /// Somebody without a token.
    pub fn nobody() -> Self {
        Self {
            name: "nobody".into(),
            id: String::new(),
            token: None,
        }
    }
}

/// The public edge of an engine, by one wire, and the people of one run.
pub struct Shop {
    client: Client,
    base: String,
    say: Say,
    /// In every name that this makes.
    run: Uuid,
    title: String,
    answers: AtomicUsize,
    /// An admin.
    pub admin: Who,
    /// A customer.
    pub buyer: Who,
    /// Another customer.
    pub stranger: Who,
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop")
            .field("client", &self.client)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

/// What a wire is called.
pub fn name(wire: Wire) -> &'static str {
    match wire {
        Wire::Http1 => "REST",
        Wire::Http2 => "REST (h2c)",
        Wire::Grpc => "gRPC",
        Wire::GrpcWeb => "gRPC-Web",
    }
}

impl Shop {
    /// The shop for what only an admin does: there are no customers.
    ///
    /// # Errors
    ///
    /// When the URL is none.
    pub fn of_admin(plan: &Plan, wire: Wire, say: Say) -> Result<Self, Failed> {
        let title = "preparation".to_owned();
        let client = Client::to(wire, plan.url.clone()).map_err(|error| {
            Box::new(Failure {
                story: title.clone(),
                function: name(wire),
                expected: "a base URL".into(),
                got: error.to_string(),
                request: plan.url.to_string(),
                answer: String::new(),
            })
        })?;
        Ok(Self {
            client,
            base: plan.url.to_string().trim_end_matches('/').to_owned(),
            say,
            run: Uuid::now_v7(),
            title,
            answers: AtomicUsize::new(0),
            admin: Who {
                name: "the admin".into(),
                id: String::new(),
                token: Some(plan.admin.clone()),
            },
            buyer: Who::nobody(),
            stranger: Who::nobody(),
        })
    }

    /// The shop with two customers, who have just signed up.
    ///
    /// # Errors
    ///
    /// When they cannot.
    pub async fn open(plan: &Plan, wire: Wire, say: Say) -> Result<Self, Failed> {
        let mut shop = Self::of_admin(plan, wire, say)?;
        shop.buyer = shop.newcomer("Ada").await?;
        shop.stranger = shop.newcomer("Mallory").await?;
        Ok(shop)
    }

    /// From here on another story is told.
    pub fn begin(&mut self, title: String) {
        self.title = title;
    }

    /// Whether HTTP clients are meant: they get statuses and headers.
    pub fn is_rest(&self) -> bool {
        self.client.wire().is_json()
    }

    /// How many answers were as expected.
    pub fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    /// A name that no other run uses.
    pub fn unique(&self, name: &str) -> String {
        format!("{name} {}", self.run.simple())
    }

    /// An idempotency key that no other run uses.
    pub fn key(&self, name: &str) -> String {
        format!("{name}-{}", self.run.simple())
    }

    /// Somebody signs up and logs in.
    ///
    /// # Errors
    ///
    /// When that is not possible.
    pub async fn newcomer(&self, name: &str) -> Result<Who, Failed> {
        let nobody = Who::nobody();
        let email = format!("{}.{}@example.com", name.to_lowercase(), self.run.simple());
        let sign_up = CreateUserRequest {
            email: email.clone(),
            name: name.into(),
            password: PASSWORD.into(),
        };
        let user = |user: &Option<zerocart_proto::user::User>| user.clone().unwrap_or_default();
        let made = self.ask::<rpc::CreateUser>(&nobody, sign_up).await?.ok();
        let made = made
            .same("e-mail", |r| user(&r.user).email, &email)
            .holds("an id", |r| !user(&r.user).id.is_empty())
            .response()?;
        let id = user(&made.user).id;
        let log_in = AuthRequest {
            email: email.to_uppercase(),
            password: PASSWORD.into(),
        };
        let logged_in = self.ask::<rpc::AuthenticateUser>(&nobody, log_in).await?;
        let logged_in = logged_in
            .ok()
            .is("success", |r| r.success, true)
            .same("that account", |r| user(&r.user).id, &id)
            .holds("a token", |r| !r.token.is_empty())
            .response()?;
        Ok(Who {
            name: name.into(),
            id,
            token: Some(Token::new(logged_in.token)),
        })
    }

    /// `who` calls `R`.
    ///
    /// # Errors
    ///
    /// When there is no answer, or one of another form than the contract gives it.
    pub async fn ask<'a, R: Rpc>(
        &'a self,
        who: &'a Who,
        request: R::Request,
    ) -> Result<Answer<'a, R>, Failed> {
        self.ask_with::<R>(who, None, request).await
    }

    /// `who` calls `R` under an idempotency key.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_under<'a, R: Rpc>(
        &'a self,
        who: &'a Who,
        key: &str,
        request: R::Request,
    ) -> Result<Answer<'a, R>, Failed> {
        self.ask_with::<R>(who, Some(key), request).await
    }

    async fn ask_with<'a, R: Rpc>(
        &'a self,
        who: &'a Who,
        key: Option<&str>,
        request: R::Request,
    ) -> Result<Answer<'a, R>, Failed> {
        let mut client = self.client.clone();
        if let Some(token) = &who.token {
            client = client.bearer(token);
        }
        let mut described = self.describe::<R>(&request);
        if let Some(key) = key {
            client = client.header("idempotency-key", key);
            described.push_str(&format!(" under the key {key}"));
        }
        described.push_str(&format!(" as {}", who.name));
        let mut waits = 0;
        loop {
            let outcome = match call::<R>(&client, &request).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    return Err(Box::new(Failure {
                        story: self.title.clone(),
                        function: R::INFO.name,
                        request: described,
                        expected: "an answer as the contract says".into(),
                        got: error.to_string(),
                        answer: String::new(),
                    }));
                }
            };
            match pause(&outcome) {
                Some(pause) if pause <= MAX_WAIT && waits < MAX_WAITS => {
                    waits += 1;
                    let seconds = pause.as_secs();
                    (self.say)(&format!(
                        "wait {}: the gateway's limit; again in {seconds} s",
                        R::INFO.name
                    ));
                    tokio::time::sleep(pause).await;
                }
                _ => return Ok(Answer::new(self, &who.name, described, outcome)),
            }
        }
    }

    /// The request for the report: without secrets.
    fn describe<R: Rpc>(&self, request: &R::Request) -> String {
        let mut message = serde_json::to_value(request).unwrap_or_default();
        for secret in R::Request::SECRETS {
            if let Some(value) = message.get_mut(secret) {
                *value = "…".into();
            }
        }
        let (method, path) = match self.is_rest() {
            true => (R::INFO.http_method, R::INFO.http_path),
            false => ("gRPC", R::INFO.grpc_path),
        };
        format!("{method} {}{path} {message}", self.base)
    }

    /// An answer was as expected.
    pub(super) fn fine(&self, function: &str, who: &str, said: &[String]) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        (self.say)(&format!("ok   {function} as {who}: {}", said.join(", ")));
    }

    /// What is being told.
    pub(super) fn title(&self) -> &str {
        &self.title
    }
}

/// Calls `R`, of which the gateway may answer itself.
async fn call<R: Rpc>(
    client: &Client,
    request: &R::Request,
) -> Result<Outcome<R::Response>, Unusable> {
    if !client.wire().is_json() {
        return client.try_call::<R>(request).await;
    }
    let reply = client.try_send(http_request::<R>(request)).await?;
    match of_gateway(&reply) {
        Some(outcome) => Ok(outcome),
        None => reply.try_outcome(),
    }
}

/// What the gateway answers itself is no problem document: it has a `message`, as Kong says it.
fn of_gateway<T>(reply: &Reply) -> Option<Outcome<T>> {
    let media_type = reply.headers.get(http::header::CONTENT_TYPE)?;
    let json = media_type.to_str().ok()?.starts_with("application/json");
    if reply.status.is_success() || !json {
        return None;
    }
    let body: Value = serde_json::from_slice(&reply.body).ok()?;
    let http_status = reply.status.as_u16();
    Some(Outcome {
        code: Kind::of_http_status(http_status).grpc_code(),
        http_status,
        message: body.get("message")?.as_str()?.to_owned(),
        fields: Vec::new(),
        retry_after: None,
        trace_id: None,
        metadata: Default::default(),
        headers: reply.headers.clone(),
        response: None,
    })
}

/// How long to wait, where a limit was used up.
fn pause<T>(outcome: &Outcome<T>) -> Option<Duration> {
    if outcome.code != Code::ResourceExhausted {
        return None;
    }
    let seconds = outcome.header("retry-after")?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    fn reply(status: StatusCode, media_type: &'static str, body: &'static str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(media_type));
        headers.insert("retry-after", HeaderValue::from_static("7"));
        Reply {
            status,
            headers,
            trailers: None,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn the_gateways_own_answers_are_understood() {
        let limited = reply(
            StatusCode::TOO_MANY_REQUESTS,
            "application/json; charset=utf-8",
            "{\n  \"message\":\"API rate limit exceeded\"\n}",
        );
        let outcome = of_gateway::<()>(&limited).unwrap();
        assert_eq!(outcome.code, Code::ResourceExhausted);
        assert_eq!(outcome.message, "API rate limit exceeded");
        assert_eq!(pause(&outcome), Some(Duration::from_secs(7)));

        let unauthorized = reply(
            StatusCode::UNAUTHORIZED,
            "application/json",
            "{\"message\":\"Unauthorized\"}",
        );
        let outcome = of_gateway::<()>(&unauthorized).unwrap();
        assert_eq!(
            (outcome.code, outcome.http_status),
            (Code::Unauthenticated, 401)
        );
        assert_eq!(pause(&outcome), None);

        let problem = reply(StatusCode::CONFLICT, "application/problem+json", "{}");
        assert!(of_gateway::<()>(&problem).is_none());
        let success = reply(StatusCode::OK, "application/json", "{\"message\":\"\"}");
        assert!(of_gateway::<()>(&success).is_none());
    }
}
