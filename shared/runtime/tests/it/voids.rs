//! Void tokens.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;
use tonic::Code;
use zerocart_auth::{Issuer, Role, Signer, Token};
use zerocart_core::{
    Call, Env, Error, Function, Invalid, Platform, Request, Setup,
    voids::{Moment, Reading, VoidList, Voids},
};
use zerocart_proto::{
    product::{InventoryResponse, ProductResponse, UpdateInventoryRequest},
    rpc::{GetProduct, UpdateInventory},
};
use zerocart_test_support::{
    clients::{Client, Outcome, Wire},
    functions::{Authority, PATIENCE, Running},
};

use crate::{ME, OTHER, TEA, get_tea, tea};

/// A list that a test writes.
#[derive(Clone, Default)]
struct List(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The first generation of the tokens of [`ME`] that is good.
    good_from: Mutex<u32>,
    /// Whether a read fails.
    down: Mutex<bool>,
    at_start: Mutex<bool>,
    reads: AtomicUsize,
    /// How many reads beside the calls may end.
    refreshes: Mutex<Option<Arc<Semaphore>>>,
}

impl List {
    fn voids(&self) -> Voids {
        let good_from = *self.0.good_from.lock().unwrap();
        Voids::new(Moment::now(), [(ME.to_owned(), good_from)])
    }
}

impl VoidList for List {
    fn at_start(&self) -> Reading<'_, Option<Voids>> {
        Box::pin(async { self.0.at_start.lock().unwrap().then(|| self.voids()) })
    }

    fn read<'a>(&'a self, _: &'a Call) -> Reading<'a, Result<Voids, Error>> {
        Box::pin(async {
            self.0.reads.fetch_add(1, Ordering::SeqCst);
            match *self.0.down.lock().unwrap() {
                true => Err(Error::unavailable("no list", Duration::from_secs(7))),
                false => Ok(self.voids()),
            }
        })
    }

    fn refresh(&self) -> Reading<'_, Result<Voids, Error>> {
        Box::pin(async {
            let gate = self.0.refreshes.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            Ok(self.voids())
        })
    }
}

/// A function whose tokens are checked against a list: for admins and services.
struct Closed;

impl Function for Closed {
    type Rpc = UpdateInventory;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let list: List = setup.given().unwrap();
        setup.void_list(list);
        Ok(Self)
    }

    async fn call(&self, cx: &Call, _: Request<Self>) -> Result<InventoryResponse, Error> {
        assert!(cx.identity.is_some());
        Ok(InventoryResponse::default())
    }
}

/// The same, for anyone: it answers in the name of the product whom it knows.
struct Open;

impl Function for Open {
    type Rpc = GetProduct;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        let list: List = setup.given().unwrap();
        setup.void_list(list);
        Ok(Self)
    }

    async fn call(&self, cx: &Call, _: Request<Self>) -> Result<ProductResponse, Error> {
        assert_eq!(cx.identity.is_some(), cx.token.is_some());
        let mut answer = tea();
        let product = answer.product.as_mut().unwrap();
        product.name = cx
            .identity
            .as_ref()
            .map_or_else(String::new, |me| me.subject.clone());
        Ok(answer)
    }
}

struct Stage {
    authority: Authority,
    list: List,
}

const YOUNG: [(&str, &str); 2] = [
    ("TOKEN_VOIDS_REFRESH_MS", "3600000"),
    ("TOKEN_VOIDS_MAX_AGE_MS", "3600000"),
];

/// Every call finds a copy that is too old, if there is one.
const OLD: [(&str, &str); 2] = [
    ("TOKEN_VOIDS_REFRESH_MS", "3600000"),
    ("TOKEN_VOIDS_MAX_AGE_MS", "1"),
];

impl Stage {
    fn new() -> Self {
        Self {
            authority: Authority::generate(),
            list: List::default(),
        }
    }

    async fn start<F: Function>(&self, ages: &[(&str, &str)]) -> Running {
        let ages = ages.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let env: Env = self.authority.env().into_iter().chain(ages).collect();
        let platform = Platform::default().with(self.list.clone());
        Running::serve(zerocart_runtime::build_on::<F>(platform, env).unwrap()).await
    }

    /// An admin's token of a generation.
    fn admin(&self, generation: u32) -> Token {
        let signer = Signer::new(Issuer::User, self.authority.user_keys().current());
        let (hour, now) = (Duration::from_secs(3600), std::time::SystemTime::now());
        let token = signer.issue_in(generation, ME, Role::Admin, hour, now);
        token.unwrap()
    }

    fn void_before(&self, generation: u32) {
        *self.list.0.good_from.lock().unwrap() = generation;
    }

    fn reads(&self) -> usize {
        self.list.0.reads.load(Ordering::SeqCst)
    }
}

async fn ask(function: &Running, wire: Wire, token: &Token) -> Outcome<InventoryResponse> {
    let asked = UpdateInventoryRequest {
        product_id: TEA.into(),
        quantity_change: 1,
        ..Default::default()
    };
    let client = Client::new(wire, function.address()).bearer(token);
    client.call::<UpdateInventory>(&asked).await
}

