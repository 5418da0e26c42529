//! `kong/kong.yml` as Kong reads it: no path meets two routes, and what `kong/edge.yml` says by hand.
//!
//! That each function has its routes, with its token and its limits, the conformance suite and
//! `e2e::edge` try at a gateway that runs.

use http::Method;
use zerocart_gateway::{PathRule, Route};
use zerocart_proto::rpc::Info;

/// What a path parameter may be: a route must take each of them, and nothing with a slash.
const PARAMETERS: [&str; 4] = [
    "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60",
    "a",
    "x.y-z_~",
    "%C3%A4",
];

/// The route of the API's description, which leads nowhere, and its path.
const OPENAPI: &str = "openapi";
const OPENAPI_PATH: &str = "/openapi.json";

/// The routes that the gateway answers by itself, beside that of people, and their paths.
const OWN: [(&str, &str); 2] = [("health", "/health"), ("index", "/")];
/// The same path as `index`, for a browser that opens a page.
const PEOPLE: &str = "index-of-people";

/// The service that has the files of the dashboard, and paths that it takes, and that it must not.
const DASHBOARD: &str = "dashboard";
const PAGES: [&str; 4] = ["/app", "/app/", "/app/orders/1", "/app/assets/a.js"];
const NO_PAGES: [&str; 5] = ["/", "/apple", "/a/app/", "/orders/app/", "/users"];

/// The service that gives the descriptors to gRPC clients, and the paths of its two versions.
const REFLECTION: &str = "grpc-reflection";
const REFLECTION_PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Each path of a function meets one route, which leads to that function, and its neighbours meet none.
/// Nothing is sent more than four times. Two routes describe the API to anyone: `GET /openapi.json`
/// answers without a function, and reflection has a service of its own. So has the dashboard. The gateway
/// alone answers `GET /` and `GET /health`.
pub fn check(functions: &[Info], namespace: &str, routes: &[Route]) -> Vec<String> {
    let mut wrong = Vec::new();
    let host = |name: &str| format!("{name}.{namespace}.svc.cluster.local");
    for description in [OPENAPI, REFLECTION] {
        let mut found = routes.iter().filter(|route| route.name == description);
        match (found.next(), description) {
            (None, _) => wrong.push(format!("{description}: no such route")),
            (Some(route), OPENAPI) => openapi(route, &mut wrong),
            (Some(route), _) => reflection(route, &host(REFLECTION), &mut wrong),
        }
    }
    for (name, path) in OWN.into_iter().chain([(PEOPLE, "/")]) {
        match routes.iter().find(|route| route.name == name) {
            None => wrong.push(format!("{name}: no such route")),
            Some(route) => own(route, path, &mut wrong),
        }
    }
    match routes.iter().find(|route| route.name == DASHBOARD) {
        None => wrong.push(format!("{DASHBOARD}: no such route")),
        Some(route) => dashboard(route, &host(DASHBOARD), &mut wrong),
    }
    for Route { name, service, .. } in routes {
        // What leads nowhere is not tried at all.
        if service.retries > 3 && !service.host.ends_with(".invalid") {
            wrong.push(format!("{name}: it retries more than 3 times"));
        }
    }
    for function in functions {
        let host = host(function.name);
        let mut meets = |path: &str, grpc: bool| {
            let mut met: Vec<_> = routes
                .iter()
                .filter(|route| route.grpc == grpc && takes(route, path))
                .filter(|route| grpc || has_method(route, function))
                .collect();
            if grpc {
                // The name of an RPC may begin that of another: Kong takes the route with the longer prefix.
                let longest = met.iter().map(|route| prefix(route)).max();
                met.retain(|route| Some(prefix(route)) == longest);
            }
            let met: Vec<_> = met
                .iter()
                .map(|route| route.service.host.as_str())
                .collect();
            if met != [host.as_str()] {
                wrong.push(format!("{}: {path} meets {met:?}", function.name));
            }
        };
        meets(function.grpc_path, true);
        for path in paths(function.http_path) {
            meets(&path, false);
        }
        neighbours(function, &host, routes, &mut wrong);
    }
    wrong
}

