//! The user domain: accounts and sign-in.
//!
//! One module per function; what they share is here: how a row becomes a message, how passwords are
//! hashed, and how a user's tokens become void.

mod accounts;
mod address;
mod attempts;
pub mod bootstrap;
mod memory;
mod page;
mod password;
mod search;
mod tokens;
mod voids;

pub use tokens::TOKEN_LIFETIME_SECONDS;

// generated: functions (cargo zerocart generate)
mod authenticate_user;
mod change_password;
mod create_user;
mod deliver_voids;
mod get_user;
mod list_users;
mod set_user_state;

pub use authenticate_user::AuthenticateUser;
pub use change_password::ChangePassword;
pub use create_user::CreateUser;
pub use deliver_voids::DeliverVoids;
pub use get_user::GetUser;
pub use list_users::ListUsers;
pub use set_user_state::SetUserState;

/// The functions of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static FUNCTIONS: &[zerocart_runtime::Entry] = &[
    zerocart_runtime::Entry::of::<CreateUser>(),
    zerocart_runtime::Entry::of::<GetUser>(),
    zerocart_runtime::Entry::of::<ListUsers>(),
    zerocart_runtime::Entry::of::<ChangePassword>(),
    zerocart_runtime::Entry::of::<AuthenticateUser>(),
    zerocart_runtime::Entry::of::<SetUserState>(),
];

/// The jobs of this domain.
#[cfg(not(test))]
#[rustfmt::skip]
pub static JOBS: &[zerocart_runtime::JobEntry] = &[
    zerocart_runtime::JobEntry::of::<DeliverVoids>(),
];
// end of generated: functions

use zerocart_postgres::Row;
use zerocart_proto::user::{User, UserState};

/// The columns of [`user`], in its order.
macro_rules! user_columns {
    () => {
        concat!(
            "id, email, name, ",
            zerocart_postgres::rfc3339!("created_at"),
            ", state"
        )
    };
}
pub(crate) use user_columns;

/// A row of [`user_columns`] as a message.
fn user(row: &Row) -> User {
    User {
        id: row.get::<_, uuid::Uuid>(0).to_string(),
        email: row.get(1),
        name: row.get(2),
        created_at: row.get(3),
        state: match row.get(4) {
            "disabled" => UserState::Disabled,
            _ => UserState::Active,
        }
        .into(),
    }
}
