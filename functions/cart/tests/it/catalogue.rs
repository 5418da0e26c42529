//! get-product as the tests want it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use zerocart_cart::AddToCart;
use zerocart_core::{Error, Function};
use zerocart_proto::{
    product::{GetProductRequest, Product, ProductResponse},
    rpc::GetProduct,
};
use zerocart_test_support::functions::{Running, Script};

use crate::{Domain, id};

/// How get-product is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It answers.
    #[default]
    Well,
    /// It answers that it cannot.
    Down,
    /// It never answers.
    Hangs,
}

#[derive(Default)]
struct Shelf {
    products: Mutex<HashMap<String, Product>>,
    mood: Mutex<Mood>,
    calls: AtomicUsize,
    running: AtomicUsize,
    /// What the last call had left, in milliseconds.
    left_ms: AtomicUsize,
}

/// A scripted get-product.
pub(crate) struct Catalogue {
    shelf: Arc<Shelf>,
    function: Running,
    urls: String,
}

/// Counts a call as running until it ends in any way.
struct Place<'a>(&'a Shelf);

impl<'a> Place<'a> {
    fn of(shelf: &'a Shelf) -> Self {
        shelf.calls.fetch_add(1, Ordering::SeqCst);
        shelf.running.fetch_add(1, Ordering::SeqCst);
        Self(shelf)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shelf {
    async fn answer(&self, request: GetProductRequest) -> Result<ProductResponse, Error> {
        let _place = Place::of(self);
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Down => {
                let again = Duration::from_millis(1);
                return Err(Error::unavailable("out of order", again));
            }
            Mood::Hangs => std::future::pending().await,
            Mood::Well => {}
        }
        let product = self.products.lock().unwrap().get(&request.id).cloned();
        match product {
            None => Err(Error::not_found("nothing here")),
            product => Ok(ProductResponse {
                product,
                message: String::new(),
            }),
        }
    }
}

impl Catalogue {
    pub(crate) async fn open(domain: &Domain) -> Self {
        let shelf = Arc::new(Shelf::default());
        let script = Script::<GetProduct>::new({
            let shelf = Arc::clone(&shelf);
            move |cx, request| {
                let shelf = Arc::clone(&shelf);
                let left_ms = cx.remaining().as_millis().try_into().unwrap();
                shelf.left_ms.store(left_ms, Ordering::SeqCst);
                async move { shelf.answer(request).await }
            }
        });
        let env = domain.authority.env().into_iter();
        let env = env.chain([("MAX_IN_FLIGHT".into(), "400".into())]);
        let function = Running::scripted(env, script).await;
        Self {
            urls: format!(r#"{{"get-product": "http://{}"}}"#, function.address()),
            shelf,
            function,
        }
    }

    /// Sells a new product, and gives its id.
    pub(crate) fn sell(&self, name: &str, price: f64, inventory: i32) -> String {
        let id = id();
        self.change(&id, name, price, inventory);
        id
    }

    /// Changes a product.
    pub(crate) fn change(&self, id: &str, name: &str, price: f64, inventory: i32) {
        let product = Product {
            id: id.into(),
            name: name.into(),
            price,
            inventory,
            ..Default::default()
        };
        let mut products = self.shelf.products.lock().unwrap();
        products.insert(id.into(), product);
    }

    /// Takes a product from the shelf.
    pub(crate) fn forget(&self, id: &str) {
        self.shelf.products.lock().unwrap().remove(id);
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.shelf.mood.lock().unwrap() = mood;
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.shelf.calls.load(Ordering::SeqCst)
    }

    /// How many calls it has not ended.
    pub(crate) fn running(&self) -> usize {
        self.shelf.running.load(Ordering::SeqCst)
    }

    /// How long the last caller would wait, in milliseconds.
    pub(crate) fn left_ms(&self) -> usize {
        self.shelf.left_ms.load(Ordering::SeqCst)
    }

    /// Stops it: nobody listens any more.
    pub(crate) async fn close(self) {
        self.function.stopped().await;
    }

    /// Starts an add-to-cart that calls this.
    pub(crate) async fn customer_of(&self, domain: &Domain) -> Running {
        self.customer_with(domain, &[]).await
    }

    pub(crate) async fn customer_with(&self, domain: &Domain, more: &[(&str, &str)]) -> Running {
        self.caller_with::<AddToCart>(domain, more).await
    }

    /// Starts a function that calls this.
    pub(crate) async fn caller<F: Function>(&self, domain: &Domain) -> Running {
        self.caller_with::<F>(domain, &[]).await
    }

    pub(crate) async fn caller_with<F: Function>(
        &self,
        domain: &Domain,
        more: &[(&str, &str)],
    ) -> Running {
        let urls = [("FUNCTION_URLS", self.urls.as_str())];
        domain.busy::<F>(&[&urls, more].concat()).await
    }
}
