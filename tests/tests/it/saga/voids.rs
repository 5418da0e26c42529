//! The tokens of a disabled account, in every domain: also if set-user-state is killed, and a domain does not
//! answer.

use std::{collections::BTreeMap, net::SocketAddr};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_postgres::NoTls;
use tonic::Code;
use uuid::Uuid;
use zerocart_auth::Token;
use zerocart_core::Platform;
use zerocart_proto::{
    cart::GetCartRequest,
    order::ListUserOrdersRequest,
    payment::GetPaymentStatusRequest,
    product::ArchiveProductRequest,
    rpc,
    user::{GetUserRequest, SetUserStateRequest, UserState},
};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{Authority, Running},
    postgres::TestDatabase,
};

use super::{
    forwarder::Addresses,
    process::{Env, Process},
    stage::{entry, urls},
    until,
};

const DOMAINS: [&str; 5] = ["user", "product", "cart", "order", "payment"];

/// A function of each domain that takes tokens of people.
const TAKES_TOKENS: [&str; 5] = [
    "get-user",
    "archive-product",
    "get-cart",
    "list-user-orders",
    "get-payment-status",
];

/// The functions that are told of void tokens.
const IS_TOLD: [&str; 4] = [
    "record-void-in-product",
    "record-void-in-cart",
    "record-void-in-order",
    "record-void-in-payment",
];

struct Fleet {
    authority: Authority,
    databases: BTreeMap<&'static str, TestDatabase>,
    functions: BTreeMap<&'static str, Running>,
    folder: TempDir,
}

impl Fleet {
    async fn new() -> Self {
        let mut databases = BTreeMap::new();
        for domain in DOMAINS {
            databases.insert(domain, TestDatabase::new(domain).await);
        }
        let mut fleet = Self {
            authority: Authority::generate(),
            databases,
            functions: BTreeMap::new(),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        };
        for name in TAKES_TOKENS.into_iter().chain(IS_TOLD) {
            let entry = entry(name);
            let mut env = fleet.env(entry.info.domain);
            // No copy of the list is used twice.
            env.push(("TOKEN_VOIDS_MAX_AGE_MS".into(), "1".into()));
            let built = (entry.build)(Platform::default(), env.into_iter().collect());
            let built = built.unwrap_or_else(|error| panic!("{name}: {error}"));
            fleet.functions.insert(name, Running::serve(built).await);
        }
        fleet
    }

    fn env(&self, domain: &str) -> Env {
        let mut env = self.authority.env();
        env.push(("DATABASE_URL".into(), self.databases[domain].url().into()));
        env
    }

