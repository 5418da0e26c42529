//! Void tokens, in every domain: also if the function that makes them void is killed, and a domain does not
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
    ops::ListFunctionsRequest,
    order::ListUserOrdersRequest,
    payment::GetPaymentStatusRequest,
    product::ArchiveProductRequest,
    rpc::{self, Rpc},
    user::{
        ChangePasswordRequest, CreateUserRequest, GetUserRequest, SetUserStateRequest, UserState,
    },
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

const DOMAINS: [&str; 6] = ["user", "product", "cart", "order", "payment", "ops"];

/// A function of each domain that takes tokens of people.
const TAKES_TOKENS: [&str; 6] = [
    "get-user",
    "archive-product",
    "get-cart",
    "list-user-orders",
    "get-payment-status",
    "list-functions",
];

/// The functions that are told of void tokens.
const IS_TOLD: [&str; 5] = [
    "record-void-in-product",
    "record-void-in-cart",
    "record-void-in-order",
    "record-void-in-payment",
    "record-void-in-ops",
];

const PASSWORD: &str = "correct horse battery";

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
        for name in TAKES_TOKENS
            .into_iter()
            .chain(IS_TOLD)
            .chain(["create-user"])
        {
            let entry = entry(name);
            let mut env = fleet.env(entry.info.domain);
            // No copy of the list is used twice.
            env.push(("TOKEN_VOIDS_MAX_AGE_MS".into(), "1".into()));
            // Nothing answers there.
            env.push(("FLEET_SOURCE".into(), "http://127.0.0.1:1".into()));
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

    /// What each domain says to this admin.
    async fn asked(&self, wire: Wire, admin: &Admin) -> BTreeMap<&'static str, Code> {
        let id = admin.id.to_string();
        let client = |name| Client::new(wire, self.functions[name].address()).bearer(&admin.token);
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
            code!(
                "list-functions",
                rpc::ListFunctions,
                ListFunctionsRequest {}
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

/// What a good token of an admin gets: there is no product and no payment with the id of a user, and no engine.
fn good() -> BTreeMap<&'static str, Code> {
    BTreeMap::from([
        ("get-user", Code::Ok),
        ("archive-product", Code::NotFound),
        ("get-cart", Code::Ok),
        ("list-user-orders", Code::Ok),
        ("get-payment-status", Code::NotFound),
        ("list-functions", Code::Unavailable),
    ])
}

/// An account, and what an admin's token of it is.
struct Admin {
    id: Uuid,
    token: Token,
}

impl Fleet {
    async fn admin(&self, users: &tokio_postgres::Client) -> Admin {
        let sign_up = CreateUserRequest {
            email: format!("{}@example.com", Uuid::now_v7()),
            name: "Admin".into(),
            password: PASSWORD.into(),
        };
        let client = Client::new(Wire::Grpc, self.functions["create-user"].address());
        let made = client.call::<rpc::CreateUser>(&sign_up).await.ok();
        let id = made.user.expect("the account").id;
        let id: Uuid = id.parse().expect("a UUID");
        let admin = "UPDATE users SET role = 'admin' WHERE id = $1";
        let made = users.execute(admin, &[&id]).await;
        made.expect("an account can be changed");
        Admin {
            id,
            token: self.authority.admin(&id.to_string()),
        }
    }

    /// Kills the function `R` while it waits for the carts, which do not answer; then the job tells them.
    async fn killed<R: Rpc>(
        &self,
        caller: &Token,
        request: R::Request,
        goes: &Admin,
        stays: &Admin,
    ) {
        let name = R::INFO.name;
        let users = self.sql("user").await;
        for wire in Wire::ALL {
            for admin in [stays, goes] {
                assert_eq!(self.asked(wire, admin).await, good(), "{name}, {wire:?}");
            }
        }
        let silent = TcpListener::bind(("127.0.0.1", 0)).await;
        let silent = silent.expect("there is a free port");
        let address = silent.local_addr().expect("a bound socket has an address");
        let env = self.telling(&[("record-void-in-cart", address)]);
        let (process, address) = Process::function(name, env, self.log(name));
        let client = Client::new(Wire::Grpc, address).bearer(caller);
        let calling = tokio::spawn(async move { client.call::<R>(&request).await });
        until("the void is recorded", async || {
            let recorded = "SELECT FROM token_voids WHERE user_id = $1";
            let row = users.query_opt(recorded, &[&goes.id]).await;
            row.expect("voids can be read")
        })
        .await;
        process.kill().await;
        drop(calling);
        let owed = "SELECT count(*) FROM void_deliveries WHERE domain = 'cart'";
        let row = users.query_one(owed, &[]).await;
        assert_eq!(row.expect("deliveries can be read").get::<_, i64>(0), 1);
        let asked = self.asked(Wire::Grpc, goes).await;
        assert_eq!(asked["get-user"], Code::Unauthenticated, "{name}");
        assert_eq!(asked["get-cart"], Code::Ok, "{name}");

        let log = self.log(&format!("deliver-voids after {name}"));
        let mut job = Process::job("deliver-voids", self.telling(&[]), log);
        let status = job.ended().await;
        assert!(status.success(), "{status}\n{}", job.log());
        for wire in Wire::ALL {
            for (asked, code) in self.asked(wire, goes).await {
                assert_eq!(
                    code,
                    Code::Unauthenticated,
                    "{asked} after {name}, {wire:?}"
                );
            }
            assert_eq!(self.asked(wire, stays).await, good(), "{name}, {wire:?}");
        }
    }
}

#[tokio::test]
async fn a_void_token_is_refused_in_every_domain_after_a_crash_too() {
    let fleet = Fleet::new().await;
    let users = fleet.sql("user").await;
    let stays = fleet.admin(&users).await;

    let goes = fleet.admin(&users).await;
    let request = SetUserStateRequest {
        id: goes.id.to_string(),
        state: UserState::Disabled.into(),
    };
    fleet
        .killed::<rpc::SetUserState>(&stays.token, request, &goes, &stays)
        .await;

    let goes = fleet.admin(&users).await;
    let request = ChangePasswordRequest {
        id: goes.id.to_string(),
        old_password: PASSWORD.into(),
        new_password: "battery staple".into(),
    };
    fleet
        .killed::<rpc::ChangePassword>(&goes.token, request, &goes, &stays)
        .await;
}
