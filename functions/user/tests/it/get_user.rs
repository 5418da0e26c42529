//! Reading an account.

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