fn has_method(route: &Route, function: &Info) -> bool {
    let mut methods = route.methods.iter();
    methods.any(|method| method.as_str() == function.http_method)
}

/// The route of a function takes its paths whole.
fn neighbours(function: &Info, host: &str, routes: &[Route], wrong: &mut Vec<String>) {
    for path in paths(function.http_path) {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        for other in [
            format!("{path}/more"),
            format!("/more{path}"),
            format!("{path}more/"),
            parent.to_owned(),
        ] {
            let taken = |r: &Route| !r.grpc && r.service.host == host && takes(r, &other);
            // `/products/{id}` takes `/products/amore`; a template without parameters does not.
            if !fits(function.http_path, &other) && routes.iter().any(taken) {
                wrong.push(format!("{}: it takes {other}", function.name));
            }
        }
    }
}

/// The description is there for anyone, at one path, so many times a minute; and should a deployment
/// not give the route what it answers, no host on earth is asked for it.
fn openapi(route: &Route, wrong: &mut Vec<String>) {
    let mut say = |what: &str| wrong.push(format!("{OPENAPI}: {what}"));
    if !route.service.host.ends_with(".invalid") {
        say("its host may exist");
    }
    anyone_reads(route, &mut say);
    if !takes(route, OPENAPI_PATH)
        || [
            "/openapi.json/",
            "/openapi",
            "/a/openapi.json",
            "/openapixjson",
        ]
        .into_iter()
        .any(|path| takes(route, path))
    {
        say("it does not take /openapi.json alone");
    }
}

/// What the gateway answers by itself is there for anyone, at one path, and no host is asked.
fn own(route: &Route, path: &str, wrong: &mut Vec<String>) {
    let name = &route.name;
    let mut say = |what: &str| wrong.push(format!("{name}: {what}"));
    if !route.service.host.ends_with(".invalid") {
        say("its host may exist");
    }
    anyone_reads(route, &mut say);
    let others = ["/healthy", "/health/", "/a/health", "/index", "/users"];
    let others = others.into_iter().chain(["/", "/health"]);
    if !takes(route, path)
        || others
            .filter(|other| *other != path)
            .any(|p| takes(route, p))
    {
        say("it does not take its path alone");
    }
}

/// The dashboard has its paths, and none of the API's.
fn dashboard(route: &Route, host: &str, wrong: &mut Vec<String>) {
    let mut say = |what: &str| wrong.push(format!("{DASHBOARD}: {what}"));
    if route.grpc || route.service.host != host {
        say("it does not lead to its service");
    }
    anyone_reads(route, &mut say);
    if !PAGES.into_iter().all(|path| takes(route, path))
        || NO_PAGES.into_iter().any(|path| takes(route, path))
    {
        say("its paths are not those below /app");
    }
}

/// For anyone, with a limit, and nothing is changed.
fn anyone_reads(route: &Route, say: &mut impl FnMut(&str)) {
    if route.methods != [Method::GET, Method::HEAD] {
        say("its methods are not GET and HEAD");
    }
    if route.requires_token() {
        say("it asks for a token");
    }
    if !route.limits_rate() {
        say("it has no limit");
    }
}

/// Reflection is there for anyone, in both versions, so many streams a minute. Kong measures a body by
/// reading it to its end, so a stream that goes both ways would wait for ever.
fn reflection(route: &Route, host: &str, wrong: &mut Vec<String>) {
    let mut say = |what: &str| wrong.push(format!("{REFLECTION}: {what}"));
    if !route.grpc || route.service.host != host {
        say("it does not lead to its service");
    }
    let is = |path: &str| {
        let same = |rule: &PathRule| matches!(rule, PathRule::Prefix(is) if is == path);
        route.paths.iter().any(same)
    };
    if route.paths.len() != REFLECTION_PATHS.len() || !REFLECTION_PATHS.into_iter().all(is) {
        say("its paths are not those of v1 and v1alpha");
    }
    if route.requires_token() {
        say("it asks for a token");
    }
    if !route.limits_rate() {
        say("it has no limit");
    }
    if route.limits_size() {
        say("its bodies are measured");
    }
    if route.service.retries > 0 {
        say("a stream cannot be sent again");
    }
}

