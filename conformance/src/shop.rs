//! Who calls whom, by which wire.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde::Serialize;
use tonic::Code;
use uuid::Uuid;
use zerocart_auth::Token;
use zerocart_proto::{
    rpc::{self, Info, Rpc},
    user::{AuthRequest, CreateUserRequest},
    validate::Validate,
};
use zerocart_wires::{Client, Unusable, Wire};

use super::{
    Plan, Say,
    answer::{self, Answer, Failed, Failure},
    edge::Edge,
    inputs::Rest,
    refusal::Refusal,
    transcript::{self, Entry, OF_ENGINE, Plain, VARIES},
    wire::{Got, Input, call, pause, send, send_rest, shown},
};

/// The longest that a story waits because the gateway asks it to: its limits are per minute.
const MAX_WAIT: Duration = Duration::from_secs(61);

/// How often one call waits for that.
const MAX_WAITS: usize = 3;

/// What is told before and after all stories.
const PREPARATION: &str = "preparation";

/// The password of everybody who signs up.
pub(super) const PASSWORD: &str = "correct horse battery staple";

/// Somebody who calls.
#[derive(Clone, Debug)]
pub struct Who {
    /// For the report.
    pub name: String,
    /// UUID of the account; empty for the admin and for nobody.
    pub id: String,
    /// None for nobody.
    pub token: Option<Token>,
    /// Headers that they send besides.
    pub headers: Vec<(&'static str, HeaderValue)>,
}

impl Who {
    /// Somebody without a token.
    pub fn nobody() -> Self {
        Self {
            name: "nobody".into(),
            id: String::new(),
            token: None,
            headers: Vec::new(),
        }
    }

