//! The rules of the world: what the real functions promise, in a few lines each.

use uuid::Uuid;
use zerocart_core::{Error, Kind};
use zerocart_proto::{
    cart::{Cart, CartResponse, ClearCartRequest},
    payment::{PaymentResponse, PaymentStatusResponse, ProcessPaymentRequest},
    product::{InventoryLine, InventoryResponse, UpdateInventoryRequest},
    validate::Violations,
};

use super::{DECLINED, Payment, Reservation, Standing, State};

/// The lines of a request, in either of its forms.
pub(super) fn lines(request: &UpdateInventoryRequest) -> Vec<InventoryLine> {
    if !request.lines.is_empty() {
        return request.lines.clone();
    }
    vec![InventoryLine {
        product_id: request.product_id.clone(),
        quantity_change: request.quantity_change,
    }]
}

impl State {
    pub(super) fn get_cart(&self, user_id: &str) -> CartResponse {
        CartResponse {
            cart: Some(Cart {
                user_id: user_id.into(),
                items: self.carts.get(user_id).cloned().unwrap_or_default(),
                ..Default::default()
            }),
            success: true,
            message: String::new(),
        }
    }

    /// All lines, or none.
    pub(super) fn update_inventory(
        &mut self,
        request: &UpdateInventoryRequest,
    ) -> Result<InventoryResponse, Error> {
        let lines = lines(request);
        let mut wrong = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let why = self.refusal(&request.reservation_id, line);
            wrong.extend(why.map(|(kind, why)| (number, kind, why)));
        }
        if let Some((_, kind, why)) = wrong
            .iter()
            .min_by_key(|(_, kind, _)| *kind != Kind::NotFound)
        {
            let kind = *kind;
            if request.lines.is_empty() {
                return Err(Error::new(kind, *why));
            }
            let mut named = Violations::default();
            for (number, _, why) in wrong.iter().filter(|(_, other, _)| *other == kind) {
                named.add(format!("lines[{number}]"), *why);
            }
            return Err(Error::invalid(named).with_kind(kind));
        }
        let mut stock = Vec::new();
        for line in &lines {
            stock.push(self.hold(&request.reservation_id, line));
        }
        Ok(InventoryResponse {
            success: true,
            new_inventory: stock[0],
            ..Default::default()
        })
    }

    /// Why a line cannot be done.
    fn refusal(&self, reservation: &str, line: &InventoryLine) -> Option<(Kind, &'static str)> {
        let Some(product) = self.products.get(&line.product_id) else {
            return Some((Kind::NotFound, "there is no such product"));
        };
        let quantity = line.quantity_change.abs();
        let key = (reservation.to_owned(), line.product_id.clone());
        let why = match self.reservations.get(&key) {
            Some(known) if !known.released && known.quantity != quantity => {
                "quantity_change is not that of the reservation"
            }
            Some(known) if known.released && line.quantity_change < 0 => {
                "the reservation was released"
            }
            None if line.quantity_change < 0 && product.stock < quantity => {
                "there is not enough in stock"
            }
            _ => return None,
        };
        Some((Kind::FailedPrecondition, why))
    }

    /// Does a line, and gives what is in stock then.
    fn hold(&mut self, reservation: &str, line: &InventoryLine) -> i32 {
        let product = self.products.get_mut(&line.product_id);
        let product = product.expect("it was looked up");
        let key = (reservation.to_owned(), line.product_id.clone());
        let quantity = line.quantity_change.abs();
        let releases = line.quantity_change > 0;
        match self.reservations.get_mut(&key) {
            Some(known) if releases && !known.released => {
                known.released = true;
                product.stock += quantity;
            }
            Some(_) => {}
            None => {
                if !releases {
                    product.stock -= quantity;
                }
                let released = releases;
                let reservation = Reservation { quantity, released };
                self.reservations.insert(key, reservation);
            }
        }
        product.stock
    }

    pub(super) fn process_payment(
        &mut self,
        request: &ProcessPaymentRequest,
        declines: bool,
    ) -> Result<PaymentResponse, Error> {
        let first = match (request.refund, declines) {
            (true, _) => Standing::Barred,
            (false, true) => Standing::Declined,
            (false, false) => Standing::Charged,
        };
        let payment = self.payments.entry(request.order_id.clone());
        let payment = payment.or_insert_with(|| Payment {
            id: Uuid::now_v7().to_string(),
            user_id: request.user_id.clone(),
            amount: request.amount,
            method: request.payment_method.clone(),
            standing: first,
        });
        if request.refund && payment.standing == Standing::Charged {
            payment.standing = Standing::Refunded;
        }
        let undone = matches!(payment.standing, Standing::Refunded | Standing::Barred);
        if !request.refund && undone {
            return Err(Error::new(
                Kind::FailedPrecondition,
                "the payment was undone",
            ));
        }
        let charged = payment.standing == Standing::Charged;
        Ok(PaymentResponse {
            payment_id: payment.id.clone(),
            status: payment.standing.to_wire().into(),
            message: if charged { "paid" } else { DECLINED }.into(),
            success: request.refund || charged,
        })
    }

    pub(super) fn payment_status(&self, id: &str) -> Result<PaymentStatusResponse, Error> {
        let payment = self.payments.get(id);
        let payment = payment.ok_or_else(|| Error::not_found("there is no such payment"))?;
        Ok(PaymentStatusResponse {
            payment_id: payment.id.clone(),
            status: payment.standing.to_wire().into(),
            amount: payment.amount,
            order_id: id.into(),
            ..Default::default()
        })
    }

    pub(super) fn clear_cart(&mut self, request: &ClearCartRequest) -> CartResponse {
        if self.cleared.insert(request.order_id.clone()) {
            let cart = self.carts.entry(request.user_id.clone()).or_default();
            for item in &request.bought {
                let line = cart.iter_mut().find(|l| l.product_id == item.product_id);
                if let Some(line) = line {
                    line.quantity -= item.quantity;
                }
            }
            cart.retain(|line| line.quantity > 0);
        }
        self.get_cart(&request.user_id)
    }
}
