//! Who may call what, for every RPC, as its declaration says.

use http::HeaderValue;
use zerocart_auth::Token;
use zerocart_proto::{
    product::{GetProductRequest, ListProductsRequest},
    rpc::{self, Access, Info, Role},
    user::{AuthRequest, CreateUserRequest},
};

use super::{
    answer::Failed,
    edge::BadToken,
    inputs::Rest,
    refusal::Refusal,
    schema::{Request, Things},
    shop::{PASSWORD, Shop, Who},
    wire::Input,
};

/// Somebody whose token nobody has signed.
pub(super) fn forger() -> Who {
    Who {
        name: "a forger".into(),
        token: Some(Token::new("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.")),
        ..Who::nobody()
    }
}

/// Every function refuses who has no good token, and whom it is not for. Nothing is done for them,
/// though the requests are good. Functions that anyone may call look at no token.
pub(super) async fn tokens(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let things = things(shop).await?;
    let impostor = Who {
        name: "an impostor".into(),
        token: buyer.token.as_ref().map(altered),
        ..buyer.clone()
    };
    for info in shop.edge().functions() {
        let request = Request::good(info, &things);
        for (who, refusal) in refused(shop, &info.access, &impostor) {
            let rest = Rest::of(info, &request);
            let message = request.bytes();
            let input = match shop.is_rest() {
                true => Input::Rest(&rest),
                false => Input::Grpc(&message),
            };
            let what = ("a good request", input);
            shop.refuses(info, &who, None, what, &refusal).await?;
        }
    }
    let header = |value| ("authorization", HeaderValue::from_static(value));
    let odd = [
        forger(),
        impostor,
        Who::with_header("somebody of another scheme", header("Basic YTpi")),
        Who::with_header("somebody without a scheme", header("x.y.z")),
        Who::with_header("somebody without a token", header("Bearer")),
    ];
    for who in &odd {
        open(shop, who, &things).await?;
    }
    Ok(())
}

/// What anyone may do, `who` may do with any Authorization header. The most important case is
/// signing in again.
async fn open(shop: &Shop, who: &Who, things: &Things) -> Result<(), Failed> {
    let email = format!("{}@example.com", shop.key(&who.name.replace(' ', "-")));
    let sign_up = CreateUserRequest {
        email: email.clone(),
        name: "Ada".into(),
        password: PASSWORD.into(),
    };
    let made = shop.ask::<rpc::CreateUser>(who, sign_up).await?.ok();
    let made = made.response()?.user.unwrap_or_default();
    let log_in = AuthRequest {
        email,
        password: PASSWORD.into(),
    };
    let known = shop.ask::<rpc::AuthenticateUser>(who, log_in).await?.ok();
    known
        .is("success", |r| r.success, true)
        .same(
            "that account",
            |r| r.user.clone().unwrap_or_default(),
            &made,
        )
        .end()?;
    let id = things.product.clone();
    let product = shop.ask::<rpc::GetProduct>(who, GetProductRequest { id });
    product.await?.ok().end()?;
    let list = ListProductsRequest {
        limit: 1,
        ..Default::default()
    };
    shop.ask::<rpc::ListProducts>(who, list).await?.ok().end()
}

/// Who may not call an RPC with this access, in the matter of the buyer.
fn refused(shop: &Shop, access: &Access, impostor: &Who) -> Vec<(Who, Refusal)> {
    let edge = shop.edge();
    if access.anyone {
        return Vec::new();
    }
    let mut refused = vec![
        (Who::nobody(), edge.refuses(BadToken::Missing)),
        (forger(), edge.refuses(BadToken::Unsigned)),
        (impostor.clone(), edge.refuses(BadToken::Altered)),
        (shop.stranger.clone(), Refusal::denied()),
    ];
    if access.self_field.is_none() && !access.owner {
        refused.push((shop.buyer.clone(), Refusal::denied()));
    }
    if !access.roles.contains(&Role::Admin) {
        refused.push((shop.admin.clone(), Refusal::denied()));
    }
    refused
}

/// Who may call an RPC in the matter of the buyer.
pub(super) fn allowed<'a>(shop: &'a Shop, info: &Info, nobody: &'a Who) -> &'a Who {
    match &info.access {
        access if access.anyone => nobody,
        access if access.roles.contains(&Role::Admin) => &shop.admin,
        _ => &shop.buyer,
    }
}

/// What the buyer has: a product, and an order of it that is paid.
pub(super) async fn things(shop: &Shop) -> Result<Things, Failed> {
    let buyer = &shop.buyer;
    let cup = shop.product("Cup", 650, 9).await?;
    shop.fill(buyer, &[(&cup, 1)]).await?;
    let paid = shop.buy(buyer, &[(&cup, 1)]).await?;
    Ok(Things {
        user: buyer.id.clone(),
        product: cup.id,
        order: paid.id,
        payment: paid.payment_id,
    })
}

/// The same token with another signature.
fn altered(token: &Token) -> Token {
    let (signed, signature) = token.as_str().rsplit_once('.').unwrap_or_default();
    let other = match signature.starts_with('A') {
        true => 'B',
        false => 'A',
    };
    let rest = signature.get(1..).unwrap_or_default();
    Token::new(format!("{signed}.{other}{rest}"))
}

#[cfg(test)]
mod tests {
    use zerocart_proto::rpc::Rpc;

    use super::*;

    #[test]
    fn every_open_function_is_told_of() {
        let open = rpc::ALL.iter().filter(|info| info.access.anyone);
        let mut open: Vec<_> = open.map(|info| info.name).collect();
        // By `open`.
        let mut told = [
            rpc::CreateUser::INFO.name,
            rpc::AuthenticateUser::INFO.name,
            rpc::GetProduct::INFO.name,
            rpc::ListProducts::INFO.name,
        ];
        open.sort_unstable();
        told.sort_unstable();
        assert_eq!(open, told);
    }

    #[test]
    fn an_altered_token_is_another_of_the_same_form() {
        for (token, other) in [("a.b.xyz", "a.b.Ayz"), ("a.b.Ayz", "a.b.Byz")] {
            assert_eq!(altered(&Token::new(token)), Token::new(other));
        }
    }
}
