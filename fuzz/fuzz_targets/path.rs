//! Fuzzes the gateway's paths, and compares with the contract: the normalized form, and the route.
//!
//! An input is `GET /users/1`. fuzz/README.md lists the properties.
#![no_main]

use std::sync::LazyLock;

use http::{Method, uri::PathAndQuery};
use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::percent_decode_str;
use zerocart_gateway::{Config, PathRule, Routes};
use zerocart_proto::rpc::{self, Info};

const KONG: &str = include_str!("../../kong/kong.yml");

/// gRPC reflection, in both of its versions.
const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

static CONFIG: LazyLock<Config> = LazyLock::new(config);
static ROUTES: LazyLock<Routes> = LazyLock::new(|| Routes::new(config()));
/// The router with which a function finds its own route.
static OWN: LazyLock<Vec<matchit::Router<()>>> = LazyLock::new(|| {
    let own = |info: &Info| {
        let mut router = matchit::Router::new();
        router
            .insert(info.http_path, ())
            .expect("the path of an RPC");
        router
    };
    rpc::ALL.iter().map(own).collect()
});

fn config() -> Config {
    Config::parse("kong/kong.yml", KONG).expect("the file is valid")
}

fuzz_target!(|input: &str| -> Corpus { try_path(input).map_or(Corpus::Reject, |()| Corpus::Keep) });

fn try_path(input: &str) -> Option<()> {
    let (method, raw) = input.split_once(' ')?;
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    let expected = segments(raw).filter(|_| is_inside(raw) && is_text(raw));
    let path = Routes::normalize(raw);
    assert_eq!(
        path.is_some(),
        expected.is_some(),
        "refused or not: {raw:?}"
    );
    let (path, expected) = (path?, expected?);
    let sent = Routes::escape(&path);

    for form in [&path, &sent] {
        assert_eq!(
            segments(form).as_ref(),
            Some(&expected),
            "{raw:?} as {form:?} is another path"
        );
        let again = Routes::normalize(form);
        assert_eq!(again.as_deref(), Some(&*path), "{raw:?} has two forms");
    }
    assert!(!path.contains("//"), "{path:?}");
    let is_path = |text: &str| {
        text.parse::<PathAndQuery>()
            .is_ok_and(|parsed| parsed.path() == text)
    };
    // In what is sent, these would end the path. No path that comes over HTTP has them.
    if !path.contains(['?', '#']) {
        assert!(is_path(&sent), "{raw:?} as {sent:?} cannot be sent on");
    }

    let found = ROUTES.find(&method, &path).map(|route| route.name.as_str());
    assert!(
        is_right(found, &method, &path),
        "{method} {path:?} leads to {found:?}"
    );
    for named in [true, false] {
        assert!(
            matching(&method, &path, named) <= 1,
            "{method} {path:?} has two routes"
        );
    }
    // The function that gets the request reads the same parameters from the path.
    for (info, own) in rpc::ALL.iter().zip(OWN.iter()) {
        let read = own.at(&sent).ok();
        let read = read.map(|read| {
            let params = read.params.iter();
            params
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        });
        let captured = captured(info, &path).map(|params| {
            let sent =
                |(name, value): (String, String)| (name, Routes::escape(&value).into_owned());
            params.into_iter().map(sent).collect::<Vec<_>>()
        });
        assert_eq!(read, captured, "{} of {path:?}", info.name);
    }
    Some(())
}

/// The meaning of a path, computed step by step (RFC 3986, sections 2.4, 5.2.4 and 6.2.2): its
/// segments without escapes, and whether it ends with a slash. `None` for a path that is not valid.
fn segments(path: &str) -> Option<(Vec<Vec<u8>>, bool)> {
    let mut kept = Vec::new();
    let mut folder = true;
    for segment in path.strip_prefix('/')?.split('/') {
        for (at, _) in segment.match_indices('%') {
            let digits = segment.as_bytes().get(at + 1..at + 3)?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
        }
        let plain: Vec<u8> = percent_decode_str(segment).collect();
        if plain.contains(&0) {
            return None;
        }
        folder = true;
        match plain.as_slice() {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            _ => {
                folder = false;
                kept.push(plain);
            }
        }
    }
    Some((kept, folder))
}

/// Whether a path stays below its root, if an escaped slash is one, too, as nginx reads it.
fn is_inside(path: &str) -> bool {
    let plain: Vec<u8> = percent_decode_str(path).collect();
    let mut depth = 0_i32;
    plain.split(|byte| *byte == b'/').all(|segment| {
        depth += match segment {
            b"" | b"." => 0,
            b".." => -1,
            _ => 1,
        };
        depth >= 0
    })
}

