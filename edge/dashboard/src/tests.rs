use std::{collections::BTreeMap, fs, io::Read as _};

use axum::{Router, body::Body};
use flate2::read::GzDecoder;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use zerocart_runtime::Built;

use crate::{FILES, files, files::File, pack};

/// What a browser sends when it opens a page.
const PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

fn script() -> String {
    "console.log('a dashboard');\n".repeat(200)
}

/// The service of a built dashboard.
fn service() -> Router {
    let dist = tempfile::tempdir().unwrap();
    fs::create_dir(dist.path().join("assets")).unwrap();
    for (path, content) in [
        ("index.html", "<!doctype html><title>a page</title>"),
        ("assets/index-0a1b2c.js", script().as_str()),
        ("assets/dot-00.png", "\u{1}"),
        ("icon.svg", "<svg/>"),
        (".hidden", "not served"),
    ] {
        fs::write(dist.path().join(path), content).unwrap();
    }
    let packed = pack::folder(dist.path()).unwrap().into_iter();
    let leak = |bytes: Vec<u8>| -> &'static [u8] { bytes.leak() };
    let files: Vec<_> = packed
        .map(|packed| File {
            path: packed.path.leak(),
            kind: packed.kind,
            tag: packed.tag.leak(),
            plain: leak(packed.plain),
            brotli: packed.brotli.map(leak),
            gzip: packed.gzip.map(leak),
        })
        .collect();
    Built::from_routes(files::routes(files.leak())).router
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

async fn ask(service: &Router, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response: Response<Body> = service.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    // A header that is there twice would be one with two meanings.
    assert_eq!(parts.headers.len(), parts.headers.keys_len());
    let headers = parts.headers.iter();
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    Answer {
        status: parts.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    }
}

async fn get(service: &Router, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(service, Method::GET, path, headers).await
}

#[tokio::test]
async fn paths_lead_to_files_and_to_pages() {
    let service = service();
    let html = "text/html; charset=utf-8";
    let problem = "application/problem+json";
    for (path, page, status, kind) in [
        ("/app/", false, 200, html),
        ("/app/index.html", false, 200, html),
        ("/app/orders/1", true, 200, html),
        ("/app/orders/1", false, 404, problem),
        ("/app/icon.svg", true, 200, "image/svg+xml"),
        (
            "/app/assets/index-0a1b2c.js",
            false,
            200,
            "text/javascript; charset=utf-8",
        ),
        // A release ago there was such a file. A page in its place would be run as a script.
        ("/app/assets/index-ffff.js", true, 404, problem),
        ("/app/.hidden", false, 404, problem),
        ("/app/../index.html", false, 404, problem),
        ("/orders", true, 404, problem),
        ("/health", false, 200, "application/json"),
    ] {
        let headers: &[_] = if page { &[PAGE] } else { &[("accept", "*/*")] };
        let answer = get(&service, path, headers).await;
        assert_eq!(answer.status, status, "{path} {page}");
        assert_eq!(answer.header("content-type"), kind, "{path} {page}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    let answer = get(&service, "/app", &[]).await;
    assert_eq!((answer.status, answer.header("location")), (308, "/app/"));
    let answer = ask(&service, Method::POST, "/app/", &[]).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn the_client_chooses_the_coding() {
    let service = service();
    let path = "/app/assets/index-0a1b2c.js";
    let mut tags = BTreeMap::new();
    for (accepted, coding) in [
        ("", ""),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("GZIP;Q=1.0", "gzip"),
        ("br;q=0.4, gzip;q=0.5", "gzip"),
        ("br;q=0.5, gzip;q=0.5", "br"),
        ("gzip;q=0", ""),
        ("*", "br"),
        ("*;q=0.1, br;q=0", "gzip"),
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip", "gzip"),
        ("br;q=much", ""),
        ("zstd", ""),
        ("identity;q=0", ""),
    ] {
        let answer = get(&service, path, &[("accept-encoding", accepted)]).await;
        assert_eq!(answer.header("content-encoding"), coding, "{accepted}");
        assert_eq!(answer.header("vary"), "Accept, Accept-Encoding");
        let mut text = String::new();
        let mut body = answer.body.as_slice();
        match coding {
            "br" => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
            "gzip" => GzDecoder::new(body).read_to_string(&mut text),
            _ => body.read_to_string(&mut text),
        }
        .unwrap();
        assert_eq!(text, script(), "{accepted}");
        tags.insert(coding, answer.header("etag").to_owned());
    }
    let different: std::collections::BTreeSet<_> = tags.values().collect();
    assert_eq!(different.len(), 3, "{tags:?}");
    // What compression makes larger is sent as it is.
    let answer = get(
        &service,
        "/app/assets/dot-00.png",
        &[("accept-encoding", "br, gzip")],
    )
    .await;
    assert_eq!(answer.header("content-encoding"), "");
}

#[tokio::test]
async fn what_is_kept_is_not_sent_again() {
    let service = service();
    for (path, cache) in [
        ("/app/", "no-cache"),
        ("/app/icon.svg", "no-cache"),
        (
            "/app/assets/index-0a1b2c.js",
            "public, max-age=31536000, immutable",
        ),
    ] {
        let gzip = ("accept-encoding", "gzip");
        let answer = get(&service, path, &[gzip]).await;
        assert_eq!(answer.header("cache-control"), cache, "{path}");
        let tag = answer.header("etag").to_owned();
        for (matching, status) in [
            (tag.as_str(), 304),
            (&format!("\"x\", W/{tag}"), 304),
            ("*", 304),
            ("\"x\"", 200),
        ] {
            let answer = get(&service, path, &[gzip, ("if-none-match", matching)]).await;
            assert_eq!(answer.status, status, "{path} {matching}");
            assert_eq!(answer.header("etag"), tag, "{path}");
            assert_eq!(answer.header("cache-control"), cache, "{path}");
            assert_eq!(answer.body.is_empty(), status == 304, "{path} {matching}");
        }
        let head = ask(&service, Method::HEAD, path, &[gzip]).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let length = answer.body.len().to_string();
        assert_eq!(head.header("content-length"), length, "{path}");
        assert_eq!(head.header("etag"), tag, "{path}");
    }
}

#[tokio::test]
async fn a_page_may_run_our_files_and_nothing_else() {
    let answer = get(&service(), "/app/users", &[PAGE]).await;
    let policy = answer.header("content-security-policy");
    for rule in [
        "default-src 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.split("; ").any(|is| is == rule), "{rule}: {policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains("//"),
        "{policy}"
    );
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    assert!(answer.header("permissions-policy").contains("camera=()"));
}

#[tokio::test]
async fn this_program_has_a_page() {
    let service = Built::from_routes(files::routes(FILES)).router;
    let answer = get(&service, "/app/", &[]).await;
    assert_eq!(answer.status, 200);
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.starts_with("<!doctype html>"), "{page}");
    // Nothing that the policy forbids.
    assert!(
        !page.contains("<style") && !page.contains(" style="),
        "{page}"
    );
    for script in page.split("<script").skip(1) {
        assert!(script.contains(" src=\"/app/"), "{page}");
    }
    assert!(FILES.is_sorted_by_key(|file| file.path));
}

#[test]
fn a_file_that_cannot_be_served_is_named() {
    let dist = tempfile::tempdir().unwrap();
    for (name, words) in [
        ("a.exe", "a.exe: no media type is known for .exe"),
        ("a b.js", "the name of a built file"),
    ] {
        fs::write(dist.path().join(name), "x").unwrap();
        let error = pack::folder(dist.path()).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
        fs::remove_file(dist.path().join(name)).unwrap();
    }
}
