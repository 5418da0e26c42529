//! The same answer by JSON over HTTP/1.1 and h2c, by gRPC and by gRPC-Web.

use http::Method;
use tonic::Code;
use zerocart_proto::{
    product::{ListProductsRequest, ListProductsResponse, ProductSort},
    rpc::{AuthenticateUser, CreateProduct, GetProduct, ListProducts},
    user::{AuthRequest, AuthResponse},
};
use zerocart_test_support::{
    clients::{Client, Wire, request},
    functions::{Authority, Running, Script},
};

use crate::{ME, TEA, create_tea, get_tea, serve, tea};

#[tokio::test]
async fn every_wire_carries_the_same_request_and_response() {
    let function = serve(Script::<GetProduct>::new(|_, request| async move {
        assert_eq!(request, get_tea());
        Ok(tea())
    }))
    .await;
    for wire in Wire::ALL {
        let outcome = Client::new(wire, function.address())
            .call::<GetProduct>(&get_tea())
            .await;
        assert_eq!(outcome.code, Code::Ok, "{wire:?}");
        assert_eq!(outcome.http_status, 200, "{wire:?}");
        assert_eq!(outcome.ok(), tea(), "{wire:?}");
    }
}

#[tokio::test]
async fn one_connection_answers_many_calls() {
    let function = serve(Script::<GetProduct>::answers(tea())).await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for _ in 0..20 {
            client.call::<GetProduct>(&get_tea()).await.ok();
        }
    }
}

#[tokio::test]
async fn numbers_and_lists_survive_every_wire() {
    let page = ListProductsResponse {
        products: vec![tea().product.unwrap(); 3],
        total: 17,
        next_page_token: "a+b/c=&ü".into(),
        total_is_lower_bound: true,
    };
    let asked = ListProductsRequest {
        limit: 3,
        offset: 14,
        page_token: "a+b/c=&ü %".into(),
        search: "tee & kännchen".into(),
        sort: ProductSort::PriceDescending.into(),
    };
    let (expected, answer) = (asked.clone(), page.clone());
    let function = serve(Script::<ListProducts>::new(move |_, request| {
        let (expected, answer) = (expected.clone(), answer.clone());
        async move {
            assert_eq!(request, expected);
            Ok(answer)
        }
    }))
    .await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let got = client.call::<ListProducts>(&asked).await.ok();
        assert_eq!(got, page, "{wire:?}");
    }
}

#[tokio::test]
async fn a_create_is_201_with_its_location() {
    let authority = Authority::generate();
    let script = Script::<CreateProduct>::answers(tea());
    let function = Running::scripted(authority.env(), script).await;
    for wire in Wire::ALL {
        let outcome = Client::new(wire, function.address())
            .bearer(&authority.admin(ME))
            .call::<CreateProduct>(&create_tea())
            .await;
        assert_eq!(outcome.code, Code::Ok, "{wire:?}");
        if wire.is_json() {
            assert_eq!(outcome.http_status, 201, "{wire:?}");
            let location = format!("/products/{TEA}");
            assert_eq!(outcome.header("location"), Some(location.as_str()));
            assert_eq!(outcome.header("cache-control"), Some("no-store"));
        } else {
            assert_eq!(outcome.http_status, 200, "{wire:?}");
        }
        assert_eq!(outcome.ok(), tea(), "{wire:?}");
    }
}

#[tokio::test]
async fn an_unsuccessful_sign_in_is_401_over_http_and_ok_over_grpc() {
    let function = serve(Script::<AuthenticateUser>::new(|_, request| async move {
        Ok(AuthResponse {
            success: request.password == "right",
            ..Default::default()
        })
    }))
    .await;
    let sign_in = |password: &str| AuthRequest {
        email: "a@b.co".into(),
        password: password.into(),
    };
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        let right = client.call::<AuthenticateUser>(&sign_in("right")).await;
        assert_eq!((right.code, right.http_status), (Code::Ok, 200), "{wire:?}");
        assert!(right.ok().success, "{wire:?}");

        let wrong = client.call::<AuthenticateUser>(&sign_in("wrong")).await;
        if wire.is_json() {
            assert_eq!(wrong.code, Code::Unauthenticated, "{wire:?}");
            assert_eq!(wrong.http_status, 401, "{wire:?}");
            assert_eq!(wrong.message, "the e-mail or the password is wrong");
        } else {
            assert_eq!(wrong.code, Code::Ok, "{wire:?}");
            assert!(!wrong.ok().success, "{wire:?}");
        }
    }
    // Clients that read `success` can continue to do so.
    let body = r#"{"email": "a@b.co", "password": "wrong"}"#;
    let reply = Client::new(Wire::Http1, function.address())
        .send(request(Method::POST, "/auth/login", body))
        .await;
    assert_eq!(reply.json::<serde_json::Value>()["success"], false);
}
