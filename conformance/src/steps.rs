//! What several stories do.

use zerocart_proto::{
    cart::{AddToCartRequest, Cart, CartResponse, ClearCartRequest, GetCartRequest},
    money::Cents,
    order::{
        CreateOrderRequest, GetOrderRequest, ListUserOrdersRequest, Order, OrderResponse,
        OrderStatus, UpdateOrderStatusRequest,
    },
    payment::{GetPaymentStatusRequest, PaymentStatus},
    product::{CreateProductRequest, GetProductRequest, ProductResponse},
    rpc,
};

use super::{
    answer::{Answer, Failed},
    shop::{Shop, Who},
};

/// A product that a story made.
#[derive(Clone, Debug)]
pub struct Product {
    /// UUID.
    pub id: String,
    /// Its name, which no other run uses.
    pub name: String,
    /// What it is called in the report.
    pub title: String,
    /// Its price.
    pub price: Cents,
}

impl Product {
    /// What so many units cost.
    pub fn times(&self, quantity: i32) -> Cents {
        self.price.times(quantity).unwrap_or_default()
    }
}

/// A product, and units of it.
pub type Units<'a> = (&'a Product, i32);

/// What these units cost together, as it is on the wire.
pub fn total(units: &[Units<'_>]) -> f64 {
    let total: Cents = units
        .iter()
        .map(|(product, quantity)| product.times(*quantity))
        .sum();
    total.to_wire()
}

/// The cart of a response.
pub fn cart(response: &CartResponse) -> Cart {
    response.cart.clone().unwrap_or_default()
}

/// The order of a response.
pub fn order(response: &OrderResponse) -> Order {
    response.order.clone().unwrap_or_default()
}

/// The name of an order's status.
pub fn status(order: &Order) -> &'static str {
    order.status().as_str_name()
}

/// Product, name, units and total of each line, in the order of products.
type Lines = Vec<(String, String, i32, f64)>;

