//! Accounts that are disabled, and tokens that are void.

use std::future::ready;

use tonic::Code;
use uuid::Uuid;
use zerocart_proto::{
    rpc::{self, Rpc},
    user::{
        AuthRequest, CreateUserRequest, GetUserRequest, SetUserStateRequest, UserResponse,
        UserState,
    },
    voids::{RecordVoidRequest, RecordVoidResponse},
};

use super::{
    answer::Failed,
    keys::twice,
    refusal::Refusal,
    shop::{PASSWORD, Shop, Who},
};

/// Who has a disabled account cannot sign in until it is enabled again.
///
/// That the tokens are void is not told: an engine may take them for a minute.
pub(super) async fn disabled(shop: &Shop) -> Result<(), Failed> {
    let (nobody, admin) = (Who::nobody(), &shop.admin);
    let email = format!("{}@example.com", shop.key("disabled"));
    let sign_up = CreateUserRequest {
        email: email.clone(),
        name: "Disabled".into(),
        password: PASSWORD.into(),
    };
    let made = shop.ask::<rpc::CreateUser>(&nobody, sign_up).await?.ok();
    let made = made.response()?.user.unwrap_or_default();
    let set = |id: &str, state: UserState| SetUserStateRequest {
        id: id.to_owned(),
        state: state.into(),
    };
    let sign_in = |password: &str| AuthRequest {
        email: email.clone(),
        password: password.into(),
    };

    let requests = (
        set(&made.id, UserState::Disabled),
        set(&made.id, UserState::Active),
    );
    let disabled = twice::<rpc::SetUserState>(shop, admin, requests, ready(Ok(()))).await?;
    let disabled = disabled.user.unwrap_or_default();
    let read = GetUserRequest {
        id: made.id.clone(),
    };
    let read = shop.ask::<rpc::GetUser>(admin, read).await?.ok();
    let user = |r: &UserResponse| r.user.clone().unwrap_or_default();
    read.is("state", |r| user(r).state().as_str_name(), "DISABLED")
        .same("as it was answered", user, &disabled)
        .end()?;

    let told = "this account is disabled; ask the operator of the shop";
    let told = Refusal::new(Code::PermissionDenied, 403, told);
    let known = shop.ask::<rpc::AuthenticateUser>(&nobody, sign_in(PASSWORD));
    known.await?.refused(&told).end()?;
    // Who does not know the password is not told.
    let stranger = shop.ask::<rpc::AuthenticateUser>(&nobody, sign_in("not the password"));
    let stranger = stranger.await?;
    let wrong = Refusal::unauthenticated("the e-mail or the password is wrong")
        .with("success", false)
        .with("token", "");
    match shop.is_rest() {
        true => stranger.refused(&wrong).end()?,
        false => stranger.ok().is("success", |r| r.success, false).end()?,
    }

    let enabled = shop.ask::<rpc::SetUserState>(admin, set(&made.id, UserState::Active));
    let enabled = enabled.await?.ok();
    enabled.same("as it was made", user, &made).end()?;
    let again = shop.ask::<rpc::AuthenticateUser>(&nobody, sign_in(PASSWORD));
    let again = again.await?.ok();
    again.is("success", |r| r.success, true).end()?;

    let none = Refusal::not_found("there is no such user");
    let unknown = set(&Uuid::now_v7().to_string(), UserState::Disabled);
    let unknown = shop.ask::<rpc::SetUserState>(admin, unknown).await?;
    unknown.refused(&none).end()?;
    recorded::<rpc::RecordVoidInProduct>(shop).await?;
    recorded::<rpc::RecordVoidInCart>(shop).await?;
    recorded::<rpc::RecordVoidInOrder>(shop).await?;
    recorded::<rpc::RecordVoidInPayment>(shop).await?;
    recorded::<rpc::RecordVoidInOps>(shop).await
}

/// A domain records void tokens, and the highest generation counts.
async fn recorded<R>(shop: &Shop) -> Result<(), Failed>
where
    R: Rpc<Request = RecordVoidRequest, Response = RecordVoidResponse>,
{
    let user_id = Uuid::now_v7().to_string();
    let before = |generation| RecordVoidRequest {
        user_id: user_id.clone(),
        generation,
    };
    let requests = (before(2), before(3));
    twice::<R>(shop, &shop.admin, requests, ready(Ok(()))).await?;
    for (asked, good_from) in [(5, 5), (4, 5)] {
        let recorded = shop.ask::<R>(&shop.admin, before(asked)).await?.ok();
        recorded
            .is("generation", |r| r.generation, good_from)
            .end()?;
    }
    Ok(())
}