fn takes(route: &Route, path: &str) -> bool {
    route.paths.iter().any(|rule| match rule {
        PathRule::Prefix(prefix) => path.starts_with(prefix.as_str()),
        PathRule::Regex(regex) => regex.is_match(path),
    })
}

/// The length of a route's longest prefix.
fn prefix(route: &Route) -> usize {
    let prefixes = route.paths.iter().map(|rule| match rule {
        PathRule::Prefix(prefix) => prefix.len(),
        PathRule::Regex(_) => 0,
    });
    prefixes.max().unwrap_or(0)
}

/// Paths of a template, its parameters filled in.
fn paths(template: &str) -> Vec<String> {
    let fill = |parameter: &str| {
        let segments = template
            .split('/')
            .map(|segment| match segment.starts_with('{') {
                true => parameter,
                false => segment,
            });
        segments.collect::<Vec<_>>().join("/")
    };
    let mut paths: Vec<_> = PARAMETERS.into_iter().map(fill).collect();
    paths.dedup();
    paths
}

/// Whether a path is one of a template.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    let same =
        |(wanted, is): (&&str, &&str)| wanted == is || (wanted.starts_with('{') && !is.is_empty());
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sample::FUNCTIONS;
    use zerocart_gateway::Config;

    /// Routes as they should be for [`FUNCTIONS`], after `edit` of kong.yml.
    pub(crate) fn routes(edit: impl Fn(String) -> String) -> Config {
        let mut text = "_format_version: \"3.0\"\nservices:\n\
            - {name: openapi, host: openapi.invalid, plugins: [{name: rate-limiting, \
            config: {minute: 5}}], routes: [{name: openapi, methods: [GET, HEAD], \
            paths: ['~/openapi\\.json$']}]}\n"
            .to_owned();
        text += &format!(
            "- {{name: {REFLECTION}, host: {REFLECTION}.shop.svc.cluster.local, protocol: grpc, \
             retries: 0, plugins: [{{name: rate-limiting, config: {{minute: 6}}}}], routes: [{{name: \
             {REFLECTION}, protocols: [grpc, grpcs], paths: [{}]}}]}}\n",
            REFLECTION_PATHS.join(", ")
        );
        text += "- {name: health, host: health.invalid, plugins: [{name: rate-limiting, config: {minute: 7}}], \
            routes: [{name: health, methods: [GET, HEAD], paths: ['~/health$']}]}\n\
            - {name: index, host: index.invalid, plugins: [{name: rate-limiting, config: {minute: 8}}], routes: \
            [{name: index, methods: [GET, HEAD], paths: ['~/$']}, {name: index-of-people, methods: [GET, HEAD], \
            paths: ['~/$'], headers: {Accept: ['~*^text/html']}}]}\n\
            - {name: dashboard, host: dashboard.shop.svc.cluster.local, retries: 3, plugins: [{name: \
            rate-limiting, config: {minute: 9}}], routes: [{name: dashboard, methods: [GET, HEAD], \
            paths: ['~/app$', '~/app/']}]}\n";
        for f in &FUNCTIONS {
            let path = f.http_path.replace("{id}", "(?<id>[^/]+)");
            let (name, grpc, method) = (f.name, f.grpc_path, f.http_method);
            text += &format!(
                "- {{name: {name}, host: {name}.shop.svc.cluster.local, protocol: http, retries: 3, \
                 read_timeout: 30000, routes: [{{name: {name}, methods: [{method}], \
                 paths: ['~{path}$']}}]}}\n\
                 - {{name: {name}-grpc, host: {name}.shop.svc.cluster.local, protocol: grpc, retries: 3, \
                 read_timeout: 30000, routes: [{{name: {name}-grpc, \
                 protocols: [grpc, grpcs], paths: [{grpc}]}}]}}\n"
            );
        }
        Config::parse("kong.yml", &edit(text)).expect("the test's file is right for Kong")
    }

    #[test]
    fn paths_that_do_not_meet_their_own_route_are_told() {
        let good = routes(|text| text);
        assert_eq!(check(&FUNCTIONS, "shop", good.routes()), [""; 0]);

        for (from, to, words) in [
            ("methods: [POST]", "methods: [PUT]", "/users meets []"),
            ("~/users$", "~/users", "it takes /users/more"),
            ("~/users$", "~/people$", "/users meets []"),
            ("~/users/(?<id>[^/]+)$", "~/users/(?<id>.+)$", "/more"),
            (
                "~/users/(?<id>[^/]+)$",
                "~/users/(?<id>[a-z]+)$",
                "get-user: /users/0192",
            ),
            (
                "~/products/(?<id>[^/]+)$",
                "~/users/(?<id>[^/]+)$",
                "get-user: /users/a meets [\"get-user.shop.svc.cluster.local\", \"get-product",
            ),
            (
                "/user.UserService/GetUser]",
                "/user.UserService/FindUser]",
                "/user.UserService/GetUser meets []",
            ),
            (
                "host: get-user.shop",
                "host: eat-user.shop",
                "meets [\"eat-user.shop",
            ),
            ("openapi.invalid", "openapi.shop", "its host may exist"),
            (
                "methods: [GET, HEAD], paths: ['~/o",
                "methods: [GET], paths: ['~/o",
                "its methods are not GET",
            ),
            ("openapi\\.json", "openapi.json", "/openapi.json alone"),
            (
                "{minute: 5}",
                "{minute: 5}, enabled: false",
                "it has no limit",
            ),
            (
                "routes: [{name: openapi",
                "routes: [{name: other",
                "openapi: no such route",
            ),
            ("retries: 3", "retries: 5", "retries more than 3"),
            ("~/health$", "~/health", "health: it does not take its path"),
            (
                "health.invalid",
                "health.shop",
                "health: its host may exist",
            ),
            (
                "{minute: 8}",
                "{minute: 8}, enabled: false",
                "index: it has no",
            ),
            (
                "name: index-of-people",
                "name: other",
                "index-of-people: no such route",
            ),
            (
                "'~/app/'",
                "'~/app/', '~/users'",
                "dashboard: its paths are not",
            ),
            ("'~/app$', ", "", "dashboard: its paths are not"),
            (
                "host: dashboard.shop",
                "host: get-user.shop",
                "dashboard: it does not lead",
            ),
            (
                "{minute: 9}",
                "{minute: 9}, enabled: false",
                "dashboard: it has no limit",
            ),
            (
                "name: grpc-reflection, protocols",
                "name: another, protocols",
                "grpc-reflection: no such route",
            ),
            (
                "host: grpc-reflection.shop",
                "host: get-user.shop",
                "grpc-reflection: it does not lead",
            ),
            (
                "grpc.reflection.v1.",
                "grpc.reflection.v2.",
                "those of v1 and v1alpha",
            ),
            (
                "{name: rate-limiting, config: {minute: 6}}",
                "{name: request-size-limiting}",
                "grpc-reflection: its bodies",
            ),
            (
                "{minute: 6}",
                "{minute: 6}, enabled: false",
                "grpc-reflection: it has no limit",
            ),
            ("retries: 0", "retries: 1", "a stream cannot be sent again"),
        ] {
            let broken = routes(|text| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            });
            let problems = check(&FUNCTIONS, "shop", broken.routes());
            assert!(
                problems.iter().any(|p| p.contains(words)),
                "{problems:#?} lack {words:?}"
            );
        }
    }
}
