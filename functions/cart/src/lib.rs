//! The cart domain: what each user is about to buy.
//!
//! One module per function; what they share is in `cart`: how a cart is changed, read, and made a
//! message; and in `offer`: what get-product says of a product.

mod add_to_cart;
mod cart;
mod clear_cart;
mod get_cart;
mod offer;
mod remove_from_cart;
mod update_cart_item;

pub use add_to_cart::AddToCart;
pub use clear_cart::ClearCart;
pub use get_cart::GetCart;
pub use remove_from_cart::RemoveFromCart;
pub use update_cart_item::UpdateCartItem;

use zerocart_runtime::Entry;

/// The functions of this domain.
pub const FUNCTIONS: &[Entry] = &[
    Entry::of::<AddToCart>(),
    Entry::of::<GetCart>(),
    Entry::of::<UpdateCartItem>(),
    Entry::of::<RemoveFromCart>(),
    Entry::of::<ClearCart>(),
];
