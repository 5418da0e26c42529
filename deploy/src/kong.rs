//! `kong/kong.yml`: the routes of every function, after what `kong/edge.yml` says of the edge.

use std::fmt::Write as _;

use zerocart_proto::rpc::Info;

use crate::{NAMESPACE, Output, Unit, text::head};

/// The port of kourier-internal for JSON, and the second one for gRPC.
const PORT: u16 = 80;
const GRPC_PORT: u16 = 8082;

/// The routes of `kong/edge.yml` that have a path.
const EDGE_PATHS: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/app"),
    ("GET", "/app/{*path}"),
    ("GET", "/health"),
    ("GET", "/openapi.json"),
];

/// What stands for the version in `kong/edge.yml`.
const VERSION: &str = "{version}";

/// The order in which methods are listed.
const ORDER: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// `kong/kong.yml`.
pub fn render(units: &[Unit], edge: &str, version: &str) -> Output {
    let mut text = head("#", "kong/edge.yml, proto/ and functions/*/functions.toml");
    text.push_str(&edge.replace(VERSION, version));
    let mut domain = "";
    for unit in units {
        let Some(rpc) = &unit.rpc else { continue };
        if unit.domain != domain {
            domain = unit.domain;
            let _ = write!(text, "\n# {domain}\n");
        }
        text.push_str(&service(unit, rpc));
    }
    let functions: Vec<_> = units.iter().filter_map(|unit| unit.rpc.as_ref()).collect();
    text.push_str(&other_methods(&functions));
    Output::file("kong/kong.yml", text)
}

fn service(unit: &Unit, rpc: &Info) -> String {
    let name = unit.name;
    let methods = methods(rpc.http_method).join(", ");
    let path = pattern(rpc.http_path);
    let grpc_path = rpc.grpc_path;
    let plugins = plugins(unit, rpc);
    let upstream = |port: u16, protocol: &str| {
        format!(
            "  host: {name}.{NAMESPACE}.svc.cluster.local\n  port: {port}\n  protocol: {protocol}\n  \
             connect_timeout: 5000\n  write_timeout: 30000\n  read_timeout: 30000\n  retries: 3\n"
        )
    };
    format!(
        "\n- name: {name}\n{json}  routes: [{{name: {name}, protocols: [http, https], \
         methods: [{methods}], paths: [\"{path}\"], strip_path: false, preserve_host: false}}]\n{plugins}\
         - name: {name}-grpc\n{grpc}  routes: [{{name: {name}-grpc, protocols: [grpc, grpcs], \
         paths: [{grpc_path}], preserve_host: false}}]\n{plugins}",
        json = upstream(PORT, "http"),
        grpc = upstream(GRPC_PORT, "grpc"),
    )
}

fn plugins(unit: &Unit, rpc: &Info) -> String {
    let mut text = "  plugins:\n".to_owned();
    if !rpc.access.anyone {
        text.push_str(
            "  - {name: jwt, config: {key_claim_name: kid, claims_to_verify: [exp], \
             run_on_preflight: false, uri_param_names: []}}\n",
        );
    }
    let (minute, hour) = (unit.settings.calls_per_minute, unit.settings.calls_per_hour);
    let _ = write!(
        text,
        "  - {{name: request-size-limiting, config: {{allowed_payload_size: 1, size_unit: megabytes}}}}\n  \
         - {{name: rate-limiting, config: {{minute: {minute}, hour: {hour}, policy: local, \
         limit_by: ip}}}}\n"
    );
    text
}

/// The methods of a route: HEAD for every GET (RFC 9110, section 9.3.2).
fn methods(method: &str) -> &[&str] {
    match method {
        "GET" => &["GET", "HEAD"],
        "POST" => &["POST"],
        "PUT" => &["PUT"],
        "PATCH" => &["PATCH"],
        "DELETE" => &["DELETE"],
        other => panic!("google.api.http has no {other}"),
    }
}

/// `/users/{id}` as a regular expression of Kong's, in a YAML string, which takes this path alone. `{*path}` at
/// the end is all that follows: the expression has no end then, because `.*` would leave lines out.
fn pattern(template: &str) -> String {
    let (template, end) = match template.split_once("{*") {
        Some((start, _)) => (start, ""),
        None => (template, "$"),
    };
    let segments = template.split('/').map(|segment| {
        let parameter = segment.strip_prefix('{');
        match parameter.and_then(|name| name.strip_suffix('}')) {
            Some(name) => format!("(?<{name}>[^/]+)"),
            None => segment.replace('.', r"\\."),
        }
    });
    format!("~{}{end}", segments.collect::<Vec<_>>().join("/"))
}

/// A template without the names of its parameters.
fn shape(template: &str) -> Vec<&str> {
    let segments = template.split('/');
    let names = segments.map(|segment| {
        if segment.starts_with('{') {
            "{}"
        } else {
            segment
        }
    });
    names.collect()
}

/// The service that answers a method that a path does not have: 405 with `Allow`, waking nothing. A
/// route without methods comes after all that name some. It also takes the preflights, which the cors
/// plugin answers first.
fn other_methods(functions: &[&Info]) -> String {
    // A path belongs to several functions: one for each of its methods. They may name its parameters
    // differently.
    let mut paths: Vec<(&str, Vec<&str>)> = Vec::new();
    let of_edge = EDGE_PATHS.iter().copied();
    let of_functions = functions.iter().map(|rpc| (rpc.http_method, rpc.http_path));
    for (method, template) in of_edge.chain(of_functions) {
        let methods = methods(method);
        match paths
            .iter_mut()
            .find(|(known, _)| shape(known) == shape(template))
        {
            Some((_, known)) => known.extend(methods),
            None => paths.push((template, methods.to_vec())),
        }
    }
    let mut groups: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for (template, mut methods) in paths {
        let path = pattern(template);
        methods.sort_by_key(|method| ORDER.iter().position(|known| known == method));
        match groups.iter_mut().find(|(known, _)| *known == methods) {
            Some((_, paths)) => paths.push(path),
            None => groups.push((methods, vec![path])),
        }
    }
    let mut text = "\n# A method that a path does not have: 405 with `Allow`, and nothing is woken. A \
                    route without methods\n# comes after all that name some. It also takes the preflights, \
                    which the cors plugin answers first.\n- name: method-not-allowed\n  host: \
                    method-not-allowed.invalid\n  plugins: [{name: request-termination, config: \
                    {status_code: 405}}]\n  routes:\n"
        .to_owned();
    for (methods, paths) in groups {
        let name = methods.join("-").to_lowercase();
        let allow = methods.join(", ");
        let paths: Vec<_> = paths.iter().map(|path| format!("\"{path}\"")).collect();
        let _ = writeln!(
            text,
            "  - {{name: only-{name}, paths: [{}], plugins: [{{name: response-transformer, config: \
             {{add: {{headers: [\"Allow:{allow}\", *nosniff, *no-store, *no-referrer, *csp]}}}}}}]}}",
            paths.join(", ")
        );
    }
    text
}
