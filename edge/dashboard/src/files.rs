//! The built files as answers of HTTP: which file, in which form, and for how long it may be kept.

use axum::{Router, body::Body, routing::get};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use zerocart_runtime::{get_only, nothing_here};

use crate::accept;

/// Where the dashboard is. The build of `dashboard/` has the same path (`base` in its vite.config.ts).
const BASE: &str = "/app/";

/// The program of all pages.
const INDEX: &str = "index.html";

/// The files whose names hold a digest of their content.
const HASHED: &str = "assets/";

/// What a page of the dashboard may do: run our files, talk to our own address, and nothing else. Nothing
/// is inline, and nobody shows it in a frame. HSTS is said where TLS ends, which is not here.
const PROTECTION: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
        ),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// A name that holds a digest is never used for other content.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Kept, and asked for again each time, with its tag.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// A built file.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path below [`BASE`].
    pub(crate) path: &'static str,
    /// Its media type.
    pub(crate) kind: &'static str,
    /// A digest of its content.
    pub(crate) tag: &'static str,
    /// Its content.
    pub(crate) plain: &'static [u8],
    /// The content in brotli, where that is smaller.
    pub(crate) brotli: Option<&'static [u8]>,
    /// The content in gzip, where that is smaller.
    pub(crate) gzip: Option<&'static [u8]>,
}

/// A form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    Brotli,
    Gzip,
}

impl Coding {
    /// Its name in HTTP.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "identity",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// The routes of these files, which are in the order of their paths.
pub(crate) fn routes(files: &'static [File]) -> Router {
    let answer = move |request: Request<Body>| async move {
        match find(files, &request) {
            Some(file) => file.answer(request.headers()),
            None => nothing_here(request).await,
        }
    };
    let files = || get(answer).fallback(get_only);
    Router::new()
        .route("/app", get(slash).fallback(get_only))
        .route(BASE, files())
        .route("/app/{*path}", files())
}

/// Relative paths begin at the slash.
async fn slash() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let to = HeaderValue::from_static(BASE);
    response.headers_mut().insert(header::LOCATION, to);
    response
}

/// The file at this path. A path without a file is a page, if a browser opens it.
fn find(files: &'static [File], request: &Request<Body>) -> Option<&'static File> {
    let get = |path: &str| {
        let at = files.binary_search_by(|file| file.path.cmp(path)).ok()?;
        files.get(at)
    };
    let path = request.uri().path().strip_prefix(BASE)?;
    if path.is_empty() {
        return get(INDEX);
    }
    let page = !path.starts_with(HASHED) && accept::wants_page(request.headers());
    get(path).or_else(|| get(INDEX).filter(|_| page))
}

impl File {
    fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let (coding, bytes) = self.form(asked);
        // Each form has its own tag (RFC 9110, section 8.8.3.3).
        let tag = match coding {
            Coding::Plain => format!("\"{}\"", self.tag),
            Coding::Brotli | Coding::Gzip => format!("\"{}-{}\"", self.tag, coding.name()),
        };
        let kept = is_kept(asked, &tag);
        let mut response = Response::new(match kept {
            true => Body::empty(),
            false => Body::from(bytes),
        });
        let headers = response.headers_mut();
        headers.extend(PROTECTION);
        let cache = match self.path.starts_with(HASHED) {
            true => FOREVER,
            false => ASK_AGAIN,
        };
        headers.insert(header::CACHE_CONTROL, cache);
        headers.insert(
            header::VARY,
            HeaderValue::from_static("Accept, Accept-Encoding"),
        );
        // A digest is made of hexadecimal digits.
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(header::ETAG, tag);
        }
        if kept {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let kind = HeaderValue::from_static(self.kind);
        headers.insert(header::CONTENT_TYPE, kind);
        if coding != Coding::Plain {
            let name = HeaderValue::from_static(coding.name());
            headers.insert(header::CONTENT_ENCODING, name);
        }
        response
    }

    /// The form that the client likes best.
    fn form(&self, asked: &HeaderMap) -> (Coding, &'static [u8]) {
        let coded = [(Coding::Brotli, self.brotli), (Coding::Gzip, self.gzip)];
        let coded = coded.into_iter();
        let coded: Vec<_> = coded
            .filter_map(|(coding, bytes)| Some((coding, bytes?)))
            .collect();
        let offered: Vec<_> = coded.iter().map(|(coding, _)| *coding).collect();
        let best = accept::coding(asked, &offered);
        let found = coded.into_iter().find(|(coding, _)| *coding == best);
        found.unwrap_or((Coding::Plain, self.plain))
    }
}

/// Whether the client has this content already: `If-None-Match` (RFC 9110, section 13.1.2).
fn is_kept(asked: &HeaderMap, tag: &str) -> bool {
    let values = asked.get_all(header::IF_NONE_MATCH).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut tags = texts.flat_map(|text| text.split(',')).map(str::trim);
    tags.any(|is| is == "*" || is.strip_prefix("W/").unwrap_or(is) == tag)
}
