//! Reading an account.

use tonic::Code;
use uuid::Uuid;
use zerocart_proto::{
    rpc::{CreateUser as SignUp, GetUser as Rpc},
    user::GetUserRequest,
};
use zerocart_test_support::clients::{Client, Wire};
use zerocart_user::{CreateUser, GetUser};

use crate::{Domain, create_user::sign_up};

#[tokio::test]
async fn an_account_is_read_as_it_was_made() {
    let domain = Domain::new().await;
    let create = domain.start::<CreateUser>().await;
    let function = domain.start::<GetUser>().await;
    let made = Client::new(Wire::Grpc, create.address())
        .call::<SignUp>(&sign_up("Me@Example.com"))
        .await
        .ok()
        .user
        .unwrap();
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for (token, id) in [
            (domain.authority.customer(&made.id), made.id.clone()),
            // One user, in every case of the letters of the id.
            (domain.authority.customer(&made.id), made.id.to_uppercase()),
            (
                domain.authority.admin(&Uuid::now_v7().to_string()),
                made.id.clone(),
            ),
        ] {
            let client = client.clone().bearer(&token);
            let outcome = client.call::<Rpc>(&GetUserRequest { id }).await;
            assert_eq!(outcome.http_status, 200, "{wire:?}");
            assert_eq!(outcome.ok().user.as_ref(), Some(&made), "{wire:?}");
        }
    }
}

#[tokio::test]
async fn others_are_refused() {
    let domain = Domain::new().await;
    let function = domain.start::<GetUser>().await;
    let me = domain.add_user("me@example.com").await.to_string();
    let other = domain.add_user("other@example.com").await.to_string();
    let unknown = Uuid::now_v7().to_string();
    let authority = &domain.authority;
    let foreign = zerocart_test_support::functions::Authority::generate();
    let nobody = None;
    let customer = Some(authority.customer(&me));
    let ghost = Some(authority.customer(&unknown));
    let admin = Some(authority.admin(&other));
    let service = Some(authority.service("create-order"));
    let expired = Some(authority.expired(&me));
    let forged = Some(foreign.admin(&me));
    let table = [
        ("nobody", &nobody, &*me, Code::Unauthenticated, 401),
        ("expired", &expired, &me, Code::Unauthenticated, 401),
        ("forged", &forged, &me, Code::Unauthenticated, 401),
        ("another", &customer, &other, Code::PermissionDenied, 403),
        ("service", &service, &me, Code::PermissionDenied, 403),
        // Whether there is such a user is not for everybody to know.
        ("probing", &customer, &unknown, Code::PermissionDenied, 403),
        ("bad id", &customer, "7", Code::PermissionDenied, 403),
        ("admin", &admin, &unknown, Code::NotFound, 404),
        ("deleted", &ghost, &unknown, Code::NotFound, 404),
        ("bad id", &admin, "7", Code::InvalidArgument, 400),
        (
            "braces",
            &admin,
            &format!("{{{me}}}"),
            Code::InvalidArgument,
            400,
        ),
        (
            "simple",
            &admin,
            &me.replace('-', ""),
            Code::InvalidArgument,
            400,
        ),
        (
            "longer",
            &admin,
            &format!("{me}0"),
            Code::InvalidArgument,
            400,
        ),
        ("NUL", &admin, "\0", Code::InvalidArgument, 400),
        ("SQL", &admin, "' OR '1' = '1", Code::InvalidArgument, 400),
    ];
    for wire in Wire::ALL {
        for (what, token, id, code, status) in &table {
            let mut client = Client::new(wire, function.address());
            if let Some(token) = token {
                client = client.bearer(token);
            }
            let request = GetUserRequest { id: (*id).into() };
            let outcome = client.call::<Rpc>(&request).await;
            assert_eq!(outcome.code, *code, "{wire:?} {what}");
            if wire.is_json() {
                assert_eq!(outcome.http_status, *status, "{what}");
            }
            if *code == Code::InvalidArgument {
                assert_eq!(outcome.field_names(), ["id"], "{wire:?} {what}");
            }
        }
    }
}
