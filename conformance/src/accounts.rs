//! Accounts: who has one, and what is the same e-mail and the same password.

use uuid::Uuid;
use zerocart_proto::{
    rpc,
    user::{AuthRequest, CreateUserRequest, GetUserRequest, User},
};

use super::{
    answer::Failed,
    people,
    refusal::Refusal,
    shop::{PASSWORD, Shop, Who},
};

/// The refusal of a second account.
const TAKEN: &str = "there is an account with this e-mail";

/// One account per e-mail, and no word about which ones there are.
pub(super) async fn accounts(shop: &Shop) -> Result<(), Failed> {
    let nobody = Who::nobody();
    let email = format!("{}@example.com", shop.key("known"));
    let sign_up = |email: String| CreateUserRequest {
        email,
        name: "Known".into(),
        password: PASSWORD.into(),
    };
    let made = shop.ask::<rpc::CreateUser>(&nobody, sign_up(email.clone()));
    let made = made.await?.ok().response()?.user.unwrap_or_default();
    let taken = Refusal::exists(TAKEN);
    let again = shop.ask::<rpc::CreateUser>(&nobody, sign_up(email.to_uppercase()));
    again.await?.refused(&taken).end()?;

    let wrong = Refusal::unauthenticated("the e-mail or the password is wrong")
        .with("success", false)
        .with("token", "");
    let stranger = format!("{}@example.com", shop.key("unknown"));
    for (email, password) in [(&email, "not the password"), (&stranger, PASSWORD)] {
        let log_in = AuthRequest {
            email: email.clone(),
            password: password.into(),
        };
        let answer = shop.ask::<rpc::AuthenticateUser>(&nobody, log_in).await?;
        // gRPC clients read `success`.
        match shop.is_rest() {
            true => answer.refused(&wrong).end()?,
            false => answer
                .ok()
                .is("success", |r| r.success, false)
                .is("token", |r| r.token.clone(), String::new())
                .is("an account", |r| r.user.is_some(), false)
                .end()?,
        }
    }

    let read = |id| shop.ask::<rpc::GetUser>(&shop.admin, GetUserRequest { id });
    let found = read(made.id.clone()).await?.ok();
    let found = found.same(
        "that account",
        |r| r.user.clone().unwrap_or_default(),
        &made,
    );
    found.end()?;
    let nobody = Refusal::not_found("there is no such user");
    read(Uuid::now_v7().to_string())
        .await?
        .refused(&nobody)
        .end()?;
    spellings(shop).await?;
    passwords(shop).await?;
    people::listed(shop).await?;
    people::change(shop).await
}

/// `email` is that of `account`, whose password is [`PASSWORD`] or `password`.
async fn signs_in(shop: &Shop, account: &User, email: &str, password: &str) -> Result<(), Failed> {
    let log_in = AuthRequest {
        email: email.to_owned(),
        password: password.to_owned(),
    };
    let nobody = Who::nobody();
    let known = shop.ask::<rpc::AuthenticateUser>(&nobody, log_in).await?;
    known
        .ok()
        .is("success", |r| r.success, true)
        .same(
            "that account",
            |r| r.user.clone().unwrap_or_default(),
            account,
        )
        .end()
}

fn sign_up(email: &str, password: &str) -> CreateUserRequest {
    CreateUserRequest {
        email: email.to_owned(),
        name: "Known".into(),
        password: password.to_owned(),
    }
}

/// All spellings of an e-mail are one account.
async fn spellings(shop: &Shop) -> Result<(), Failed> {
    let nobody = Who::nobody();
    let name = shop.key("spelled");
    let families = [
        // An accent that is composed, or one of its own.
        [
            format!("{name}-a\u{e9}@example.com"),
            format!("{name}-ae\u{301}@example.com"),
        ],
        // A domain in letters, or as it is encoded.
        [
            format!("{name}-b@bücher.example"),
            format!("{name}-b@xn--bcher-kva.example"),
        ],
        // Letters at full width.
        [
            format!("{name}-c@example.com"),
            format!("{name}-c@ｅｘａｍｐｌｅ．com"),
        ],
        // Blanks around it.
        [
            format!(" {name}-d@example.com"),
            format!("{name}-d@example.com\u{a0} "),
        ],
    ];
    for [first, second] in &families {
        let made = shop.ask::<rpc::CreateUser>(&nobody, sign_up(first, PASSWORD));
        let made = made.await?.ok();
        let email = |user: User| user.email;
        let made = made.same(
            "e-mail as given, without blanks",
            |r| email(r.user.clone().unwrap_or_default()),
            &first.trim().to_owned(),
        );
        let made = made.response()?.user.unwrap_or_default();
        for again in [first, second] {
            let again = shop.ask::<rpc::CreateUser>(&nobody, sign_up(again, PASSWORD));
            again.await?.refused(&Refusal::exists(TAKEN)).end()?;
        }
        for spelling in [first, second] {
            signs_in(shop, &made, spelling, PASSWORD).await?;
        }
    }
    let name_rule = "has characters before the @ that a name must not have (RFC 8265)";
    let domain_rule = "has a domain that is no domain name (UTS 46)";
    for (email, rule) in [
        ("\u{1f600}@example.com", name_rule),
        ("\u{fb01}@example.com", name_rule),
        ("ada@xn--a.example", domain_rule),
        ("ada@a\u{2488}.example", domain_rule),
    ] {
        let refused = shop.ask::<rpc::CreateUser>(&nobody, sign_up(email, PASSWORD));
        refused
            .await?
            .refused(&Refusal::field("email", rule))
            .end()?;
    }
    Ok(())
}

/// All encodings of an accent or a space are one password.
async fn passwords(shop: &Shop) -> Result<(), Failed> {
    let nobody = Who::nobody();
    let composed = "caf\u{e9} cr\u{e8}me";
    let others = ["cafe\u{301} cre\u{300}me", "caf\u{e9}\u{a0}cr\u{e8}me"];
    let email = format!("{}@example.com", shop.key("creme"));
    let made = shop.ask::<rpc::CreateUser>(&nobody, sign_up(&email, composed));
    let made = made.await?.ok().response()?.user.unwrap_or_default();
    for password in [composed].into_iter().chain(others) {
        signs_in(shop, &made, &email, password).await?;
    }
    let email = format!("{}@example.com", shop.key("decomposed"));
    let made = shop.ask::<rpc::CreateUser>(&nobody, sign_up(&email, others[0]));
    let made = made.await?.ok().response()?.user.unwrap_or_default();
    for password in [composed, others[0]] {
        signs_in(shop, &made, &email, password).await?;
    }
    // Eight characters as they are sent, and four once they are composed.
    let short = "e\u{301}".repeat(4);
    let email = format!("{}@example.com", shop.key("short"));
    let rule = "must have at least 8 characters once accents are composed";
    let refused = shop.ask::<rpc::CreateUser>(&nobody, sign_up(&email, &short));
    refused
        .await?
        .refused(&Refusal::field("password", rule))
        .end()
}
