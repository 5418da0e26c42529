//! Many at one cart at once.

use std::collections::HashSet;

use futures_util::future::{join, join_all};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tonic::Code;
use zerocart_cart::{ClearCart, RemoveFromCart, UpdateCartItem};
use zerocart_proto::{
    cart::{Cart, CartResponse},
    rpc::{
        AddToCart as Add, ClearCart as Clear, RemoveFromCart as Remove, UpdateCartItem as Update,
    },
};
use zerocart_test_support::clients::{Client, Outcome, Wire};

use crate::{
    Domain, ME,
    add_to_cart::add,
    answer, assert_refused, cart,
    catalogue::Catalogue,
    clear_cart::{clear, clear_for},
    id, lines,
    remove_from_cart::remove,
    update_cart_item::set,
};

/// The client for one of its own calls, which is repeated after every failure.
fn keyed(client: &Client) -> Client {
    client.clone().header("idempotency-key", &id())
}

#[tokio::test]
async fn fifty_who_add_at_once_all_count() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    let products = [
        catalogue.sell("Tea", 1.0, 1000),
        catalogue.sell("Cup", 0.1, 1000),
    ];
    let clients = Wire::ALL.map(|wire| domain.customer(wire, &function, ME));
    // The first ones make the cart, too.
    let calls = (0..50).map(|n| {
        let client = keyed(&clients[n % 4]);
        let asked = add(ME, &products[n % 2], 1 + i32::from(n % 5 == 0));
        async move { cart(answer::<Add>(&client, &asked).await) }
    });
    let answers = join_all(calls).await;
    let units: i32 = domain.lines(ME).await.iter().map(|line| line.1).sum();
    assert_eq!(units, 60);
    // Each saw the cart right after its own change: one after the other.
    let times: HashSet<_> = answers.iter().map(|cart| &cart.updated_at).collect();
    assert_eq!(times.len(), 50);
    let mut sums: Vec<i32> = answers
        .iter()
        .map(|cart| cart.items.iter().map(|line| line.quantity).sum())
        .collect();
    sums.sort_unstable();
    sums.dedup();
    assert_eq!(sums.len(), 50);
}

#[tokio::test]
async fn together_they_do_not_get_more_than_there_is() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    let tea = catalogue.sell("Tea", 1.0, 25);
    let clients = Wire::ALL.map(|wire| domain.customer(wire, &function, ME));
    let asked = &add(ME, &tea, 1);
    let calls = (0..40).map(|n| {
        let client = keyed(&clients[n % 4]);
        async move { answer::<Add>(&client, asked).await }
    });
    let mut added = 0;
    for outcome in join_all(calls).await {
        match outcome.code {
            Code::Ok => added += 1,
            _ => assert_refused(&outcome, "in stock"),
        }
    }
    assert_eq!(added, 25);
    assert_eq!(domain.lines(ME).await, [(tea, 25)]);
}

#[tokio::test]
async fn together_they_do_not_get_more_lines_than_a_cart_holds() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let function = catalogue.customer_of(&domain).await;
    domain.fill_up(ME, 995, "1", 1).await;
    let client = &domain.customer(Wire::Grpc, &function, ME);
    let products: Vec<_> = (0..12).map(|_| catalogue.sell("Tea", 1.0, 9)).collect();
    let calls = products
        .iter()
        .map(|product| async move { answer::<Add>(&keyed(client), &add(ME, product, 1)).await });
    let mut added = 0;
    for outcome in join_all(calls).await {
        match outcome.code {
            Code::Ok => added += 1,
            _ => assert_refused(&outcome, "1,000 different"),
        }
    }
    assert_eq!(added, 5);
    assert_eq!(domain.lines(ME).await.len(), 1000);
}

#[tokio::test]
async fn an_order_is_taken_away_once_while_others_add() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let adder = catalogue.customer_of(&domain).await;
    let clearer = domain.busy::<ClearCart>(&[]).await;
    let tea = catalogue.sell("Tea", 1.0, 1000);
    for _ in 0..3 {
        let me = &id();
        domain.fill(me, &[(&tea, "1", 10)]).await;
        let adder = &domain.customer(Wire::Grpc, &adder, me);
        let clearer = &domain.customer(Wire::Grpc, &clearer, me);
        let (asked, bought) = (&add(me, &tea, 1), &clear_for(me, &id(), &[(&tea, 4)]));
        let adds = (0..20).map(|_| async move {
            cart(answer::<Add>(&keyed(adder), asked).await);
        });
        let clears = (0..8).map(|_| async move {
            cart(answer::<Clear>(clearer, bought).await);
        });
        join(join_all(adds), join_all(clears)).await;
        assert_eq!(domain.lines(me).await, [(tea.clone(), 26)]);
    }
}

