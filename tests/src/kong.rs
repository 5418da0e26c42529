//! `kong/kong.yml`: each function's routes, REST and gRPC, and where they lead.

use std::collections::BTreeMap;

use http::{Method, StatusCode, header::ALLOW};
use zerocart_gateway::{PathRule, Route};
use zerocart_proto::rpc::{self, Info};

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

/// The reflection service, and the paths of its two versions.
const REFLECTION: &str = "grpc-reflection";
const REFLECTION_PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Each function has one REST route, with the method and exactly the paths of its binding, and one
/// gRPC route with exactly its gRPC path; both lead to it, ask for a token unless anyone may call
/// it, and have their limits of size and rate. Two more describe the API to anyone: `GET
/// /openapi.json` answers without a function, and reflection has a service of its own. What a path
/// does not answer is refused by a route without methods.
pub fn check(functions: &[Info], namespace: &str, routes: &[Route]) -> Vec<String> {
    let mut wrong = Vec::new();
    let host = |name: &str| format!("{name}.{namespace}.svc.cluster.local");
    let descriptions = [OPENAPI, REFLECTION];
    for description in descriptions {
        let mut found = routes.iter().filter(|route| route.name == description);
        match (found.next(), description) {
            (None, _) => wrong.push(format!("{description}: no such route")),
            (Some(route), OPENAPI) => openapi(route, &mut wrong),
            (Some(route), _) => reflection(route, &host(REFLECTION), &mut wrong),
        }
    }
    other_methods(functions, routes, &mut wrong);
    let of_functions =
        |route: &&Route| !descriptions.contains(&route.name.as_str()) && !takes_every_method(route);
    for route in routes.iter().filter(of_functions) {
        let name = &route.name;
        let Some(function) = functions
            .iter()
            .find(|f| host(f.name) == route.service.host)
        else {
            wrong.push(format!(
                "{name}: {} is the host of no function",
                route.service.host
            ));
            continue;
        };
        let own = if route.grpc {
            format!("{}-grpc", function.name)
        } else {
            function.name.to_owned()
        };
        if *name != own || route.service.name != own {
            wrong.push(format!(
                "{name}: it and its service are not both named {own}"
            ));
        }
        if route.requires_token() == function.access.anyone {
            let should = if function.access.anyone {
                "asks"
            } else {
                "does not ask"
            };
            wrong.push(format!("{name}: it {should} for a token"));
        }
        if route.strip_path || route.preserve_host || route.service.path.is_some() {
            wrong.push(format!(
                "{name}: the function would see another path or host"
            ));
        }
        if !route.limits_size() {
            wrong.push(format!("{name}: bodies have no limit"));
        }
        if !route.limits_rate() {
            wrong.push(format!("{name}: it has no limit"));
        }
        if route.service.retries > 3 {
            wrong.push(format!("{name}: it retries more than 3 times"));
        }
    }
    for function in functions {
        let to = |grpc: bool| {
            let to_it = move |route: &&Route| {
                route.grpc == grpc && route.service.host == host(function.name)
            };
            routes.iter().filter(to_it).collect::<Vec<_>>()
        };
        match to(false)[..] {
            [route] => rest(function, route, &mut wrong),
            ref many => wrong.push(format!("{}: {} REST routes", function.name, many.len())),
        }
        match to(true)[..] {
            [route] => grpc(function, route, &mut wrong),
            ref many => wrong.push(format!("{}: {} gRPC routes", function.name, many.len())),
        }
    }
    for function in functions {
        meets(function, routes, &host(function.name), &mut wrong);
    }
    wrong
}