fn lines_of(units: &[Units<'_>]) -> Lines {
    let mut lines: Lines = units
        .iter()
        .map(|(product, quantity)| {
            let total = product.times(*quantity).to_wire();
            (product.id.clone(), product.name.clone(), *quantity, total)
        })
        .collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

fn lines_in_cart(cart: Cart) -> Lines {
    let lines = cart.items.into_iter();
    let lines = lines.map(|i| (i.product_id, i.product_name, i.quantity, i.total_price));
    let mut lines: Lines = lines.collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

fn lines_in_order(order: Order) -> Lines {
    let lines = order.items.into_iter();
    let lines = lines.map(|i| (i.product_id, i.product_name, i.quantity, i.total_price));
    let mut lines: Lines = lines.collect();
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines
}

impl Shop {
    /// The admin adds a product.
    ///
    /// # Errors
    ///
    /// When that is not as it should be; so with all of these.
    pub async fn product(
        &self,
        title: &str,
        price_cents: i64,
        inventory: i32,
    ) -> Result<Product, Failed> {
        let price = Cents::new(price_cents);
        let request = CreateProductRequest {
            name: self.unique(title),
            description: String::new(),
            price: price.to_wire(),
            inventory,
        };
        let name = request.name.clone();
        let product = |r: &ProductResponse| r.product.clone().unwrap_or_default();
        let made = self
            .ask::<rpc::CreateProduct>(&self.admin, request)
            .await?
            .ok();
        let made = made
            .is("price", |r| product(r).price, price.to_wire())
            .is("inventory", |r| product(r).inventory, inventory)
            .same(title, |r| product(r).name, &name)
            .response()?;
        Ok(Product {
            id: product(&made).id,
            name,
            title: title.to_owned(),
            price,
        })
    }

    /// Anyone sees that so many units of a product are in stock.
    ///
    /// # Errors
    ///
    /// See [`product`](Self::product).
    pub async fn stock(&self, product: &Product, inventory: i32) -> Result<(), Failed> {
        let request = GetProductRequest {
            id: product.id.clone(),
        };
        let found = |r: &ProductResponse| r.product.clone().unwrap_or_default().inventory;
        let nobody = Who::nobody();
        let answer = self.ask::<rpc::GetProduct>(&nobody, request).await?.ok();
        answer
            .is(&format!("inventory of {}", product.title), found, inventory)
            .end()
    }

    /// The cart is emptied, with any content.
    ///
    /// # Errors
    ///
    /// See [`product`](Self::product).
    pub async fn clear_cart(&self, who: &Who) -> Result<(), Failed> {
        let request = ClearCartRequest {
            user_id: who.id.clone(),
            ..Default::default()
        };
        let answer = self.ask::<rpc::ClearCart>(who, request).await?.ok();
        answer.is("lines", |r| cart(r).items.len(), 0).end()
    }

    /// Puts units into the cart, which is then as `then`.
    ///
    /// # Errors
    ///
    /// See [`product`](Self::product).
    pub async fn add(&self, who: &Who, units: Units<'_>, then: &[Units<'_>]) -> Result<(), Failed> {
        let request = AddToCartRequest {
            user_id: who.id.clone(),
            product_id: units.0.id.clone(),
            quantity: units.1,
        };
        let answer = self.ask::<rpc::AddToCart>(who, request).await?.ok();
        has(answer, cart, then).end()
    }

    /// The cart holds exactly this.
    ///
    /// # Errors
    ///
    /// See [`product`](Self::product).
    pub async fn cart(&self, who: &Who, units: &[Units<'_>]) -> Result<(), Failed> {
        let request = GetCartRequest {
            user_id: who.id.clone(),
        };
        let answer = self.ask::<rpc::GetCart>(who, request).await?.ok();
        has(answer, cart, units).end()
    }

    /// Fills an empty cart.
    ///
    /// # Errors
    ///
    /// See [`product`](Self::product).
    pub async fn fill(&self, who: &Who, units: &[Units<'_>]) -> Result<(), Failed> {
        self.clear_cart(who).await?;
        for (n, unit) in units.iter().enumerate() {
            self.add(who, *unit, &units[..=n]).await?;
        }
        Ok(())
    }

    /// Orders what is in the cart.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn order<'a>(&'a self, who: &'a Who) -> Result<Answer<'a, rpc::CreateOrder>, Failed> {
        self.order_for(who, who).await
    }

    /// `who` orders what is in the cart of `user`.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn order_for<'a>(
        &'a self,
        who: &'a Who,
        user: &Who,
    ) -> Result<Answer<'a, rpc::CreateOrder>, Failed> {
        self.ask::<rpc::CreateOrder>(who, to_order(user)).await
    }

    /// Orders what is in the cart, which is `units`, and pays for it.
    ///
    /// # Errors
    ///
    /// See [`product`](Self::product).
    pub async fn buy(&self, who: &Who, units: &[Units<'_>]) -> Result<Order, Failed> {
        let answer = self.order(who).await?.ok();
        let made = answer
            .is("success", |r| r.success, true)
            .is("status", |r| status(&order(r)), "PAID")
            .is("total", |r| order(r).total_amount, total(units))
            .same("lines", |r| lines_in_order(order(r)), &lines_of(units))
            .holds("a payment", |r| !order(r).payment_id.is_empty())
            .response()?;
        Ok(order(&made))
    }

    /// Orders what is in the cart, which comes to nothing.
    ///
    /// # Errors
    ///
    /// See [`product`](Self::product).
    pub async fn fail_to_buy(&self, who: &Who) -> Result<Order, Failed> {
        let answer = self.order(who).await?.ok();
        let made = answer
            .is("success", |r| r.success, false)
            .is("status", |r| status(&order(r)), "FAILED")
            .holds("a reason", |r| !order(r).reason.is_empty())
            .response()?;
        Ok(order(&made))
    }

    /// `who` sees the order in this status.
    ///
    /// # Errors
    ///
    /// See [`product`](Self::product).
    pub async fn look(&self, who: &Who, id: &str, want: OrderStatus) -> Result<Order, Failed> {
        let request = GetOrderRequest { id: id.to_owned() };
        let answer = self.ask::<rpc::GetOrder>(who, request).await?.ok();
        let seen = answer
            .is("status", |r| status(&order(r)), want.as_str_name())
            .response()?;
        Ok(order(&seen))
    }

    /// The first page of what `who` has ordered.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn orders<'a>(
        &'a self,
        who: &'a Who,
    ) -> Result<Answer<'a, rpc::ListUserOrders>, Failed> {
        let request = ListUserOrdersRequest {
            user_id: who.id.clone(),
            ..Default::default()
        };
        let answer = self.ask::<rpc::ListUserOrders>(who, request).await?.ok();
        Ok(answer.holds("no more than a page", |r| r.orders.len() <= 20))
    }

    /// `who` moves an order on.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn move_on<'a>(
        &'a self,
        who: &'a Who,
        id: &str,
        to: OrderStatus,
    ) -> Result<Answer<'a, rpc::UpdateOrderStatus>, Failed> {
        let request = UpdateOrderStatusRequest {
            order_id: id.to_owned(),
            status: to.into(),
        };
        let answer = self.ask::<rpc::UpdateOrderStatus>(who, request).await?;
        Ok(answer.about(&format!("to {}", to.as_str_name())))
    }

    /// The payment of `order`, found by its own id or by the order's, is in this status.
    ///
    /// # Errors
    ///
    /// See [`product`](Self::product).
    pub async fn payment(
        &self,
        who: &Who,
        id: &str,
        order: &Order,
        want: PaymentStatus,
    ) -> Result<(), Failed> {
        let request = GetPaymentStatusRequest {
            payment_id: id.to_owned(),
        };
        let answer = self.ask::<rpc::GetPaymentStatus>(who, request).await?;
        answer
            .ok()
            .is("status", |r| r.status().as_str_name(), want.as_str_name())
            .is("amount", |r| r.amount, order.total_amount)
            .same("order", |r| r.order_id.clone(), &order.id)
            .end()
    }
}

/// The request to order what is in the cart.
pub fn to_order(who: &Who) -> CreateOrderRequest {
    CreateOrderRequest {
        user_id: who.id.clone(),
        payment_method: String::new(),
    }
}

/// The cart in an answer holds exactly `units`, to the cent.
pub fn has<'a, R: rpc::Rpc>(
    answer: Answer<'a, R>,
    cart: impl Fn(&R::Response) -> Cart,
    units: &[Units<'_>],
) -> Answer<'a, R> {
    answer
        .is("lines", |r| cart(r).items.len(), units.len())
        .same(
            "each as it should be",
            |r| lines_in_cart(cart(r)),
            &lines_of(units),
        )
        .is("total", |r| cart(r).total_amount, total(units))
}
