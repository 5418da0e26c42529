//! What requests need: a catalogue, customers with carts, an order. It is made through the functions.

use anyhow::{Context, Result};
use serde_json::json;
use uuid::Uuid;
use zerocart_proto::rpc::{self, Info, Rpc};

use super::{
    CHAIN,
    client::{Place, ask},
    engine::{EMPTY, Engine},
};
use crate::cases::{self, Case, Seeds};

/// How many products there are: enough for a full page of a list.
const PRODUCTS: u32 = 30;

/// The things, and who has them.
pub(super) struct Shop {
    seeds: Seeds,
    /// Makes e-mails of this run, which no other has.
    run: u32,
    accounts: u32,
    /// Customers with something in their carts, and their tokens.
    ready: Vec<(String, String)>,
}

fn call(engine: &Engine, info: &Info, case: &Case) -> Result<String> {
    let asked = ask(&engine.direct(info.name), case);
    let answer = asked
        .answer
        .with_context(|| format!("{} does not answer", info.name))?;
    Ok(answer.body)
}

impl Shop {
    /// Opens it. `admin` is the token of an admin.
    pub(super) fn open(engine: &Engine, admin: &str) -> Result<Self> {
        let mut shop = Self {
            seeds: Seeds {
                token: admin.to_owned(),
                ..Seeds::default()
            },
            run: rand::random_range(1..2_000) * 1_000_000,
            accounts: 0,
            ready: Vec::new(),
        };
        // The provider answers at once and never fails.
        let set = rpc::SetFailureRate::INFO;
        call(engine, &set, &cases::case(&set, &shop.seeds, 0))?;
        let product = rpc::CreateProduct::INFO;
        for n in 0..PRODUCTS {
            let made = call(engine, &product, &cases::case(&product, &shop.seeds, n))?;
            shop.seeds.product_id = cases::text(&made, "/product/id")?;
        }
        let (user, token, email) = shop.sign_up(engine)?;
        (shop.seeds.user_id, shop.seeds.email) = (user.clone(), email);
        shop.fill_cart(engine, &user)?;
        let paid = call(engine, &rpc::CreateOrder::INFO, &order(&user, &token))?;
        shop.seeds.order_id = cases::text(&paid, "/order/id")?;
        shop.seeds.payment_id = cases::text(&paid, "/order/payment_id")?;
        // The order has taken what was in the cart.
        shop.fill_cart(engine, &user)?;
        Ok(shop)
    }

    /// Makes so many customers who have something in their carts.
    pub(super) fn fill(&mut self, engine: &Engine, customers: usize) -> Result<()> {
        for _ in 0..customers {
            let (user, token, _) = self.sign_up(engine)?;
            self.fill_cart(engine, &user)?;
            self.ready.push((user, token));
        }
        Ok(())
    }

    /// A customer with an id, a token and an e-mail.
    fn sign_up(&mut self, engine: &Engine) -> Result<(String, String, String)> {
        let n = self.next();
        let up = rpc::CreateUser::INFO;
        let made = call(engine, &up, &cases::case(&up, &self.seeds, n))?;
        let email = cases::email(n);
        let seeds = Seeds {
            email: email.clone(),
            ..self.seeds.clone()
        };
        let sign_in = rpc::AuthenticateUser::INFO;
        let token = call(engine, &sign_in, &cases::case(&sign_in, &seeds, n))?;
        Ok((
            cases::text(&made, "/user/id")?,
            cases::text(&token, "/token")?,
            email,
        ))
    }

    fn next(&mut self) -> u32 {
        self.accounts += 1;
        self.run + self.accounts
    }

    fn fill_cart(&self, engine: &Engine, user: &str) -> Result<()> {
        call(engine, &rpc::AddToCart::INFO, &self.line(user)).map(drop)
    }

    fn line(&self, user: &str) -> Case {
        let line = json!({"user_id": user, "product_id": self.seeds.product_id, "quantity": 1});
        Case::call(&rpc::AddToCart::INFO, &self.seeds.token, line)
    }

    /// The request for a function, or for the empty one.
    ///
    /// # Errors
    ///
    /// When no customer has a cart left to order.
    pub(super) fn case(&mut self, function: &str) -> Result<Case> {
        let add = rpc::AddToCart::INFO.name;
        if function == EMPTY {
            return Ok(Case::get(&format!("/products/{}", self.seeds.product_id)));
        }
        if function == rpc::CreateOrder::INFO.name {
            return self.order();
        }
        if function == add {
            return Ok(Case {
                note: "calls get-product, which starts, too".to_owned(),
                ..self.line(&Uuid::now_v7().to_string())
            });
        }
        let n = self.next();
        let info = rpc::ALL.iter().find(|info| info.name == function);
        let info = info.with_context(|| format!("there is no function {function}"))?;
        Ok(cases::case(info, &self.seeds, n))
    }

    /// The order of a customer who has none yet.
    pub(super) fn order(&mut self) -> Result<Case> {
        let (user, token) = self.ready.pop().context("too few carts are filled")?;
        Ok(Case {
            note: "a whole order: five functions start".to_owned(),
            ..order(&user, &token)
        })
    }
}

fn order(user: &str, token: &str) -> Case {
    Case::call(&rpc::CreateOrder::INFO, token, json!({"user_id": user}))
}

/// The functions that start for the request of a function: itself, and those that this request makes it call.
pub(super) fn starts(function: &str) -> Vec<&str> {
    if function == rpc::CreateOrder::INFO.name {
        CHAIN.to_vec()
    } else if function == rpc::AddToCart::INFO.name {
        vec![function, rpc::GetProduct::INFO.name]
    } else {
        vec![function]
    }
}

/// Starts a function without asking it for anything.
pub(super) fn wake(place: &Place) -> Result<()> {
    ask(place, &Case::get("/health")).answer.map(drop)
}
