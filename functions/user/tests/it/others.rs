//! The functions of the other domains, which are told of void tokens.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use zerocart_auth::Token;
use zerocart_core::{Env, Error, Function, Platform};
use zerocart_proto::{
    rpc::{
        GetUser, RecordVoidInCart, RecordVoidInOps, RecordVoidInOrder, RecordVoidInPayment,
        RecordVoidInProduct, Rpc,
    },
    user::{GetUserRequest, UserResponse},
    voids::{RecordVoidRequest, RecordVoidResponse},
};
use zerocart_runtime::job::{JobError, run_once};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::{Running, Script},
};
use zerocart_user::DeliverVoids;

use crate::Domain;

/// The copy of the list of void tokens is never used twice.
pub(crate) const AT_ONCE: (&str, &str) = ("TOKEN_VOIDS_MAX_AGE_MS", "1");

/// A void as another domain got it: the user, the generation, and the function that sent it.
type Told = (String, i32, String);

#[derive(Default)]
struct State {
    told: BTreeMap<&'static str, Vec<Told>>,
    down: Option<&'static str>,
}

/// The functions of the other domains.
pub(crate) struct Others {
    state: Arc<Mutex<State>>,
    running: Vec<(&'static str, Running)>,
}

impl Others {
    pub(crate) async fn start(domain: &Domain) -> Self {
        let mut others = Self {
            state: Arc::default(),
            running: Vec::new(),
        };
        others.add::<RecordVoidInProduct>(domain).await;
        others.add::<RecordVoidInCart>(domain).await;
        others.add::<RecordVoidInOrder>(domain).await;
        others.add::<RecordVoidInPayment>(domain).await;
        others.add::<RecordVoidInOps>(domain).await;
        others
    }

    async fn add<R>(&mut self, domain: &Domain)
    where
        R: Rpc<Request = RecordVoidRequest, Response = RecordVoidResponse>,
    {
        let state = Arc::clone(&self.state);
        let script = Script::<R>::new(move |cx, request| {
            let mut state = state.lock().unwrap();
            let answer = if state.down == Some(R::INFO.domain) {
                Err(Error::unavailable("down", Duration::from_millis(1)))
            } else {
                let sender = cx.identity.unwrap().subject;
                let told = state.told.entry(R::INFO.domain).or_default();
                told.push((request.user_id, request.generation, sender));
                Ok(RecordVoidResponse {
                    generation: request.generation,
                    ..Default::default()
                })
            };
            std::future::ready(answer)
        });
        let running = Running::scripted(domain.env(), script).await;
        self.running.push((R::INFO.name, running));
    }

    /// The domain that does not answer from now on.
    pub(crate) fn is_down(&self, domain: Option<&'static str>) {
        self.state.lock().unwrap().down = domain;
    }

    /// What each domain was told since this was last asked.
    pub(crate) fn told(&self) -> BTreeMap<&'static str, Vec<Told>> {
        std::mem::take(&mut self.state.lock().unwrap().told)
    }

    fn env(&self, domain: &Domain) -> Vec<(String, String)> {
        let mut env = domain.env();
        let key = domain.authority.service_keys().current().to_private_jwk();
        env.push(("AUTH_SERVICE_SIGNING_KEY".into(), key.to_string()));
        let urls = self.running.iter();
        let urls: BTreeMap<_, _> = urls
            .map(|(name, at)| (*name, format!("http://{}", at.address())))
            .collect();
        env.push(("FUNCTION_URLS".into(), json!(urls).to_string()));
        env
    }

    /// A function that tells these domains.
    pub(crate) async fn start_function<F: Function>(
        &self,
        domain: &Domain,
        more: &[(&str, &str)],
    ) -> Running {
        let more = more.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        Running::start::<F>(self.env(domain).into_iter().chain(more)).await
    }

    /// A run of the job.
    pub(crate) async fn deliver(&self, domain: &Domain) -> Result<Value, JobError> {
        let env: Env = self.env(domain).into_iter().collect();
        let done = run_once::<DeliverVoids>(Platform::default(), env).await;
        done.map(Value::Object)
    }
}

pub(crate) fn each_was_told(
    user: &str,
    generation: i32,
    sender: &str,
) -> BTreeMap<&'static str, Vec<Told>> {
    let told = (user.to_owned(), generation, sender.to_owned());
    ["product", "cart", "order", "payment", "ops"]
        .into_iter()
        .map(|domain| (domain, vec![told.clone()]))
        .collect()
}

/// What get-user says to the owner of this token.
pub(crate) async fn read(
    wire: Wire,
    function: &Running,
    token: &Token,
    id: &str,
) -> Outcome<UserResponse> {
    let client = Client::new(wire, function.address()).bearer(token);
    client
        .call::<GetUser>(&GetUserRequest { id: id.to_owned() })
        .await
}
