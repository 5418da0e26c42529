//! What admins see of accounts, and what people do with their own.

use zerocart_auth::Token;
use zerocart_proto::{
    rpc,
    user::{
        AuthRequest, ChangePasswordRequest, GetUserRequest, ListUsersRequest, User, UserResponse,
    },
};

use super::{
    answer::{Answer, Failed},
    refusal::Refusal,
    shop::{PASSWORD, Shop, Who},
};

/// The password after a change.
const NEW: &str = "battery staple correct horse";

async fn account(shop: &Shop, who: &Who) -> Result<User, Failed> {
    let id = who.id.clone();
    let read = shop
        .ask::<rpc::GetUser>(who, GetUserRequest { id })
        .await?
        .ok();
    Ok(read.response()?.user.unwrap_or_default())
}

async fn list<'a>(
    shop: &'a Shop,
    search: &str,
    page_token: &str,
) -> Result<Answer<'a, rpc::ListUsers>, Failed> {
    let request = ListUsersRequest {
        limit: 1,
        search: search.to_owned(),
        page_token: page_token.to_owned(),
    };
    shop.ask::<rpc::ListUsers>(&shop.admin, request).await
}

/// An admin lists accounts, and finds them by the beginning of their e-mail.
pub(super) async fn listed(shop: &Shop) -> Result<(), Failed> {
    let buyer = account(shop, &shop.buyer).await?;
    let whole = buyer.email.to_uppercase();
    let (beginning, _) = whole.split_once('@').unwrap_or_default();
    for search in [&format!(" {whole} "), beginning] {
        let found = list(shop, search, "").await?.ok();
        found
            .same("that account", |r| r.users.clone(), &vec![buyer.clone()])
            .is("total", |r| (r.total, r.total_is_lower_bound), (1, false))
            .is("more", |r| r.next_page_token.clone(), String::new())
            .end()?;
    }
    let none = list(shop, &format!("{beginning}%"), "").await?.ok();
    none.is("accounts", |r| r.users.len(), 0)
        .is("total", |r| r.total, 0)
        .end()?;

    // Others sign up meanwhile, so only the next page of the same list is sure to be another.
    let first = list(shop, "", "").await?.ok();
    let first = first
        .is("accounts", |r| r.users.len(), 1)
        .holds("more than a page", |r| r.total > 1)
        .response()?;
    let next = list(shop, "", &first.next_page_token).await?.ok();
    next.is("accounts", |r| r.users.len(), 1)
        .holds("another", |r| r.users != first.users)
        .end()?;
    let no_token = Refusal::field("page_token", "is not a page token of this list");
    for (search, token) in [(beginning, &*first.next_page_token), ("", "nonsense")] {
        let refused = list(shop, search, token).await?;
        refused.refused(&no_token).end()?;
    }
    Ok(())
}

/// Who knows the password of an account and has its token sets another password, and signs in with it.
///
/// That the earlier token is void is not told: an engine may take it for a minute.
pub(super) async fn change(shop: &Shop) -> Result<(), Failed> {
    let edith = shop.newcomer("Edith").await?;
    let before = account(shop, &edith).await?;
    let email = before.email.clone();
    let request = |old: &str, new: &str| ChangePasswordRequest {
        id: edith.id.clone(),
        old_password: old.into(),
        new_password: new.into(),
    };
    for who in [&shop.admin, &shop.stranger] {
        let refused = shop.ask::<rpc::ChangePassword>(who, request(PASSWORD, NEW));
        refused.await?.refused(&Refusal::denied()).end()?;
    }
    let short = "e\u{301}".repeat(4);
    for (old, new, refusal) in [
        (
            "not the password",
            NEW,
            Refusal::field("old_password", "is wrong"),
        ),
        (
            PASSWORD,
            PASSWORD,
            Refusal::field("new_password", "must differ from old_password"),
        ),
        (
            PASSWORD,
            &short,
            Refusal::field(
                "new_password",
                "must have at least 8 characters once accents are composed",
            ),
        ),
    ] {
        let refused = shop.ask::<rpc::ChangePassword>(&edith, request(old, new));
        refused.await?.refused(&refusal).end()?;
    }
    let sign_in = |password: &str| AuthRequest {
        email: email.clone(),
        password: password.into(),
    };
    let nobody = Who::nobody();
    let key = shop.key("change-password");
    let made = shop.ask_under::<rpc::ChangePassword>(&edith, &key, request(PASSWORD, NEW));
    let made = made.await?.ok();
    let made = made.same("the account", |r| r.user.clone(), &Some(before));
    let made = made.response()?;
    let old = shop.ask::<rpc::AuthenticateUser>(&nobody, sign_in(PASSWORD));
    let old = old.await?;
    let wrong = Refusal::unauthenticated("the e-mail or the password is wrong")
        .with("success", false)
        .with("token", "");
    match shop.is_rest() {
        true => old.refused(&wrong).end()?,
        false => old.ok().is("success", |r| r.success, false).end()?,
    }
    let new = shop.ask::<rpc::AuthenticateUser>(&nobody, sign_in(NEW));
    let new = new.await?.ok().is("success", |r| r.success, true);
    let again = Who {
        token: Some(Token::new(new.response()?.token)),
        ..edith.clone()
    };
    account(shop, &again).await?;
    // The same caller, under the same key: the old password is wrong by now.
    let repeated = shop.ask_under::<rpc::ChangePassword>(&again, &key, request(PASSWORD, NEW));
    let repeated = repeated.await?.ok();
    repeated
        .same("the same answer", UserResponse::clone, &made)
        .end()?;
    let other = request(PASSWORD, "another password");
    let other = shop.ask_under::<rpc::ChangePassword>(&again, &key, other);
    other.await?.refused(&Refusal::key_reused()).end()
}
