//! The cart domain: what each user is about to buy.
//!
//! One module per function; what they share is in `cart`: how a cart is changed, read, and made a
//! message; in `line`: how one line is written; and in `offer`: what get-product says of a product.

mod cart;
mod line;
mod offer;

// generated: functions (cargo zerocart generate)
mod add_to_cart;
mod clear_cart;
mod get_cart;
mod record_void_in_cart;
mod remove_from_cart;
mod update_cart_item;

pub use add_to_cart::AddToCart;
pub use clear_cart::ClearCart;
pub use get_cart::GetCart;
pub use record_void_in_cart::RecordVoidInCart;
pub use remove_from_cart::RemoveFromCart;
pub use update_cart_item::UpdateCartItem;

/// The functions of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static FUNCTIONS: &[zerocart_runtime::Entry] = &[
    zerocart_runtime::Entry::of::<AddToCart>(),
    zerocart_runtime::Entry::of::<GetCart>(),
    zerocart_runtime::Entry::of::<UpdateCartItem>(),
    zerocart_runtime::Entry::of::<RemoveFromCart>(),
    zerocart_runtime::Entry::of::<ClearCart>(),
    zerocart_runtime::Entry::of::<RecordVoidInCart>(),
];

/// The jobs of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static JOBS: &[zerocart_runtime::JobEntry] = &[
];
// end of generated: functions
