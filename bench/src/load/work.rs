//! The requests of a load, and the data that they need.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;
use zerocart_proto::rpc::{self, Info, Role, Rpc};

use super::{
    client::{Caller, Job},
    drive::{self, Until},
    engine::Engine,
};
use crate::cases::{Case, text};

/// Products of the catalogue: enough for pages, and for orders that do not wait for each other.
const PRODUCTS: usize = 64;

/// Accounts that sign in, at most one request at a time each.
const ACCOUNTS: usize = 64;

const PASSWORD: &str = "correct horse battery staple";

/// Stock that no load buys up.
const PLENTY: i32 = 1_000_000_000;

/// What is in the databases of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) address: SocketAddr,
    pub(crate) admin: String,
    pub(crate) products: Vec<String>,
    accounts: Vec<String>,
}

/// A customer with a filled cart.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Shop {
    /// Puts products and accounts into an engine. The payment provider answers at once and never fails.
    pub(crate) fn open(engine: &Engine) -> Result<Self> {
        let admin = engine.token(&Uuid::now_v7().to_string(), Role::Admin)?;
        let mut caller = Caller::new(engine.address);
        let mut shop = Self {
            address: engine.address,
            admin,
            products: Vec::new(),
            accounts: Vec::new(),
        };
        let provider = json!({"failure_rate": 0, "min_delay_ms": 0, "max_delay_ms": 0});
        shop.ask(&mut caller, &rpc::SetFailureRate::INFO, provider)?;
        for n in 0..PRODUCTS {
            let product = json!({"name": format!("Tea {n}"), "description": "Leaves of a hill, 250 g, with a tin.", "price": 4.5, "inventory": PLENTY});
            let made = shop.ask(&mut caller, &rpc::CreateProduct::INFO, product)?;
            shop.products.push(text(&made, "/product/id")?);
        }
        for n in 0..ACCOUNTS {
            let email = format!("buyer-{n}@example.com");
            let account = json!({"email": email, "name": "Ada Lovelace", "password": PASSWORD});
            shop.ask(&mut caller, &rpc::CreateUser::INFO, account)?;
            shop.accounts.push(email);
        }
        Ok(shop)
    }

    /// The call of a function by the admin.
    pub(crate) fn job(&self, info: &Info, fields: Value) -> Job {
        self.job_of(info, &self.admin, fields)
    }

    fn job_of(&self, info: &Info, token: &str, fields: Value) -> Job {
        let case = Case::call(info, token, fields);
        Job::Rest(case.request(), case.status)
    }

    fn ask(&self, caller: &mut Caller, info: &Info, fields: Value) -> Result<String> {
        let case = Case::call(info, &self.admin, fields);
        let answer = caller.rest(&case.request())?.with_status(case.status);
        Ok(answer.with_context(|| info.name)?.body)
    }

    /// GET /products/{id}, of one product after the other.
    pub(crate) fn product(&self) -> Vec<Job> {
        let get = |id: &String| Job::Rest(Case::get(&format!("/products/{id}")).request(), 200);
        self.products.iter().map(get).collect()
    }

    /// The same over gRPC.
    pub(crate) fn product_grpc(&self) -> Vec<Job> {
        self.products.iter().cloned().map(Job::GetProduct).collect()
    }

    /// The first page of products.
    pub(crate) fn list(&self) -> Vec<Job> {
        vec![Job::Rest(Case::get("/products").request(), 200)]
    }

    /// Sign-in, of one account after the other.
    pub(crate) fn sign_in(&self) -> Vec<Job> {
        let sign_in = |email: &String| {
            let fields = json!({"email": email, "password": PASSWORD});
            self.job(&rpc::AuthenticateUser::INFO, fields)
        };
        self.accounts.iter().map(sign_in).collect()
    }

    /// A unit of a product into the cart of somebody new, each time.
    pub(crate) fn add_to_cart(&self, engine: &Engine, n: usize) -> Result<Vec<Job>> {
        let jobs = (0..n).map(|n| {
            let customer = customer(engine)?;
            Ok(self.line(&customer, &self.products[n % self.products.len()]))
        });
        jobs.collect()
    }

    fn line(&self, customer: &Customer, product: &str) -> Job {
        let fields = json!({"user_id": customer.id, "product_id": product, "quantity": 1});
        self.job_of(&rpc::AddToCart::INFO, &customer.token, fields)
    }

    /// The orders of so many new customers, whose carts are filled now with `lines` lines of these products.
    pub(crate) fn orders(
        &self,
        engine: &Engine,
        n: usize,
        lines: usize,
        products: &[String],
    ) -> Result<Vec<Job>> {
        let customers: Vec<Customer> = (0..n).map(|_| customer(engine)).collect::<Result<_>>()?;
        let carts = customers.iter().enumerate();
        let fills: Vec<Job> = carts
            .flat_map(|(n, customer)| {
                let first = n * lines;
                (first..first + lines)
                    .map(move |line| self.line(customer, &products[line % products.len()]))
            })
            .collect();
        let seen = drive::closed(self.address, 8, &fills, Until::Done)?;
        if let Some(error) = seen.first_error {
            anyhow::bail!("a cart cannot be filled: {error}");
        }
        Ok(customers
            .iter()
            .map(|customer| self.order(customer))
            .collect())
    }

    fn order(&self, customer: &Customer) -> Job {
        let fields = json!({"user_id": customer.id});
        self.job_of(&rpc::CreateOrder::INFO, &customer.token, fields)
    }

    /// Products beyond the 64, to be lines of a long cart.
    pub(crate) fn more_products(&self, n: usize) -> Result<Vec<String>> {
        let mut caller = Caller::new(self.address);
        let product = |n: usize| -> Result<String> {
            let fields = json!({"name": format!("Cup {n}"), "price": 2.5, "inventory": PLENTY});
            let made = self.ask(&mut caller, &rpc::CreateProduct::INFO, fields)?;
            text(&made, "/product/id")
        };
        (0..n).map(product).collect()
    }

    /// A mix of requests like that of shoppers: the shares of [`MIX`], in an order by `seed`.
    pub(crate) fn mix(&self, engine: &Engine, n: usize, seed: u64) -> Result<Vec<Job>> {
        let mut rng = StdRng::seed_from_u64(seed);
        let kinds: Vec<&str> = (0..n)
            .map(|_| {
                let mut at = rng.random_range(0.0..1.0);
                let kind = MIX.iter().find(|(_, share)| {
                    at -= share;
                    at < 0.0
                });
                kind.map_or(MIX[0].0, |(kind, _)| kind)
            })
            .collect();
        let of = |kind: &str| kinds.iter().filter(|other| **other == kind).count();
        let (products, list, sign_in) = (self.product(), self.list(), self.sign_in());
        let mut orders = self
            .orders(engine, of("order"), 1, &self.products)?
            .into_iter();
        let mut carts = self.add_to_cart(engine, of("cart"))?.into_iter();
        let jobs = kinds.iter().enumerate().map(|(n, kind)| {
            Some(match *kind {
                "list" => list[0].clone(),
                "sign-in" => sign_in[n % sign_in.len()].clone(),
                "cart" => carts.next()?,
                "order" => orders.next()?,
                _ => products[n % products.len()].clone(),
            })
        });
        jobs.collect::<Option<_>>()
            .context("too few carts are filled")
    }
}

/// The shares of requests of shoppers: they look around, some fill a cart, few order.
pub(crate) const MIX: [(&str, f64); 5] = [
    ("product", 0.55),
    ("list", 0.25),
    ("cart", 0.11),
    ("order", 0.05),
    ("sign-in", 0.04),
];

fn customer(engine: &Engine) -> Result<Customer> {
    let id = Uuid::now_v7().to_string();
    let token = engine.token(&id, Role::Customer)?;
    Ok(Customer { id, token })
}
