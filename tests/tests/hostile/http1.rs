//! Hostile requests over HTTP/1.1, as bytes: a client library would refuse to send them.

use rand::{RngExt, rngs::StdRng};

use crate::Victim;

/// What a client sends on one connection.
#[derive(Debug)]
pub(crate) struct Attack {
    /// What is sent.
    pub(crate) bytes: Vec<u8>,
    /// Whether the client says that nothing comes after that.
    pub(crate) ends: bool,
}

/// Makes an attack on a victim.
type Shape = fn(&mut StdRng, &Victim) -> Attack;

/// All shapes. None is a request that may be granted.
const SHAPES: [(&str, Shape); 14] = [
    ("a body that ends early", truncated),
    ("chunks that are none", bad_chunks),
    ("a flood of headers", header_flood),
    ("a huge header", huge_header),
    ("a huge path", huge_path),
    ("two lengths", smuggling),
    ("a head that is none", bad_head),
    ("noise", garbage),
    ("JSON that means harm", hostile_json),
    ("an oversized body", oversized),
    ("a strange path", strange_path),
    ("a junk token", junk_token),
    ("a strange method", strange_method),
    ("a flood of parameters", query_flood),
];

/// The names of all shapes.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|(name, _)| *name)
}

/// An attack by chance, and what it is.
pub(crate) fn attack(rng: &mut StdRng, victim: &Victim) -> (&'static str, Attack) {
    let (name, shape) = SHAPES[rng.random_range(0..SHAPES.len())];
    (name, shape(rng, victim))
}

/// The paths that take a body, and need no token or the one of a customer.
fn target(rng: &mut StdRng, victim: &Victim) -> (&'static str, String) {
    let user = &victim.user;
    let product = &victim.product;
    match rng.random_range(0..7) {
        0 => ("POST", "/users".into()),
        1 => ("POST", "/auth/login".into()),
        2 => ("POST", format!("/carts/{user}/items")),
        3 => ("PUT", format!("/carts/{user}/items/{product}")),
        4 => ("POST", "/orders".into()),
        5 => ("POST", "/payments".into()),
        _ => ("PATCH", format!("/products/{product}/inventory")),
    }
}

/// The head of a request that is in order, up to its last lines.
fn head(method: &str, path: &str, victim: &Victim) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n",
        victim.host, victim.token
    )
}

/// A sign-up that would succeed, for an address that is looked for in the end.
fn hidden(rng: &mut StdRng, victim: &Victim) -> String {
    let body = format!(
        "{{\"email\":\"smuggled-{}@example.com\",\"name\":\"S\",\"password\":\"correct horse\"}}",
        rng.random::<u64>()
    );
    format!(
        "POST /users HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        victim.host,
        body.len()
    )
}

/// The beginning of a sign-up that would succeed.
fn truncated(rng: &mut StdRng, victim: &Victim) -> Attack {
    let whole = hidden(rng, victim);
    let cut = rng.random_range(1..whole.len());
    Attack {
        bytes: whole.as_bytes()[..cut].to_vec(),
        ends: true,
    }
}

fn bad_chunks(rng: &mut StdRng, victim: &Victim) -> Attack {
    let (method, path) = target(rng, victim);
    let chunks = [
        "fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "\r\n\r\n",
        "zz\r\n{}\r\n",
        "5\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
    ];
    let mut text = head(method, &path, victim) + "Transfer-Encoding: chunked\r\n\r\n";
    if rng.random_bool(0.2) {
        // An extension that never ends.
        text += "2;";
        text += &"x".repeat(rng.random_range(1..100_000));
    } else {
        text += chunks[rng.random_range(0..chunks.len())];
    }
    Attack {
        bytes: text.into_bytes(),
        ends: true,
    }
}

fn header_flood(rng: &mut StdRng, victim: &Victim) -> Attack {
    let (method, path) = target(rng, victim);
    let mut text = head(method, &path, victim);
    for n in 0..rng.random_range(101..1_000) {
        text += &format!("X-Flood-{n}: {n}\r\n");
    }
    Attack {
        bytes: (text + "Content-Length: 2\r\nConnection: close\r\n\r\n{}").into_bytes(),
        ends: false,
    }
}

