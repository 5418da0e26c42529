//! The rules of the world: what the real functions promise, in a few lines each.

use uuid::Uuid;
use zerocart_core::{Error, Kind};
use zerocart_proto::{
    cart::{Cart, CartResponse, ClearCartRequest},
    payment::{PaymentResponse, PaymentStatusResponse, ProcessPaymentRequest},
    product::{InventoryResponse, UpdateInventoryRequest},
};

use super::{DECLINED, Payment, Reservation, Standing, State};

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

    pub(super) fn update_inventory(
        &mut self,
        request: &UpdateInventoryRequest,
    ) -> Result<InventoryResponse, Error> {
        let product = self
            .products
            .get_mut(&request.product_id)
            .ok_or_else(|| Error::not_found("there is no such product"))?;
        let key = (request.reservation_id.clone(), request.product_id.clone());
        let refused = |message| Err(Error::new(Kind::FailedPrecondition, message));
        let quantity = request.quantity_change.abs();
        let known = self.reservations.get_mut(&key);
        match known {
            Some(known) if !known.released && known.quantity != quantity => {
                return refused("quantity_change is not that of the reservation");
            }
            Some(known) if request.quantity_change > 0 => {
                if !known.released {
                    known.released = true;
                    product.stock += quantity;
                }
            }
            Some(known) if known.released => return refused("the reservation was released"),
            Some(_) => {}
            None => {
                let released = request.quantity_change > 0;
                if !released {
                    if product.stock < quantity {
                        return refused("there is not enough in stock");
                    }
                    product.stock -= quantity;
                }
                let reservation = Reservation { quantity, released };
                self.reservations.insert(key, reservation);
            }
        }
        Ok(InventoryResponse {
            success: true,
            new_inventory: product.stock,
            message: String::new(),
        })
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