/// Each call begins while another has the cart, and goes by what that one leaves.
#[tokio::test]
async fn what_another_did_before_it_let_go_of_the_cart_is_seen() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let other = domain.another().await;
    let (tea, cup) = (
        &catalogue.sell("Tea", 1.0, 6),
        &catalogue.sell("Cup", 1.0, 9),
    );
    let adder = catalogue.customer_of(&domain).await;
    let setter = catalogue.caller::<UpdateCartItem>(&domain).await;
    let remover = domain.busy::<RemoveFromCart>(&[]).await;
    let clearer = domain.busy::<ClearCart>(&[]).await;
    let order = &id();
    // There are 2 of tea in the cart; meanwhile there come 3 more, and a cup.
    for (n, left) in [
        vec![(tea, 6), (cup, 1)],
        vec![(tea, 5), (cup, 9)],
        vec![(tea, 5)],
        vec![],
        vec![(tea, 2)],
    ]
    .into_iter()
    .enumerate()
    {
        let me = &id();
        domain.fill(me, &[(tea, "1", 2)]).await;
        let meanwhile = format!(
            "BEGIN;
             UPDATE carts SET updated_at = clock_timestamp() WHERE user_id = '{me}';
             UPDATE cart_items SET quantity = 5 WHERE user_id = '{me}';
             INSERT INTO cart_items (user_id, product_id, name, price, quantity)
             VALUES ('{me}', '{cup}', 'Cup', 1, 1)"
        );
        other.batch_execute(&meanwhile).await.unwrap();
        let call = async {
            let client = |function| domain.customer(Wire::Grpc, function, me);
            match n {
                0 => client(&adder).call::<Add>(&add(me, tea, 1)).await,
                1 => client(&setter).call::<Update>(&set(me, cup, 9)).await,
                2 => client(&remover).call::<Remove>(&remove(me, cup)).await,
                3 => client(&clearer).call::<Clear>(&clear(me)).await,
                _ => {
                    let bought = clear_for(me, order, &[(tea, 3), (cup, 2)]);
                    client(&clearer).call::<Clear>(&bought).await
                }
            }
        };
        let (outcome, ()) = join(call, async {
            domain.until_one_waits().await;
            other.batch_execute("COMMIT").await.unwrap();
        })
        .await;
        let left: Vec<_> = left.into_iter().map(|(id, n)| (id.clone(), n)).collect();
        assert_eq!(lines(&cart(outcome)), left, "call {n}");
        assert_eq!(domain.lines(me).await, left, "call {n}");
    }
}

/// One call of the random test.
enum Step {
    Add(usize, i32),
    Set(usize, i32),
    Remove(usize),
    Clear,
    ClearFor(usize, i32),
}

impl Step {
    fn random(rng: &mut StdRng) -> Self {
        let (product, units) = (rng.random_range(0..3), rng.random_range(1..=3));
        match rng.random_range(0..10) {
            0..=4 => Self::Add(product, units),
            5 => Self::Set(product, units),
            6 => Self::Remove(product),
            7 => Self::Clear,
            _ => Self::ClearFor(product, units),
        }
    }
}

/// Expects a cart that adds up.
#[track_caller]
fn assert_sound(cart: &Cart, at: &str) {
    let cents = |amount: f64| (amount * 100.0).round() as i64;
    let mut total = 0;
    for line in &cart.items {
        assert!(line.quantity > 0, "{at}");
        let line_cents = cents(line.product_price) * i64::from(line.quantity);
        assert_eq!(cents(line.total_price), line_cents, "{at}");
        total += line_cents;
    }
    assert_eq!(cents(cart.total_amount), total, "{at}");
    let different: HashSet<_> = cart.items.iter().map(|line| &line.product_id).collect();
    assert_eq!(different.len(), cart.items.len(), "{at}");
}

#[tokio::test]
async fn no_interleaving_breaks_a_cart_or_waits_for_itself() {
    let domain = Domain::new().await;
    let catalogue = Catalogue::open(&domain).await;
    let [adder, setter, remover, clearer] = [
        catalogue.customer_of(&domain).await,
        catalogue.caller::<UpdateCartItem>(&domain).await,
        domain.busy::<RemoveFromCart>(&[]).await,
        domain.busy::<ClearCart>(&[]).await,
    ];
    let products = &[
        catalogue.sell("Tea", 19.99, 1000),
        catalogue.sell("Cup", 0.1, 1000),
        catalogue.sell("Leaflet", 0.0, 1000),
    ];
    for seed in 0..4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let me = &id();
        let clients = &[&adder, &setter, &remover, &clearer]
            .map(|function| domain.customer(Wire::Grpc, function, me));
        let [adder, setter, remover, clearer] = clients;
        let calls = (0..32)
            .map(|_| Step::random(&mut rng))
            .map(|step| async move {
                let call: Outcome<CartResponse> = match step {
                    Step::Add(n, units) => {
                        answer::<Add>(&keyed(adder), &add(me, &products[n], units)).await
                    }
                    Step::Set(n, units) => {
                        answer::<Update>(&keyed(setter), &set(me, &products[n], units)).await
                    }
                    Step::Remove(n) => {
                        answer::<Remove>(&keyed(remover), &remove(me, &products[n])).await
                    }
                    Step::Clear => answer::<Clear>(&keyed(clearer), &clear(me)).await,
                    Step::ClearFor(n, units) => {
                        let bought = [(&*products[n], units)];
                        answer::<Clear>(clearer, &clear_for(me, &id(), &bought)).await
                    }
                };
                call
            });
        let mut latest = None;
        for outcome in join_all(calls).await {
            let at = format!("seed {seed}: {}", outcome.message);
            assert!([Code::Ok, Code::NotFound].contains(&outcome.code), "{at}");
            let Some(cart) = outcome.response.and_then(|answer| answer.cart) else {
                continue;
            };
            assert_sound(&cart, &at);
            let newer = latest
                .as_ref()
                .is_none_or(|latest: &Cart| latest.updated_at < cart.updated_at);
            if newer {
                latest = Some(cart);
            }
        }
        // Who changed it last saw what there is now.
        let latest = latest.unwrap();
        assert_eq!(lines(&latest), domain.lines(me).await, "seed {seed}");
    }
}