fn huge_header(rng: &mut StdRng, victim: &Victim) -> Attack {
    let names = [
        "X-Large",
        "Cookie",
        "Authorization",
        "Idempotency-Key",
        "traceparent",
    ];
    let name = names[rng.random_range(0..names.len())];
    let value = "v".repeat(rng.random_range(64 * 1024..200 * 1024));
    let text = format!(
        "GET /users/{} HTTP/1.1\r\nHost: {}\r\n{name}: {value}\r\nConnection: close\r\n\r\n",
        victim.user, victim.host
    );
    Attack {
        bytes: text.into_bytes(),
        ends: false,
    }
}

fn huge_path(rng: &mut StdRng, victim: &Victim) -> Attack {
    let long = "p".repeat(rng.random_range(8 * 1024..200 * 1024));
    let path = match rng.random_range(0..3) {
        0 => format!("/products/{long}"),
        1 => format!("/products?page_token={long}"),
        _ => format!("/{}", "p/".repeat(long.len() / 2)),
    };
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        victim.host
    );
    Attack {
        bytes: text.into_bytes(),
        ends: false,
    }
}

/// Lengths on which two readers may disagree. The request itself is bad; behind it hides a good one.
fn smuggling(rng: &mut StdRng, victim: &Victim) -> Attack {
    let hidden = hidden(rng, victim);
    let lengths = [
        "Content-Length: 2\r\nContent-Length: 7\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: 0x2\r\n",
        "Content-Length: 2, 3\r\n",
        "Content-Length : 2\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length : 2\r\n",
        "Transfer-Encoding\r\n: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
    ];
    let lengths = lengths[rng.random_range(0..lengths.len())];
    let body = if lengths.ends_with("chunked\r\n")
        || lengths.starts_with("Transfer-Encoding: chunked\r\nContent")
    {
        "2\r\n{}\r\n0\r\n\r\n"
    } else {
        "{}"
    };
    Attack {
        bytes: format!(
            "{}{lengths}\r\n{body}{hidden}",
            head("POST", "/users", victim)
        )
        .into_bytes(),
        ends: true,
    }
}