    /// Somebody without a token, who sends this header.
    pub(super) fn with_header(name: &str, header: (&'static str, HeaderValue)) -> Self {
        Self {
            name: name.to_owned(),
            headers: vec![header],
            ..Self::nobody()
        }
    }
}

/// What was asked for, for the transcript.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) function: &'static str,
    pub(super) request: &'a str,
    pub(super) keyed: bool,
    /// Whether engines may say it in other words.
    pub(super) varies: bool,
}

/// The public edge of an engine, by one wire, and the people of one run.
pub struct Shop {
    wire: Wire,
    /// One for each address that this calls from.
    clients: Vec<Client>,
    calls: AtomicUsize,
    edge: Edge,
    base: String,
    say: Say,
    /// In every name that this makes.
    run: Uuid,
    story: &'static str,
    answers: AtomicUsize,
    transcript: Mutex<(Plain, Vec<Entry>)>,
    /// What was sent that nobody may write.
    secrets: Mutex<BTreeSet<String>>,
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
            .field("clients", &self.clients)
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
        let sources = plan.sources.iter().copied().map(Some);
        let sources: Vec<_> = match plan.sources.is_empty() {
            true => vec![None],
            false => sources.collect(),
        };
        let clients = sources
            .into_iter()
            .map(|source| Client::from_source(wire, plan.url.clone(), source));
        let clients: Result<_, _> = clients.collect();
        let clients = clients.map_err(|error| {
            Box::new(Failure {
                story: PREPARATION.into(),
                function: name(wire),
                expected: "a base URL".into(),
                got: error.to_string(),
                request: plan.url.to_string(),
                answer: String::new(),
            })
        })?;
        Ok(Self {
            wire,
            clients,
            calls: AtomicUsize::new(0),
            edge: plan.edge,
            base: plan.url.to_string().trim_end_matches('/').to_owned(),
            say,
            run: Uuid::now_v7(),
            story: PREPARATION,
            answers: AtomicUsize::new(0),
            transcript: Mutex::default(),
            secrets: Mutex::default(),
            admin: Who {
                name: "the admin".into(),
                id: String::new(),
                token: Some(plan.admin.clone()),
                headers: Vec::new(),
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
    pub fn begin(&mut self, story: &'static str) {
        self.story = story;
        let transcript = self.transcript.get_mut();
        transcript.unwrap_or_else(PoisonError::into_inner).0 = Plain::default();
    }

    /// What is in front of the functions.
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Whether HTTP clients are meant: they get statuses and headers.
    pub fn is_rest(&self) -> bool {
        self.wire.is_json()
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
            headers: Vec::new(),
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
        let mut described = self.describe::<R>(&request);
        let message = serde_json::to_value(&request).unwrap_or_default();
        let fields = message.as_object().into_iter().flatten();
        self.keep_secret(fields.filter_map(|(name, value)| {
            let text = value.as_str()?;
            let secret = R::Request::SECRETS.contains(&name.as_str()) || text.contains('@');
            secret.then(|| text.to_owned())
        }));
        if let Some(key) = key {
            described.push_str(&format!(" under the key {key:.60}"));
        }
        described.push_str(&format!(" as {}", who.name));
        let request = &request;
        let call = |client| call::<R>(client, request);
        let got = self.patiently(&R::INFO, who, key, &described, call).await?;
        Ok(Answer::new(self, &who.name, described, key.is_some(), got))
    }

    /// `who` calls `R` over REST with this request, which says in other words what [`ask`] would.
    ///
    /// # Errors
    ///
    /// As [`ask`].
    ///
    /// [`ask`]: Self::ask
    pub(super) async fn ask_in<'a, R: Rpc>(
        &'a self,
        who: &'a Who,
        key: Option<&str>,
        (what, rest): (&str, &Rest),
    ) -> Result<Answer<'a, R>, Failed> {
        let described = format!("{} ({what}) as {}", self.address(&R::INFO), who.name);
        let call = |client| send_rest(client, rest);
        let got = self.patiently(&R::INFO, who, key, &described, call).await?;
        Ok(Answer::new(self, &who.name, described, key.is_some(), got))
    }

    /// `who` sends a request that is refused so, to the letter.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub(super) async fn refuses(
        &self,
        info: &'static Info,
        who: &Who,
        key: Option<&str>,
        (what, input): (&str, Input<'_>),
        refusal: &Refusal,
    ) -> Result<(), Failed> {
        let described = format!("{} ({what}) as {}", self.address(info), who.name);
        let call = |client| send(client, info, input);
        let got = self.patiently(info, who, key, &described, call).await?;
        if let Some((expected, told)) = refusal.differs(&got.outcome, got.body.as_ref()) {
            let answer = match &got.body {
                Some(body) => String::from_utf8_lossy(body).into_owned(),
                None => answer::told(&got.outcome),
            };
            return Err(Box::new(Failure {
                story: self.title(),
                function: info.name,
                request: described,
                expected,
                got: told,
                answer,
            }));
        }
        let said = [what.to_owned(), refusal.said(self.is_rest())];
        self.fine(info.name, &who.name, &said);
        let asked = Asked {
            function: info.name,
            request: &described,
            keyed: key.is_some(),
            varies: refusal.varies(),
        };
        // What some edge does not carry is not compared.
        let headers_are_text = who.headers.iter().all(|(_, value)| value.to_str().is_ok());
        if input.is_text() && headers_are_text {
            self.record(asked, &got);
        }
        Ok(())
    }

    /// `who` asks for a resource by GET and by HEAD, and gets the same head.
    ///
    /// # Errors
    ///
    /// When that is not so.
    pub(super) async fn has_head(
        &self,
        info: &'static Info,
        who: &Who,
        mut rest: Rest,
    ) -> Result<(), Failed> {
        let described = format!("HEAD of {} as {}", self.address(info), who.name);
        let get = rest.clone();
        let call = |client| send(client, info, Input::Rest(&get));
        let get = self.patiently(info, who, None, &described, call).await?;
        rest.method = Method::HEAD;
        let call = |client| send(client, info, Input::Rest(&rest));
        let head = self.patiently(info, who, None, &described, call).await?;
        let told = |got: &Got<_>| {
            let kind = got.outcome.header("content-type").map(str::to_owned);
            (got.outcome.http_status, kind)
        };
        let body = head.body.as_ref().map_or(0, Bytes::len);
        let (expected, got) = (told(&get), told(&head));
        if expected != got || body > 0 {
            return Err(Box::new(Failure {
                story: self.title(),
                function: info.name,
                request: described,
                expected: format!("{expected:?} and no body"),
                got: format!("{got:?} and {body} bytes"),
                answer: String::new(),
            }));
        }
        let said = [format!("HEAD: {}", got.0)];
        self.fine(info.name, &who.name, &said);
        let asked = Asked {
            function: info.name,
            request: &described,
            keyed: false,
            varies: false,
        };
        self.record(asked, &head);
        Ok(())
    }

    /// Calls, and again after a while where a limit was used up.
    async fn patiently<T, F>(
        &self,
        info: &'static Info,
        who: &Who,
        key: Option<&str>,
        described: &str,
        call: impl Fn(Client) -> F,
    ) -> Result<Got<T>, Failed>
    where
        F: Future<Output = Result<Got<T>, Unusable>>,
    {
        self.keep_secret(key.map(str::to_owned));
        self.keep_secret(who.token.iter().map(Token::to_authorization));
        let mut waits = 0;
        loop {
            let turn = self.calls.fetch_add(1, Ordering::Relaxed);
            let mut client = self.clients[turn % self.clients.len()].clone();
            if let Some(token) = &who.token {
                client = client.bearer(token);
            }
            if let Some(key) = key {
                client = client.header("idempotency-key", key);
            }
            for (name, value) in &who.headers {
                client = client.header_value(name, value.clone());
            }
            // On the heap: a call is a large future, and stories hold many.
            let got = Box::pin(call(client)).await.map_err(|error| {
                Box::new(Failure {
                    story: self.title(),
                    function: info.name,
                    request: described.to_owned(),
                    expected: "an answer as the contract says".into(),
                    got: error.to_string(),
                    answer: String::new(),
                })
            })?;
            match pause(&got.outcome) {
                Some(pause) if pause <= MAX_WAIT && waits < MAX_WAITS => {
                    waits += 1;
                    let seconds = pause.as_secs();
                    (self.say)(&format!(
                        "wait {}: the gateway's limit; again in {seconds} s",
                        info.name
                    ));
                    tokio::time::sleep(pause).await;
                }
                _ => return Ok(got),
            }
        }
    }

    /// Notes what was sent that nobody may write: tokens and idempotency keys, the secret fields of requests,
    /// and e-mail addresses.
    fn keep_secret(&self, texts: impl IntoIterator<Item = String>) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        // A token may stand without its scheme.
        secrets.extend(
            texts
                .into_iter()
                .map(|text| match text.strip_prefix("Bearer ") {
                    Some(token) => token.to_owned(),
                    None => text,
                }),
        );
    }