/// Whether a path is UTF-8 without its escapes. Those of reserved characters are ASCII, and may stay.
fn is_text(path: &str) -> bool {
    percent_decode_str(path).decode_utf8().is_ok()
}

/// Whether this route is right by the contract: the route of the RPC with this method and path,
/// over either protocol, or the route that says which methods the path has.
fn is_right(found: Option<&str>, method: &Method, path: &str) -> bool {
    let of_path = || rpc::ALL.iter().filter(|info| fits(info.http_path, path));
    let mut right: Vec<String> = of_path()
        .filter(|info| method == info.http_method || serves_head(method, info.http_method))
        .map(|info| info.name.into())
        .collect();
    let mut methods = of_path()
        .next()
        .map(|info| rpc::methods(rpc::ALL, info.http_path));
    let of_edge = match path {
        "/openapi.json" => Some("openapi"),
        "/health" => Some("health"),
        "/" => Some("index"),
        "/app" => Some("dashboard"),
        _ => path.starts_with("/app/").then_some("dashboard"),
    };
    if let Some(name) = of_edge {
        methods = Some(vec!["GET", "HEAD"]);
        if method == Method::GET || method == Method::HEAD {
            right.push(name.into());
        }
    }
    if let Some(methods) = methods.filter(|_| right.is_empty()) {
        right.push(format!("only-{}", methods.join("-").to_lowercase()));
    }
    // One RPC's path may be the beginning of another's: GetOrder, and GetOrderTimeline.
    let grpc = rpc::ALL
        .iter()
        .filter(|info| path.starts_with(info.grpc_path))
        .max_by_key(|info| info.grpc_path.len());
    right.extend(grpc.map(|info| format!("{}-grpc", info.name)));
    let reflection = REFLECTION.iter().filter(|grpc| path.starts_with(**grpc));
    right.extend(reflection.map(|_| "grpc-reflection".into()));
    assert!(
        right.len() <= 1,
        "{method} {path:?} is more than one: {right:?}"
    );
    match found {
        Some(found) => right.iter().any(|right| right == found),
        None => right.is_empty(),
    }
}

/// HEAD goes where GET does.
fn serves_head(method: &Method, of_rpc: &str) -> bool {
    method == Method::HEAD && of_rpc == "GET"
}

/// Whether `path` is one of `template`, whose parameters are segments that are not empty.
fn fits(template: &str, path: &str) -> bool {
    let mut given = path.split('/');
    let fits = template.split('/').all(|wanted| {
        given.next().is_some_and(|given| {
            if wanted.starts_with('{') {
                !given.is_empty()
            } else {
                given == wanted
            }
        })
    });
    fits && given.next().is_none()
}

/// How many routes match, in any order: of those that name their methods, or of the others. The route that leads
/// people to the dashboard is left out, because it asks for a header, too, and so comes first. Of the routes of
/// prefixes, those with the longest one are counted.
fn matching(method: &Method, path: &str, named: bool) -> usize {
    let routes = CONFIG.routes().iter().filter(|route| {
        let methods = match named {
            true => route.methods.contains(method),
            false => route.methods.is_empty(),
        };
        methods && route.name != "index-of-people"
    });
    let (mut of_regexes, mut of_prefixes) = (0, Vec::new());
    for route in routes {
        let lengths = route.paths.iter().filter_map(|rule| match rule {
            PathRule::Prefix(prefix) => path.starts_with(prefix).then_some(prefix.len()),
            PathRule::Regex(_) => None,
        });
        of_prefixes.extend(lengths.max());
        let by_regex =
            |rule: &PathRule| matches!(rule, PathRule::Regex(regex) if regex.is_match(path));
        of_regexes += usize::from(route.paths.iter().any(by_regex));
    }
    let longest = of_prefixes.iter().max();
    of_regexes
        + of_prefixes
            .iter()
            .filter(|length| longest == Some(length))
            .count()
}

/// The parameters that the REST route of `info` captures.
fn captured(info: &Info, path: &str) -> Option<Vec<(String, String)>> {
    let route = CONFIG.routes().iter().find(|route| route.name == info.name);
    let [PathRule::Regex(regex)] = route.expect("each RPC has a route").paths.as_slice() else {
        panic!("{} is not found by one regular expression", info.name);
    };
    let captures = regex.captures(path)?;
    let names = regex.capture_names().flatten();
    Some(
        names
            .map(|name| (name.to_owned(), captures[name].to_owned()))
            .collect(),
    )
}