/// The description is there for anyone, at one path, so many times a minute; and should a deployment
/// not give the route what it answers, no host on earth is asked for it.
fn openapi(route: &Route, wrong: &mut Vec<String>) {
    let mut say = |what: &str| wrong.push(format!("{OPENAPI}: {what}"));
    if !route.service.host.ends_with(".invalid") {
        say("its host may exist");
    }
    if route.methods != [Method::GET, Method::HEAD] {
        say("its methods are not GET and HEAD");
    }
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

fn rest(function: &Info, route: &Route, wrong: &mut Vec<String>) {
    let name = &route.name;
    // HEAD for every GET (RFC 9110, section 9.3.2).
    let wanted = match function.http_method {
        "GET" => &["GET", "HEAD"][..],
        method => &[method],
    };
    let methods: Vec<_> = route.methods.iter().map(Method::as_str).collect();
    if methods != wanted {
        wrong.push(format!(
            "{name}: its methods are {methods:?}, not {wanted:?}"
        ));
    }
    for path in paths(function.http_path) {
        if !takes(route, &path) {
            wrong.push(format!("{name}: it does not take {path}"));
        }
        for other in [
            format!("{path}/more"),
            format!("/more{path}"),
            format!("{path}more/"),
            path.rsplit_once('/')
                .map_or("/", |(parent, _)| parent)
                .to_owned(),
        ] {
            // `/products/{id}` takes `/products/amore`; a template without parameters does not.
            if !other.is_empty() && !fits(function.http_path, &other) && takes(route, &other) {
                wrong.push(format!("{name}: it takes {other}"));
            }
        }
    }
}

/// Whether it is for what other routes do not take.
fn takes_every_method(route: &Route) -> bool {
    !route.grpc && route.methods.is_empty()
}

/// Each path has one route that takes every method, so that it comes after those that name some. It
/// says which those are, and leads nowhere. The cors plugin answers preflights on it.
fn other_methods(functions: &[Info], routes: &[Route], wrong: &mut Vec<String>) {
    let of_functions = functions.iter().map(|function| {
        let methods = rpc::methods(functions, function.http_path);
        (function.http_path, methods.join(", "))
    });
    let mut resources: BTreeMap<_, _> = of_functions.collect();
    resources.insert(OPENAPI_PATH, "GET, HEAD".to_owned());
    let all = || routes.iter().filter(|route| takes_every_method(route));
    for (template, allow) in &resources {
        for path in paths(template) {
            match all()
                .filter(|route| takes(route, &path))
                .collect::<Vec<_>>()[..]
            {
                [route] => {
                    let mut allows = route.adds().iter().filter(|(name, _)| name == ALLOW);
                    let says = allows.next().map(|(_, value)| value);
                    if says.is_none_or(|says| says != allow) {
                        wrong.push(format!("{}: {path} allows {allow}", route.name));
                    }
                }
                ref many => {
                    let many = many.len();
                    wrong.push(format!("{path}: {many} routes for other methods"));
                }
            }
        }
        // Not more than it: its neighbours are answered 404.
        for path in paths(template).iter().map(|path| format!("{path}/more")) {
            let known = resources.keys().any(|template| fits(template, &path));
            if !known && all().any(|route| takes(route, &path)) {
                wrong.push(format!("{path}: a route for other methods takes it"));
            }
        }
    }
    let everywhere = routes.iter().find(|route| route.name == OPENAPI);
    for route in all() {
        let mut say = |what: &str| wrong.push(format!("{}: {what}", route.name));
        if route.answers() != Some(StatusCode::METHOD_NOT_ALLOWED) {
            say("it does not answer 405");
        }
        if !route.service.host.ends_with(".invalid") {
            say("its host may exist");
        }
        if route.requires_token() {
            say("it asks for a token");
        }
        // A plugin of its own takes the place of that of all routes.
        let everywhere = everywhere.map_or(&[][..], Route::adds);
        if !everywhere.iter().all(|added| route.adds().contains(added)) {
            say("it adds less to its answers than other routes");
        }
    }
}

fn grpc(function: &Info, route: &Route, wrong: &mut Vec<String>) {
    let exact = matches!(&route.paths[..], [PathRule::Prefix(path)] if path == function.grpc_path);
    if !exact {
        let (name, paths) = (&route.name, &route.paths);
        wrong.push(format!(
            "{name}: its paths are {paths:?}, not {}",
            function.grpc_path
        ));
    }
}

/// Each path of `function` meets its own route and no other's.
fn meets(function: &Info, routes: &[Route], host: &str, wrong: &mut Vec<String>) {
    for path in paths(function.http_path) {
        for route in routes
            .iter()
            .filter(|route| !route.grpc && takes(route, &path))
        {
            let same_method = route
                .methods
                .iter()
                .any(|m| m.as_str() == function.http_method);
            if same_method && route.service.host != host {
                wrong.push(format!(
                    "{}: {path} of {} meets it",
                    route.name, function.name
                ));
            }
        }
    }
}

fn takes(route: &Route, path: &str) -> bool {
    route.paths.iter().any(|rule| match rule {
        PathRule::Prefix(prefix) => path.starts_with(prefix.as_str()),
        PathRule::Regex(regex) => regex.is_match(path),
    })
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
        let mut text = "_format_version: \"3.0\"\nplugins: [{name: response-transformer, config: \
            {add: {headers: ['X-One:1']}}}]\nservices:\n\
            - {name: openapi, host: openapi.invalid, plugins: [{name: rate-limiting, \
            config: {minute: 5}}], routes: [{name: openapi, methods: [GET, HEAD], \
            paths: ['~/openapi\\.json$']}]}\n\
            - {name: wrong, host: wrong.invalid, plugins: [{name: request-termination, config: \
            {status_code: 405}}], routes: [{name: only-post, paths: ['~/users$'], plugins: [{name: \
            response-transformer, config: {add: {headers: ['Allow:POST', 'X-One:1']}}}]}, {name: \
            only-get, paths: ['~/openapi\\.json$', '~/users/(?<id>[^/]+)$', \
            '~/products/(?<id>[^/]+)$'], plugins: [{name: response-transformer, config: {add: \
            {headers: ['Allow:GET, HEAD', 'X-One:1']}}}]}]}\n"
            .to_owned();
        text += &format!(
            "- {{name: {REFLECTION}, host: {REFLECTION}.shop.svc.cluster.local, protocol: grpc, \
             retries: 0, plugins: [{{name: rate-limiting, config: {{minute: 6}}}}], routes: [{{name: \
             {REFLECTION}, protocols: [grpc, grpcs], paths: [{}]}}]}}\n",
            REFLECTION_PATHS.join(", ")
        );
        for f in &FUNCTIONS {
            let path = f.http_path.replace("{id}", "(?<id>[^/]+)");
            let plugins = match f.access.anyone {
                true => "",
                false => {
                    "{name: jwt, config: {key_claim_name: kid, claims_to_verify: [exp], run_on_preflight: false, uri_param_names: []}}, "
                }
            };
            let plugins = format!(
                "[{plugins}{{name: request-size-limiting, config: {{allowed_payload_size: 1}}}}, \
                 {{name: rate-limiting, config: {{minute: 7}}}}]"
            );
            let (name, grpc) = (f.name, f.grpc_path);
            let methods = match f.http_method {
                "GET" => "GET, HEAD",
                method => method,
            };
            text += &format!(
                "- {{name: {name}, host: {name}.shop.svc.cluster.local, protocol: http, retries: 3, \
                 read_timeout: 30000, plugins: {plugins}, routes: [{{name: {name}, \
                 methods: [{methods}], paths: ['~{path}$'], strip_path: false}}]}}\n\
                 - {{name: {name}-grpc, host: {name}.shop.svc.cluster.local, protocol: grpc, retries: 3, \
                 read_timeout: 30000, plugins: {plugins}, routes: [{{name: {name}-grpc, \
                 protocols: [grpc, grpcs], paths: [{grpc}]}}]}}\n"
            );
        }
        Config::parse("kong.yml", &edit(text)).expect("the test's file is right for Kong")
    }

    #[test]
    fn routes_that_are_not_the_functions_are_told() {
        let good = routes(|text| text);
        assert_eq!(check(&FUNCTIONS, "shop", good.routes()), [""; 0]);

        for (from, to, words) in [
            (
                "methods: [POST]",
                "methods: [PUT]",
                "its methods are [\"PUT\"], not [\"POST\"]",
            ),
            (
                "methods: [GET, HEAD]",
                "methods: [GET]",
                "not [\"GET\", \"HEAD\"]",
            ),
            (
                "'Allow:POST'",
                "'Allow:PUT'",
                "only-post: /users allows POST",
            ),
            ("'Allow:POST', ", "", "only-post: /users allows POST"),
            (
                "only-post, paths: ['~/users$']",
                "only-post, paths: ['~/nobody$']",
                "/users: 0 routes for other methods",
            ),
            ("['~/users$']", "['~/users']", "2 routes for other methods"),
            (
                "['~/users$']",
                "['~/users$', '~/users/[^/]+/more$']",
                "a route for other methods takes it",
            ),
            (
                "status_code: 405",
                "status_code: 404",
                "it does not answer 405",
            ),
            (
                "wrong.invalid",
                "wrong.shop",
                "only-post: its host may exist",
            ),
            (
                "'Allow:POST', 'X-One:1'",
                "'Allow:POST'",
                "only-post: it adds less",
            ),
            ("~/users$", "~/users", "it takes /users/more"),
            ("~/users$", "~/people$", "it does not take /users"),
            ("~/users/(?<id>[^/]+)$", "~/users/(?<id>.+)$", "/more"),
            (
                "~/users/(?<id>[^/]+)$",
                "~/users/(?<id>[a-z]+)$",
                "it does not take /users/0192",
            ),
            (
                "~/products/(?<id>[^/]+)$",
                "~/users/(?<id>[^/]+)$",
                "of get-user meets it",
            ),
            (
                "/user.UserService/GetUser]",
                "/user.UserService]",
                "not /user.UserService/GetUser",
            ),
            (
                "name: get-user-grpc, protocols",
                "name: other, protocols",
                "not both named get-user-grpc",
            ),
            (
                "host: get-user.shop",
                "host: eat-user.shop",
                "is the host of no function",
            ),
            (
                "host: get-user.shop",
                "host: get-product.shop",
                "get-user: 0 REST routes",
            ),
            ("strip_path: false", "strip_path: true", "another path"),
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
            (
                "plugins: [{name: request-size-limiting",
                "plugins: [{name: jwt, config: {key_claim_name: kid, claims_to_verify: [exp]}}, \
                 {name: request-size-limiting",
                "create-user: it asks for a token",
            ),
            (
                "uri_param_names: []}}",
                "uri_param_names: []}, enabled: false}",
                "get-user: it does not ask",
            ),
            (
                "{allowed_payload_size: 1}",
                "{allowed_payload_size: 1}, enabled: false",
                "get-user: bodies have no limit",
            ),
            (
                "{minute: 7}",
                "{minute: 7}, enabled: false",
                "get-user: it has no limit",
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
        let elsewhere = check(&FUNCTIONS, "other", good.routes());
        assert!(
            elsewhere
                .iter()
                .any(|p| p.contains("the host of no function"))
        );
    }
}
