//! Chooses the route of a request, in the order of Kong's `traditional_compatible` router.
//!
//! Kong turns each path of a route into a rule with a priority: the number of kinds of matchers
//! (methods, hosts, headers, paths), then plain hosts before wildcards, the number of headers,
//! regex paths before prefixes, `regex_priority`, and the length of a prefix. Rules of one
//! priority are tried in the order of the file; Kong orders them by generated ids, so a file must
//! not rely on it.
//!
//! Protocols take no part in the choice: Kong refuses the request afterwards.

use std::cmp::Reverse;
use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::config::{Config, HeaderMatch, HeaderRule, HostName, HostRule, PathRule, Route};

/// The rules of all routes, best first.
#[derive(Debug)]
pub(crate) struct Router {
    routes: Vec<Arc<Route>>,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// Position in [`Router::routes`].
    route: usize,
    path: Option<PathRule>,
    priority: Priority,
}

/// Compared field by field: the order of the fields is the order of their weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Priority {
    matchers: usize,
    plain_hosts: bool,
    headers: usize,
    regex: bool,
    regex_priority: u64,
    length: usize,
}

/// The parts of a request that choose its route.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) method: &'a Method,
    /// The Host without its port, in lower case.
    pub(crate) host: &'a str,
    /// The port that the request came to.
    pub(crate) port: u16,
    /// The path after [`normalize`](crate::path::normalize).
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// The route that was chosen.
#[derive(Debug)]
pub(crate) struct Match<'r> {
    pub(crate) route: &'r Arc<Route>,
    /// How much of the path the rule matched, in bytes.
    pub(crate) matched: usize,
}

impl Router {
    pub(crate) fn new(config: Config) -> Self {
        let routes: Vec<Arc<Route>> = config.routes.into_iter().map(Arc::new).collect();
        let mut rules: Vec<Rule> = routes
            .iter()
            .enumerate()
            .flat_map(|(position, route)| {
                let paths: Vec<Option<PathRule>> = match route.paths.as_slice() {
                    [] => vec![None],
                    paths => paths.iter().cloned().map(Some).collect(),
                };
                paths.into_iter().map(move |path| Rule {
                    route: position,
                    priority: Priority::of(route, path.as_ref()),
                    path,
                })
            })
            .collect();
        // Stable: equal rules stay in the order of the file.
        rules.sort_by_key(|rule| Reverse(rule.priority));
        Self { routes, rules }
    }

