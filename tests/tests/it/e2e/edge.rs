//! What the contract says of the edge, at the routes of every RPC: how often one may ask, and from which
//! page. (`openapi` and `reflection` ask the two others.)

use http::{HeaderMap, Method};
use zerocart_proto::rpc::{self, Info};
use zerocart_test_support::clients::{Reply, Wire};

use super::{
    engine::{Data, Engine},
    http::Http,
};

/// "Per client: 100 requests a minute and 1000 an hour on every route, stricter on login."
fn limits(function: &Info) -> (u32, u32) {
    match function.name {
        "authenticate-user" | "change-password" => (10, 100),
        _ => (100, 1000),
    }
}

/// The page that the contract names, and one that it does not.
const SHOP: &str = "http://localhost:3000";
const OTHER: &str = "http://localhost:3001";

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_lets_so_many_requests_of_one_client_through() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let admin = engine.sign_in_admin().await;
    let mut asked = 0;
    for function in rpc::ALL {
        for wire in [Wire::Http1, Wire::Grpc] {
            // A minute may end within a try; two in a row cannot.
            let mut exact = false;
            for _ in 0..3 {
                let (requests, source) = (engine.status(function.name).await.requests, asked);
                asked += 1;
                let route = Route::new(&engine, function, wire, source, &admin);
                if let Some(through) = route.limited().await {
                    // Nobody asked the function about the one that was refused.
                    let now = engine.status(function.name).await.requests;
                    assert_eq!(now - requests, u64::from(through), "{function:?} {wire:?}");
                    exact = true;
                    break;
                }
            }
            assert!(exact, "{function:?} {wire:?}: three minutes ended");
            // Somebody else is let through, at once.
            let route = Route::new(&engine, function, wire, 10_000 + asked, &admin);
            let reply = route.ask().await;
            assert_ne!(code(&reply), Some(8), "{function:?} {wire:?}");
            assert_ne!(reply.status, 429, "{function:?} {wire:?}");
        }
    }
    engine.stop().await;
}

/// A function by one wire, asked from one address.
struct Route<'a> {
    function: &'a Info,
    wire: Wire,
    http: Http,
    token: &'a str,
}

impl<'a> Route<'a> {
    fn new(engine: &Engine, function: &'a Info, wire: Wire, source: usize, token: &'a str) -> Self {
        let [.., high, low] = source.to_be_bytes();
        let http = Http::to(
            engine.gateway().to_string(),
            [127, 90, high, low].into(),
            wire,
        );
        Self {
            function,
            wire,
            http,
            token,
        }
    }

    /// Asks for nothing that could be done: of that, too, there are so many a minute.
    async fn ask(&self) -> Reply {
        let token = [("authorization", self.token)];
        if self.wire == Wire::Grpc {
            return self
                .http
                .grpc(self.function.grpc_path, b"\xff", &token)
                .await;
        }
        let path: Vec<_> = self.function.http_path.split('/').collect();
        let path = path.iter().map(|segment| match segment.starts_with('{') {
            true => "nobody",
            false => segment,
        });
        let path = path.collect::<Vec<_>>().join("/");
        let method: Method = self.function.http_method.parse().expect("a method");
        let body = match method {
            Method::GET | Method::DELETE => "",
            _ => "{}",
        };
        self.http.call(method, &path, body, &token).await
    }

