//! Who may call what, for every RPC, as its declaration says.

use zerocart_auth::Token;
use zerocart_proto::rpc::{self, Access, Info, Role};

use super::{
    answer::Failed,
    edge::BadToken,
    inputs::Rest,
    refusal::Refusal,
    schema::{Request, Things},
    shop::{Shop, Who},
    wire::Input,
};

/// Somebody whose token nobody has signed.
pub(super) fn forger() -> Who {
    Who {
        name: "a forger".into(),
        id: String::new(),
        token: Some(Token::new("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.")),
    }
}

/// Every function refuses who has no good token, and whom it is not for. Nothing is done for them,
/// though the requests are good.
pub(super) async fn tokens(shop: &Shop) -> Result<(), Failed> {
    let buyer = &shop.buyer;
    let things = things(shop).await?;
    let impostor = Who {
        name: "an impostor".into(),
        id: buyer.id.clone(),
        token: buyer.token.as_ref().map(altered),
    };
    for info in rpc::ALL {
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
    Ok(())
}

/// Who may not call an RPC with this access, in the matter of the buyer.
fn refused(shop: &Shop, access: &Access, impostor: &Who) -> Vec<(Who, Refusal)> {
    let edge = shop.edge();
    if access.anyone {
        // No edge looks at tokens that are not needed; the function does.
        let invalid = || Refusal::unauthenticated("the token is not valid");
        return vec![(forger(), invalid()), (impostor.clone(), invalid())];
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
    use super::*;

    #[test]
    fn an_altered_token_is_another_of_the_same_form() {
        for (token, other) in [("a.b.xyz", "a.b.Ayz"), ("a.b.Ayz", "a.b.Byz")] {
            assert_eq!(altered(&Token::new(token)), Token::new(other));
        }
    }
}