    pub(crate) fn find(&self, query: &Query<'_>) -> Option<Match<'_>> {
        self.rules.iter().find_map(|rule| {
            let route = &self.routes[rule.route];
            let matched = match &rule.path {
                None => 0,
                Some(path) => matched(path, query.path)?,
            };
            let fits = (route.methods.is_empty() || route.methods.contains(query.method))
                && (route.hosts.is_empty() || route.hosts.iter().any(|host| is_host(host, query)))
                && route
                    .headers
                    .iter()
                    .all(|rule| has_header(rule, query.headers));
            fits.then_some(Match { route, matched })
        })
    }
}

impl Priority {
    fn of(route: &Route, path: Option<&PathRule>) -> Self {
        let matchers = [
            !route.methods.is_empty(),
            !route.hosts.is_empty(),
            !route.headers.is_empty(),
            path.is_some(),
        ];
        let regex = matches!(path, Some(PathRule::Regex(_)));
        Self {
            matchers: matchers.into_iter().filter(|set| *set).count(),
            plain_hosts: !route.hosts.is_empty()
                && route
                    .hosts
                    .iter()
                    .all(|host| matches!(host.name, HostName::Exact(_))),
            headers: route.headers.len(),
            regex,
            regex_priority: if regex { route.regex_priority } else { 0 },
            length: match path {
                Some(PathRule::Prefix(prefix)) => prefix.len(),
                _ => 0,
            },
        }
    }
}

fn matched(rule: &PathRule, path: &str) -> Option<usize> {
    match rule {
        PathRule::Prefix(prefix) => path.starts_with(prefix.as_str()).then_some(prefix.len()),
        PathRule::Regex(regex) => regex.find(path).map(|found| found.end()),
    }
}

fn is_host(rule: &HostRule, query: &Query<'_>) -> bool {
    let name = match &rule.name {
        HostName::Exact(name) => query.host == name,
        HostName::Suffix(suffix) => query.host.ends_with(suffix.as_str()),
        HostName::Prefix(prefix) => query.host.starts_with(prefix.as_str()),
    };
    name && rule.port.is_none_or(|port| port == query.port)
}

fn has_header(rule: &HeaderRule, headers: &HeaderMap) -> bool {
    headers
        .get_all(&rule.name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            let value = value.to_lowercase();
            rule.values.iter().any(|wanted| match wanted {
                HeaderMatch::Exact(wanted) => *wanted == value,
                HeaderMatch::Regex(wanted) => wanted.is_match(&value),
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A router over one service whose routes are given as YAML flow mappings.
    fn router(routes: &[&str]) -> Router {
        let mut text =
            "_format_version: \"3.0\"\nservices:\n- name: s\n  host: h\n  routes:\n".to_owned();
        for route in routes {
            text.push_str(&format!("  - {{{route}}}\n"));
        }
        Router::new(Config::parse("test.yml", &text).unwrap())
    }

    fn found(router: &Router, method: &str, host: &str, path: &str, header: &str) -> String {
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert("x-version", header.parse().unwrap());
        }
        let query = Query {
            method: &method.parse().unwrap(),
            host,
            port: 8000,
            path,
            headers: &headers,
        };
        router
            .find(&query)
            .map_or("none".to_owned(), |found| found.route.name.clone())
    }

    #[test]
    fn the_order_is_kongs() {
        // In each row both routes match: the winner stands first, and the file's order is tried
        // both ways.
        let rows = [
            (
                "more matchers",
                "paths: [/a], methods: [GET]",
                "paths: [/a/b]",
            ),
            (
                "a method beats a regex",
                "paths: [/a], methods: [GET]",
                "paths: ['~/a/b$']",
            ),
            (
                "plain host",
                "paths: [/a], hosts: [x.y]",
                "paths: [/a/b], hosts: ['*.y']",
            ),
            (
                "header",
                "paths: [/a], headers: {x-version: [v1]}",
                "paths: ['~/a/b$']",
            ),
            (
                "regex before prefix",
                "paths: ['~/a/[^/]+$']",
                "paths: [/a/b]",
            ),
            (
                "regex_priority",
                "paths: ['~/a/[^/]+$'], regex_priority: 5",
                "paths: ['~/a/b$'], regex_priority: 4",
            ),
            ("longer prefix", "paths: [/a/b]", "paths: [/a]"),
        ];
        for (what, winner, loser) in rows {
            for order in [["winner", "loser"], ["loser", "winner"]] {
                let routes: Vec<String> = order
                    .iter()
                    .map(|name| {
                        let rest = if *name == "winner" { winner } else { loser };
                        format!("name: {name}, {rest}")
                    })
                    .collect();
                let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
                let router = router(&routes);
                assert_eq!(
                    found(&router, "GET", "x.y", "/a/b", "V1"),
                    "winner",
                    "{what}"
                );
            }
        }
    }

    #[test]
    fn equal_rules_keep_the_order_of_the_file() {
        let router = router(&[
            "name: one, paths: ['~/a/[^/]+$']",
            "name: two, paths: ['~/a/b$']",
        ]);
        assert_eq!(found(&router, "GET", "h", "/a/b", ""), "one");
    }

    #[test]
    fn all_conditions_must_hold() {
        let router = router(&[
            "name: a, paths: ['~/users/(?<id>[^/]+)$'], methods: [GET, OPTIONS]",
            "name: b, paths: [/shop], hosts: ['shop.*', '*.shop.example']",
            "name: c, headers: {x-version: ['~*v[0-9]+$', beta]}",
            "name: d, hosts: ['only.example:9000']",
        ]);
        let cases = [
            ("GET", "h", "/users/1", "", "a"),
            ("OPTIONS", "h", "/users/1", "", "a"),
            ("POST", "h", "/users/1", "", "none"),
            ("GET", "h", "/users/1/orders", "", "none"),
            ("GET", "h", "/v1/users/1", "", "none"),
            ("GET", "shop.example", "/shop/1", "", "b"),
            ("GET", "a.shop.example", "/shop", "", "b"),
            ("GET", "shop", "/shop", "", "none"),
            ("GET", "h", "/", "V12", "c"),
            ("GET", "h", "/", "BETA", "c"),
            ("GET", "h", "/", "v1x", "none"),
            ("GET", "only.example", "/", "", "none"),
        ];
        for (method, host, path, header, expected) in cases {
            let got = found(&router, method, host, path, header);
            assert_eq!(got, expected, "{method} {host} {path} {header}");
        }
    }

    #[test]
    fn the_matched_part_is_known() {
        let router = router(&["name: a, paths: ['~/v[0-9]+']", "name: b, paths: [/old]"]);
        let headers = HeaderMap::new();
        for (path, matched) in [("/v12/users", 4), ("/old/users", 4)] {
            let query = Query {
                method: &Method::GET,
                host: "h",
                port: 1,
                path,
                headers: &headers,
            };
            assert_eq!(router.find(&query).unwrap().matched, matched);
        }
    }
}