    /// What was noted since the last time.
    pub(super) fn take_secrets(&self) -> BTreeSet<String> {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *secrets)
    }

    /// The request for the report: without secrets.
    fn describe<R: Rpc>(&self, request: &R::Request) -> String {
        let mut message = serde_json::to_value(request).unwrap_or_default();
        for secret in R::Request::SECRETS {
            if let Some(value) = message.get_mut(secret) {
                *value = "…".into();
            }
        }
        format!("{} {message}", self.address(&R::INFO))
    }

    /// Where an RPC is, for the report.
    fn address(&self, info: &Info) -> String {
        let (method, path) = match self.is_rest() {
            true => (info.http_method, info.http_path),
            false => ("gRPC", info.grpc_path),
        };
        format!("{method} {}{path}", self.base)
    }

    /// A line of the report.
    pub(super) fn note(&self, line: &str) {
        (self.say)(line);
    }

    /// An answer was as expected.
    pub(super) fn fine(&self, function: &str, who: &str, said: &[String]) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        (self.say)(&format!("ok   {function} as {who}: {}", said.join(", ")));
    }

    /// What is being told.
    pub(super) fn title(&self) -> String {
        format!("{}, over {}", self.story, name(self.wire))
    }

    /// Adds an answer to the transcript.
    pub(super) fn record<T: Serialize>(&self, asked: Asked<'_>, got: &Got<T>) {
        let answer = match asked.varies {
            // What an edge says over HTTP has no code.
            true if got.body.is_some() => format!("{VARIES}: {}", got.outcome.http_status),
            true => format!("{VARIES}: {}", answer::name(got.outcome.code)),
            // Names, states and counts of the functions on that engine.
            false if reads_fleet(asked.function) && got.outcome.code == Code::Ok => {
                OF_ENGINE.to_owned()
            }
            false => shown(got),
        };
        let mut transcript = self
            .transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (plain, entries) = &mut *transcript;
        entries.push(Entry {
            story: self.story.to_owned(),
            protocol: transcript::protocol(self.wire),
            function: asked.function,
            asked: plain.of(&asked.request.replace(&self.base, "")),
            answer: plain.of(&answer),
            code: got.outcome.code,
            keyed: asked.keyed,
        });
    }

    /// What was recorded since the last time.
    pub(super) fn take_transcript(&self) -> Vec<Entry> {
        let mut transcript = self
            .transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut transcript.1)
    }
}

/// Whether a function answers what its engine knows, which is not the same anywhere.
fn reads_fleet(function: &str) -> bool {
    let mut all = rpc::ALL.iter();
    all.any(|info| info.name == function && info.reads_fleet)
}