    /// The variables of a function or job that tells the others, of which some are elsewhere.
    fn telling(&self, elsewhere: &[(&'static str, SocketAddr)]) -> Env {
        let mut env = self.env("user");
        let key = self.authority.service_keys().current().to_private_jwk();
        env.push(("AUTH_SERVICE_SIGNING_KEY".into(), key.to_string()));
        let mut addresses: Addresses = self
            .functions
            .iter()
            .map(|(name, running)| (*name, running.address()))
            .collect();
        addresses.extend(elsewhere.iter().copied());
        env.push(("FUNCTION_URLS".into(), urls(&addresses)));
        env
    }

    /// What each domain says to the admin `id` with this token.
    async fn asked(&self, wire: Wire, token: &Token, id: Uuid) -> BTreeMap<&'static str, Code> {
        let id = id.to_string();
        let client = |name| Client::new(wire, self.functions[name].address()).bearer(token);
        macro_rules! code {
            ($name:literal, $rpc:ty, $request:expr) => {
                ($name, client($name).call::<$rpc>(&$request).await.code)
            };
        }
        let user_id = id.clone();
        let (payment_id, product_id) = (id.clone(), id.clone());
        BTreeMap::from([
            code!("get-user", rpc::GetUser, GetUserRequest { id }),
            code!(
                "archive-product",
                rpc::ArchiveProduct,
                ArchiveProductRequest { id: product_id }
            ),
            code!(
                "get-cart",
                rpc::GetCart,
                GetCartRequest {
                    user_id: user_id.clone()
                }
            ),
            code!(
                "list-user-orders",
                rpc::ListUserOrders,
                ListUserOrdersRequest {
                    user_id,
                    ..Default::default()
                }
            ),
            code!(
                "get-payment-status",
                rpc::GetPaymentStatus,
                GetPaymentStatusRequest { payment_id }
            ),
        ])
    }

    async fn sql(&self, domain: &str) -> tokio_postgres::Client {
        let url = self.databases[domain].admin_url();
        let connected = tokio_postgres::connect(url, NoTls).await;
        let (client, connection) = connected.expect("the server takes connections");
        tokio::spawn(connection);
        client
    }

    fn log(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// What a good token of an admin gets: there is no product and no payment with the id of a user.
fn good() -> BTreeMap<&'static str, Code> {
    BTreeMap::from([
        ("get-user", Code::Ok),
        ("archive-product", Code::NotFound),
        ("get-cart", Code::Ok),
        ("list-user-orders", Code::Ok),
        ("get-payment-status", Code::NotFound),
    ])
}

#[tokio::test]
async fn a_void_token_is_refused_in_every_domain_after_a_crash_too() {
    let fleet = Fleet::new().await;
    let users = fleet.sql("user").await;
    let ids = [Uuid::now_v7(), Uuid::now_v7()];
    for id in ids {
        let insert = "INSERT INTO users (id, email, email_key, name, password_hash, role)
                      VALUES ($1, $1::text, $1::text, 'Admin', 'none', 'admin')";
        let inserted = users.execute(insert, &[&id]).await;
        inserted.expect("an account can be inserted");
    }
    let [stays, goes] = ids.map(|id| (id, fleet.authority.admin(&id.to_string())));
    for wire in Wire::ALL {
        for (id, token) in [&stays, &goes] {
            assert_eq!(fleet.asked(wire, token, *id).await, good(), "{wire:?}");
        }
    }

    // The carts do not answer, and set-user-state is killed while it waits for them.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await;
    let silent = silent.expect("there is a free port");
    let address = silent.local_addr().expect("a bound socket has an address");
    let env = fleet.telling(&[("record-void-in-cart", address)]);
    let log = fleet.log("set-user-state");
    let (process, address) = Process::function("set-user-state", env, log);
    let request = SetUserStateRequest {
        id: goes.0.to_string(),
        state: UserState::Disabled.into(),
    };
    let client = Client::new(Wire::Grpc, address).bearer(&stays.1);
    let disabling = tokio::spawn(async move { client.call::<rpc::SetUserState>(&request).await });
    until("the account is disabled", async || {
        let disabled = "SELECT FROM users WHERE state = 'disabled'";
        let row = users.query_opt(disabled, &[]).await;
        row.expect("accounts can be read")
    })
    .await;
    process.kill().await;
    drop(disabling);
    let owed = "SELECT count(*) FROM void_deliveries WHERE domain = 'cart'";
    let row = users.query_one(owed, &[]).await;
    assert_eq!(row.expect("deliveries can be read").get::<_, i64>(0), 1);
    let asked = fleet.asked(Wire::Grpc, &goes.1, goes.0).await;
    assert_eq!(asked["get-user"], Code::Unauthenticated);
    assert_eq!(asked["get-cart"], Code::Ok);

    let env = fleet.telling(&[]);
    let mut job = Process::job("deliver-voids", env, fleet.log("deliver-voids"));
    let status = job.ended().await;
    assert!(status.success(), "{status}\n{}", job.log());
    for wire in Wire::ALL {
        let (id, token) = &goes;
        for (name, code) in fleet.asked(wire, token, *id).await {
            assert_eq!(code, Code::Unauthenticated, "{name}, {wire:?}");
        }
        let (id, token) = &stays;
        assert_eq!(fleet.asked(wire, token, *id).await, good(), "{wire:?}");
    }
}