#[tokio::test]
async fn a_void_token_is_refused_by_the_copy_of_the_start() {
    let stage = Stage::new();
    *stage.list.0.at_start.lock().unwrap() = true;
    stage.void_before(2);
    let function = stage.start::<Closed>(&YOUNG).await;
    for wire in Wire::ALL {
        for generation in [0, 1] {
            let outcome = ask(&function, wire, &stage.admin(generation)).await;
            assert_eq!(outcome.code, Code::Unauthenticated, "{wire:?}");
            assert_eq!(outcome.message, "the token is not valid", "{wire:?}");
        }
        for good in [
            stage.admin(2),
            stage.admin(3),
            stage.authority.admin(OTHER),
            stage.authority.service("create-order"),
        ] {
            assert_eq!(ask(&function, wire, &good).await.code, Code::Ok, "{wire:?}");
        }
    }
    // A copy that is young is used as it is.
    stage.void_before(4);
    assert_eq!(
        ask(&function, Wire::Grpc, &stage.admin(2)).await.code,
        Code::Ok
    );
    assert_eq!(stage.reads(), 0);
}

#[tokio::test]
async fn a_call_reads_the_list_itself_if_the_copy_is_missing_or_too_old() {
    for (ages, reads) in [(YOUNG, 1), (OLD, 3)] {
        let stage = Stage::new();
        let function = stage.start::<Closed>(&ages).await;
        // Nobody else needs it.
        let service = stage.authority.service("create-order");
        assert_eq!(ask(&function, Wire::Grpc, &service).await.code, Code::Ok);
        assert_eq!(stage.reads(), 0);
        for _ in 0..3 {
            let outcome = ask(&function, Wire::Http1, &stage.admin(0)).await;
            assert_eq!(outcome.code, Code::Ok);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(stage.reads(), reads);

        stage.void_before(1);
        let outcome = ask(&function, Wire::Http1, &stage.admin(0)).await;
        let refused = outcome.code == Code::Unauthenticated;
        assert_eq!(refused, reads > 1, "{outcome:?}");
    }
}

#[tokio::test]
async fn without_the_list_no_person_is_served() {
    let stage = Stage::new();
    *stage.list.0.down.lock().unwrap() = true;
    let function = stage.start::<Closed>(&OLD).await;
    for wire in Wire::ALL {
        let outcome = ask(&function, wire, &stage.admin(0)).await;
        assert_eq!(outcome.code, Code::Unavailable, "{wire:?}");
        assert_eq!(outcome.retry_after, Some(Duration::from_secs(7)));
        let service = stage.authority.service("create-order");
        assert_eq!(ask(&function, wire, &service).await.code, Code::Ok);
    }
}

#[tokio::test]
async fn a_copy_is_renewed_beside_the_calls() {
    let stage = Stage::new();
    *stage.list.0.at_start.lock().unwrap() = true;
    let gate = Arc::new(Semaphore::new(0));
    *stage.list.0.refreshes.lock().unwrap() = Some(Arc::clone(&gate));
    let ages = [
        ("TOKEN_VOIDS_REFRESH_MS", "1"),
        ("TOKEN_VOIDS_MAX_AGE_MS", "3600000"),
    ];
    let function = stage.start::<Closed>(&ages).await;
    let token = stage.admin(0);
    assert_eq!(ask(&function, Wire::Grpc, &token).await.code, Code::Ok);
    stage.void_before(1);
    // The read of the new copy has not ended, and no call waits for it.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(ask(&function, Wire::Grpc, &token).await.code, Code::Ok);
    }
    gate.add_permits(1);
    let refused = async {
        while ask(&function, Wire::Grpc, &token).await.code != Code::Unauthenticated {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(stage.reads(), 0);
}

#[tokio::test]
async fn where_anyone_may_call_the_owner_of_a_void_token_is_nobody() {
    let stage = Stage::new();
    let function = stage.start::<Open>(&OLD).await;
    for wire in Wire::ALL {
        for (good_from, down, known) in [(0, false, ME), (1, false, ""), (0, true, "")] {
            stage.void_before(good_from);
            *stage.list.0.down.lock().unwrap() = down;
            let client = Client::new(wire, function.address()).bearer(&stage.admin(0));
            let answer = client.call::<GetProduct>(&get_tea()).await.ok();
            assert_eq!(answer.product.unwrap().name, known, "{wire:?}");
            // Until the copy is too old.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[test]
fn ages_must_be_above_0() {
    for name in ["TOKEN_VOIDS_REFRESH_MS", "TOKEN_VOIDS_MAX_AGE_MS"] {
        let stage = Stage::new();
        let env = stage.authority.env().into_iter();
        let env: Env = env.chain([(name.to_owned(), "0".to_owned())]).collect();
        let platform = Platform::default().with(stage.list.clone());
        let error = zerocart_runtime::build_on::<Closed>(platform, env).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("{name} must be above 0"))
        );
    }
}

#[test]
fn a_function_is_for_people_where_each_caller_is_known_and_may_be_one() {
    let infos = zerocart_proto::rpc::ALL.iter();
    let others: Vec<_> = infos
        .filter(|info| !info.is_for_people())
        .map(|info| info.name)
        .collect();
    let anyone = [
        "create-user",
        "authenticate-user",
        "get-product",
        "list-products",
    ];
    assert_eq!(others, anyone);
}
