//! Orders in the states in which drivers left them, for the next driver.

use uuid::Uuid;

use crate::{CUP, TEA, world::World};

/// An order as a driver left it.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) id: String,
    pub(crate) user_id: String,
    /// Product, price in cents, quantity; in the order of products.
    pub(crate) lines: Vec<(&'static str, i64, i32)>,
    pub(crate) status: &'static str,
    pub(crate) step: &'static str,
    pub(crate) place: i32,
    /// Whether a charge may have been asked for, while it is charged.
    pub(crate) asked: bool,
    pub(crate) cause: Option<&'static str>,
    pub(crate) lapsed: bool,
    /// Only its beginning was recorded.
    pub(crate) open: bool,
}

/// What the order of [`Left::at`] costs.
pub(crate) const LEFT_TOTAL: f64 = 10.46;

impl Left {
    /// Two Tea and one Cup of a user of their own, whose driver is gone.
    pub(crate) fn at(status: &'static str, step: &'static str, place: i32) -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            user_id: Uuid::now_v7().to_string(),
            lines: vec![(TEA, 29, 2), (CUP, 988, 1)],
            status,
            step,
            place,
            asked: false,
            cause: None,
            lapsed: true,
            open: false,
        }
    }

    /// As a driver of this version leaves an order that came on quickly.
    pub(crate) fn open() -> Self {
        Self {
            open: true,
            ..Self::at("PENDING", "reserving", 0)
        }
    }

    pub(crate) fn asked(self) -> Self {
        Self {
            asked: true,
            ..self
        }
    }

    pub(crate) fn because(self, cause: &'static str) -> Self {
        Self {
            cause: Some(cause),
            ..self
        }
    }

    pub(crate) fn live(self) -> Self {
        Self {
            lapsed: false,
            ..self
        }
    }

    pub(crate) fn of(self, user_id: &str) -> Self {
        Self {
            user_id: user_id.into(),
            ..self
        }
    }

    pub(crate) fn is_paid(&self) -> bool {
        matches!(self.status, "PAID" | "SHIPPED" | "DELIVERED")
    }

    /// Its lines as a cart.
    pub(crate) fn cart(&self) -> Vec<(&'static str, f64, i32)> {
        let lines = self.lines.iter();
        lines
            .map(|(id, cents, quantity)| (*id, *cents as f64 / 100.0, *quantity))
            .collect()
    }

    /// Does in the world what a driver had done before it died: all before the recorded step, and
    /// the step's own effect, too, when it was `done`.
    pub(crate) fn play(&self, world: &World, done: bool) {
        world.fill_cart(&self.user_id, &self.cart());
        let reserved = match self.step {
            "reserving" => self.place + i32::from(done),
            // The lines that the version before had come to.
            "releasing" => self.place,
            _ if self.status == "FAILED" => 0,
            _ => self.lines.len() as i32,
        };
        for (product_id, _, quantity) in &self.lines[..reserved as usize] {
            world.reserve(&self.id, product_id, *quantity);
        }
        let charged = match self.step {
            "charging" => self.asked && done,
            "refunding" => done,
            _ => self.is_paid() || self.cause == Some("cancelled"),
        };
        if charged {
            world.charge(&self.id, &self.user_id, LEFT_TOTAL, false);
        }
        // No charge stands when lines are released, nor when it is over.
        let undone = matches!(self.step, "releasing" | "ended") && self.cause.is_some();
        if undone && charged {
            world.refund(&self.id, &self.user_id);
        }
        let released = match self.step {
            "releasing" if done => self.place - 1..self.place,
            "ended" if self.cause.is_some() => 0..reserved,
            _ => 0..0,
        };
        for line in released {
            let (product_id, _, quantity) = self.lines[line as usize];
            world.release(&self.id, product_id, quantity);
        }
        if self.is_paid() && (done || self.step != "clearing") {
            world.take_from_cart(&self.id, &self.user_id, &self.cart());
        }
    }
}
