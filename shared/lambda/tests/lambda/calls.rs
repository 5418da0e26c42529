//! Calls between functions on Lambda.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{Router, body::Body, extract::Request as Incoming};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use tokio::net::TcpListener;
use tower::util::MapRequestLayer;
use zerocart_client::{
    Delivery, Functions, Options,
    transport::{Transport, Way},
};
use zerocart_core::{Call, Env, Error, Kind, Platform, Setup};
use zerocart_lambda::calls::{Signed, TOKEN, restore_token};
use zerocart_proto::{
    cart::{Cart, CartResponse, GetCartRequest},
    rpc::{AddToCart, CreateOrder, GetCart, Rpc},
};
use zerocart_runtime::build;
use zerocart_test_support::functions::{Authority, PATIENCE, Running, Script, Scripted};

use crate::signer;

/// A user.
const ME: &str = "018f4e9a-7c1b-7def-8000-000000000001";

/// What AWS's own Python library (botocore) makes of the same request at the same time.
#[tokio::test]
async fn signatures_are_those_of_botocore() {
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_608_000);
    for (session, headers, signature) in [
        (
            None,
            "content-type;host;x-amz-date",
            "234ca230d39c05e03146528458ab685d61900bbfbb97dabd5f4430f0d47818e1",
        ),
        (
            Some("SESSION/token+1="),
            "content-type;host;x-amz-date;x-amz-security-token",
            "8d8a41bb01454fbf04030eaba327ed1f26ab8327584ab4d5d770cfda1ef8e438",
        ),
    ] {
        let url = "https://abc.lambda-url.eu-central-1.on.aws/cart.CartService/GetCart";
        let mut request = Request::post(url)
            .header("host", "abc.lambda-url.eu-central-1.on.aws")
            .header("content-type", "application/grpc-web+proto")
            .header("grpc-timeout", "1S")
            .body(())
            .unwrap();
        signer(session)
            .sign(&mut request, b"\0\0\0\0\x03abc", "lambda", None, noon)
            .await
            .unwrap();
        assert_eq!(request.headers()["x-amz-date"], "20261125T120000Z");
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/eu-central-1/lambda/aws4_request, \
             SignedHeaders={headers}, Signature={signature}"
        );
        assert_eq!(request.headers()["authorization"], expected.as_str());
        assert_eq!(
            request
                .headers()
                .get("x-amz-security-token")
                .map(|v| v.as_bytes()),
            session.map(str::as_bytes)
        );
    }
}

fn signed() -> Signed {
    Signed::new(signer(None)).unwrap()
}

/// A client of get-cart at `address`, as add-to-cart's neighbour create-order has it on Lambda.
fn client(address: SocketAddr, attempts: u32) -> zerocart_client::Client<GetCart> {
    let template = format!("http://{address}");
    let urls = serde_json::json!({ "get-cart": template }).to_string();
    let env = Env::from_iter([("FUNCTION_URLS", urls)]);
    let platform = Platform::default().with(Way(Arc::new(signed())));
    let mut setup = Setup::on(platform, env, "create-order");
    let functions = Functions::from_setup(&mut setup, (&CreateOrder::INFO).into()).unwrap();
    let options = Options {
        attempts: attempts.try_into().unwrap(),
        ..Options::default()
    };
    functions.client(&mut setup, options).unwrap()
}

fn my_cart() -> GetCartRequest {
    GetCartRequest { user_id: ME.into() }
}

/// get-cart behind what the adapter does to a request; shows the headers that came.
async fn get_cart(
    authority: &Authority,
    script: Script<GetCart>,
) -> (Running, Arc<Mutex<HeaderMap>>) {
    let env: Vec<_> = authority
        .env()
        .into_iter()
        .chain([script.into_env()])
        .collect();
    let mut built = build::<Scripted<GetCart>>(Env::from_iter(env)).unwrap();
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let shown = Arc::clone(&seen);
    built.router = built
        .router
        .layer(MapRequestLayer::new(move |mut request: Incoming| {
            *shown.lock().unwrap() = request.headers().clone();
            restore_token(request.headers_mut());
            request
        }));
    (Running::serve(built).await, seen)
}