    /// Asks as often as it may, and once more; how often that was. None when a minute ended meanwhile.
    async fn limited(&self) -> Option<u32> {
        let (minute, hour) = limits(self.function);
        let what = format!("{} {:?}", self.function.name, self.wire);
        let first = self.ask().await;
        for (name, value) in [
            ("x-ratelimit-limit-minute", minute),
            ("x-ratelimit-limit-hour", hour),
            ("x-ratelimit-remaining-minute", minute - 1),
            ("x-ratelimit-remaining-hour", hour - 1),
            ("ratelimit-limit", minute),
            ("ratelimit-remaining", minute - 1),
        ] {
            assert_eq!(number(&first.headers, name), value, "{what}: {name}");
        }
        let mut resets = number(&first.headers, "ratelimit-reset");
        assert!((1..=60).contains(&resets), "{what}: {resets}");
        for through in 1.. {
            let reply = self.ask().await;
            let reset = number(&reply.headers, "ratelimit-reset");
            if reset > resets {
                return None;
            }
            resets = reset;
            let left = number(&reply.headers, "x-ratelimit-remaining-minute");
            if through < minute {
                assert_ne!(reply.status, 429, "{what} after {through}");
                assert_eq!(left, minute - 1 - through, "{what}");
                continue;
            }
            assert_eq!((left, through), (0, minute), "{what}");
            if self.wire == Wire::Grpc {
                assert_eq!(code(&reply), Some(8), "{what}: {:?}", reply.headers);
            } else {
                assert_eq!(reply.status, 429, "{what}");
                assert!(
                    reply.text().contains("API rate limit exceeded"),
                    "{what}: {}",
                    reply.text()
                );
            }
            let retry = number(&reply.headers, "retry-after");
            assert!((1..=resets).contains(&retry), "{what}: {retry} {resets}");
            return Some(through);
        }
        unreachable!("a limit is met")
    }
}

fn number(headers: &HeaderMap, name: &str) -> u32 {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    let number = value.and_then(|value| value.parse().ok());
    number.unwrap_or_else(|| panic!("{name} is {value:?} in {headers:?}"))
}

/// The status of a gRPC answer, in a trailer or in the head.
fn code(reply: &Reply) -> Option<u32> {
    let trailers = reply.trailers.iter();
    let mut all = trailers.chain([&reply.headers]);
    let code = all.find_map(|headers| headers.get("grpc-status"))?;
    code.to_str().ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_shop_may_ask_and_no_other() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let http = engine.http();
    for function in rpc::ALL {
        let path = function.http_path.replace(['{', '}'], "");
        for (origin, what) in [(SHOP, "the shop"), (OTHER, "another")] {
            let preflight = [
                ("origin", origin),
                ("access-control-request-method", function.http_method),
                (
                    "access-control-request-headers",
                    "authorization, idempotency-key",
                ),
            ];
            let reply = http.call(Method::OPTIONS, &path, "", &preflight).await;
            assert_eq!(reply.status, 200, "{path}");
            assert_eq!(reply.text(), "", "{path}");
            // A browser compares it with the page's own origin.
            let header = |name: &str| {
                let value = reply.headers.get(name);
                value.map_or("", |value| value.to_str().expect("it is text"))
            };
            assert_eq!(header("access-control-allow-origin"), SHOP, "{path} {what}");
            for (name, value) in [
                ("access-control-allow-credentials", "true"),
                (
                    "access-control-allow-methods",
                    "GET,POST,PUT,PATCH,DELETE,OPTIONS",
                ),
                (
                    "access-control-allow-headers",
                    "Authorization,Content-Type,Idempotency-Key,X-Correlation-Id,traceparent,\
                     tracestate",
                ),
                ("access-control-max-age", "300"),
            ] {
                assert_eq!(header(name), value, "{path} {what}: {name}");
            }
        }
    }
    for function in engine.ps().await {
        assert_eq!(function.cold_starts, 0, "{} woke", function.name);
    }
    // And on the answer itself, refused or not.
    for (path, status) in [
        ("/products", 200),
        ("/users/nobody", 401),
        ("/nowhere", 404),
    ] {
        for origin in [SHOP, OTHER] {
            let reply = http
                .call(Method::GET, path, "", &[("origin", origin)])
                .await;
            assert_eq!(reply.status, status, "{path}");
            if status != 404 {
                assert_eq!(reply.headers["access-control-allow-origin"], SHOP, "{path}");
                assert_eq!(reply.headers["access-control-allow-credentials"], "true");
                assert!(reply.headers.contains_key("access-control-expose-headers"));
            }
        }
    }
    engine.stop().await;
}