fn bad_head(rng: &mut StdRng, victim: &Victim) -> Attack {
    let host = &victim.host;
    let heads = [
        "POST /users HTTP/1.1\r\n\r\n".to_owned(),
        format!("POST /users HTTP/1.1\r\nHost: {host}\r\nHost: other\r\n\r\n"),
        format!("POST /users HTTP/1.1\r\nHost: a@{host}\r\n\r\n"),
        format!("POST /users HTTP/3.7\r\nHost: {host}\r\n\r\n"),
        format!("POST  /users  HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("POST /users HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n"),
        format!("POST /users HTTP/1.1\r\nHost: {host}\r\nX: a\rb\r\n\r\n"),
        format!("POST /users HTTP/1.1\r\nHost: {host}\r\n: empty\r\n\r\n"),
        format!("POST /users HTTP/1.1\r\nHost: {host}\r\n folded: x\r\n\r\n"),
        format!(
            "POST http://elsewhere/users HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
        ),
        format!(
            "POST /users HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
        ),
        format!(
            "POST /users HTTP/1.1\r\nHost: {host}\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 0\r\n\r\n"
        ),
        format!(
            "POST /users HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!("POST /users HTTP/1.1\nHost: {host}\nContent-Length: 2\n\n{{}}"),
    ];
    Attack {
        bytes: heads[rng.random_range(0..heads.len())].clone().into_bytes(),
        ends: true,
    }
}

fn garbage(rng: &mut StdRng, _: &Victim) -> Attack {
    let mut bytes = match rng.random_range(0..4) {
        // The beginning of a TLS handshake.
        0 => vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        // Part of the preface of HTTP/2.
        1 => b"PRI * HTTP/2.0\r\n\r\nS"[..rng.random_range(1..19)].to_vec(),
        2 => b"GET ".to_vec(),
        _ => Vec::new(),
    };
    let more = rng.random_range(1..4096);
    bytes.extend((0..more).map(|_| rng.random::<u8>()));
    Attack { bytes, ends: true }
}

fn hostile_json(rng: &mut StdRng, victim: &Victim) -> Attack {
    let (method, path) = target(rng, victim);
    let deep = rng.random_range(100..50_000);
    let long = rng.random_range(10_000..500_000);
    let body: Vec<u8> = match rng.random_range(0..12) {
        0 => "[".repeat(deep).into(),
        1 => "{\"a\":".repeat(deep).into(),
        2 => format!("{{\"email\":\"{}\"}}", "e".repeat(long)).into(),
        3 => format!("{{\"quantity\":{}}}", "9".repeat(long)).into(),
        4 => format!("{{\"quantity\":1e{long}}}").into(),
        5 => b"{\"name\":\"\xff\xfe\"}".to_vec(),
        6 => b"{\"name\":\"\\ud800\"}".to_vec(),
        7 => b"\xef\xbb\xbf{}".to_vec(),
        8 => {
            let fields: Vec<_> = (0..long / 100).map(|n| format!("\"f{n}\":{n}")).collect();
            format!("{{{}}}", fields.join(",")).into()
        }
        9 => format!("{{\"email\":{}}}", "null,\"email\":".repeat(long / 100) + "null").into(),
        10 => b"null".to_vec(),
        _ => b"{\"constructor\":{\"prototype\":1},\"$where\":\"1\",\"email\":\"'; DROP TABLE users; --\"}".to_vec(),
    };
    let mut bytes = head(method, &path, victim);
    bytes += &format!(
        "Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut bytes = bytes.into_bytes();
    bytes.extend(body);
    Attack { bytes, ends: false }
}

fn oversized(rng: &mut StdRng, victim: &Victim) -> Attack {
    let (method, path) = target(rng, victim);
    let mut text = head(method, &path, victim);
    let mut ends = false;
    match rng.random_range(0..3) {
        // Announced, and hardly sent.
        0 => {
            text += &format!(
                "Content-Length: {}\r\n\r\n{{",
                rng.random_range(1u64 << 21..1 << 40)
            );
            ends = true;
        }
        1 => {
            let body = " ".repeat(rng.random_range(1 << 20..1 << 21) + 1);
            text += &format!(
                "Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
        _ => {
            text += "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
            let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
            text += &chunk.repeat(33);
            text += "0\r\n\r\n";
        }
    }
    Attack {
        bytes: text.into_bytes(),
        ends,
    }
}

fn strange_path(rng: &mut StdRng, victim: &Victim) -> Attack {
    let paths = [
        "/products/%00",
        "/products/%2e%2e%2fusers",
        "/products/..;/users",
        "/products//",
        "/products/%c0%ae",
        "/products/%ff%fe",
        "/products/a%0d%0aX:%20y",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/users/%27%20OR%20%271%27%3d%271",
        "/user.UserService/CreateUser",
        "*",
        "/products/\u{202e}",
        "//users",
    ];
    let path = paths[rng.random_range(0..paths.len())];
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        victim.host, victim.token
    );
    Attack {
        bytes: text.into_bytes(),
        ends: false,
    }
}

fn junk_token(rng: &mut StdRng, victim: &Victim) -> Attack {
    let token = &victim.token;
    let junk = match rng.random_range(0..6) {
        0 => format!("Bearer {}", "x".repeat(rng.random_range(1..30_000))),
        1 => format!("Bearer {}", "a.".repeat(rng.random_range(1..10_000))),
        2 => format!("Basic {token}"),
        // Its signature is another's.
        3 => format!("Bearer {}AAAA", &token[..token.len() - 4]),
        4 => "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
        _ => format!("Bearer {token}, Bearer {token}"),
    };
    let text = format!(
        "GET /users/{}/orders HTTP/1.1\r\nHost: {}\r\nAuthorization: {junk}\r\n\
         Connection: close\r\n\r\n",
        victim.user, victim.host
    );
    Attack {
        bytes: text.into_bytes(),
        ends: false,
    }
}

fn strange_method(rng: &mut StdRng, victim: &Victim) -> Attack {
    let methods = [
        "TRACE", "CONNECT", "get", "PROPFIND", "DELETE", "G@T", "PUT",
    ];
    let method = methods[rng.random_range(0..methods.len())];
    let text = format!(
        "{method} /users HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
        victim.host
    );
    Attack {
        bytes: text.into_bytes(),
        ends: false,
    }
}

fn query_flood(rng: &mut StdRng, victim: &Victim) -> Attack {
    let query = "limit=1&".repeat(rng.random_range(2..4_000));
    let text = format!(
        "GET /products?{query} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        victim.host
    );
    Attack {
        bytes: text.into_bytes(),
        ends: false,
    }
}