#[tokio::test]
async fn a_call_is_signed_and_still_the_callers() {
    let authority = Authority::generate();
    let cart = CartResponse {
        cart: Some(Cart {
            user_id: ME.into(),
            ..Cart::default()
        }),
        success: true,
        message: "here".into(),
    };
    let (running, seen) = get_cart(&authority, Script::answers(cart.clone())).await;
    let cx = Call {
        token: Some(authority.customer(ME)),
        ..Call::internal(PATIENCE)
    };
    let client = client(running.address(), 1);
    assert_eq!(client.call(&cx, &my_cart()).await.unwrap(), cart);
    let headers = seen.lock().unwrap().clone();
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(text("content-type"), "application/grpc-web");
    assert!(text("authorization").starts_with("AWS4-HMAC-SHA256 "));
    assert!(text(TOKEN.as_str()).starts_with("Bearer "));
    assert!(headers.contains_key("grpc-timeout") && headers.contains_key("traceparent"));
    assert!(!headers.contains_key("te"));

    // Without a token there is no identity, even with a valid signature.
    let failure = client
        .call(&Call::internal(PATIENCE), &my_cart())
        .await
        .unwrap_err();
    assert_eq!(failure.kind, Kind::Unauthenticated);
    assert_eq!(failure.delivery, Delivery::Answered);
}

#[tokio::test]
async fn a_refusal_comes_with_its_details() {
    let authority = Authority::generate();
    let script = Script::fails(|| Error::unavailable("closed for today", Duration::from_secs(7)));
    let (running, _) = get_cart(&authority, script).await;
    let cx = Call {
        token: Some(authority.customer(ME)),
        ..Call::internal(PATIENCE)
    };
    let failure = client(running.address(), 1)
        .call(&cx, &my_cart())
        .await
        .unwrap_err();
    assert_eq!(failure.kind, Kind::Unavailable);
    assert_eq!(failure.delivery, Delivery::Answered);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn what_lambda_itself_says_is_not_the_functions_word() {
    let forbidden = || async {
        let body = Body::from(r#"{"Message":"Forbidden"}"#);
        let response = Response::builder().status(StatusCode::FORBIDDEN);
        response
            .header("content-type", "application/json")
            .body(body)
            .unwrap()
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(forbidden);
    let forever = std::future::pending();
    tokio::spawn(zerocart_runtime::serve_router(
        listener,
        router,
        forever,
        Duration::ZERO,
    ));
    let cx = Call::internal(PATIENCE);
    let failure = client(address, 1).call(&cx, &my_cart()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unavailable);
    assert_eq!(failure.delivery, Delivery::Unknown);
    assert!(failure.to_string().contains("403"), "{failure}");

    let base = format!("http://{address}").parse().unwrap();
    let reply = signed().get(&base, "/health").await.unwrap();
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_was_not_sent_was_not_done() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base: Uri = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let sent = Arc::new(AtomicBool::new(false));
    let on_send = {
        let sent = Arc::clone(&sent);
        Box::new(move || sent.store(true, Ordering::SeqCst))
    };
    let path = GetCart::INFO.grpc_path;
    let answer = signed().post(&base, path, HeaderMap::new(), Bytes::new(), on_send);
    assert!(answer.await.is_err());
    assert!(!sent.load(Ordering::SeqCst));
}

#[test]
fn functions_are_called_over_https_or_here() {
    let check = |url: &str| signed().check(&url.parse().unwrap());
    for url in [
        "https://abc.lambda-url.eu-central-1.on.aws/",
        "http://127.0.0.1:9000/lambda-url/get-cart",
        "http://localhost:9000",
    ] {
        assert_eq!(check(url), Ok(()), "{url}");
    }
    for url in [
        "http://abc.lambda-url.eu-central-1.on.aws/",
        "ftp://localhost",
    ] {
        assert!(check(url).unwrap_err().contains("https://"), "{url}");
    }
    // A base URL that is refused is a problem of the variable's.
    let env = Env::from_iter([("FUNCTION_URL_TEMPLATE", "http://{function}.example")]);
    let platform = Platform::default().with(Way(Arc::new(signed())));
    let mut setup = Setup::on(platform, env, "add-to-cart");
    assert!(Functions::from_setup(&mut setup, (&AddToCart::INFO).into()).is_err());
    let problem = &setup.problems()[0];
    assert!(
        problem.starts_with("FUNCTION_URL_TEMPLATE: must begin with https://"),
        "{problem}"
    );
}
