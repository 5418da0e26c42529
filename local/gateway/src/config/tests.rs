use super::*;

/// A file with one service and one route; the rest is indented as in the file.
fn file(service: &str, route: &str) -> String {
    format!(
        "_format_version: \"3.0\"\n\
         services:\n\
         - name: s\n\
         \x20 host: s.example\n\
         {service}\
         \x20 routes:\n\
         \x20 - name: r\n\
         {route}"
    )
}

fn refusal(text: &str) -> String {
    Config::parse("kong.yml", text).expect_err(text).to_string()
}

#[test]
fn defaults_are_kongs() {
    let config = Config::parse("kong.yml", &file("", "    paths: [/a]\n")).unwrap();
    let [route] = config.routes() else {
        panic!("one route")
    };
    assert!(route.strip_path);
    assert!(!route.preserve_host);
    assert!(!route.grpc);
    let service = &route.service;
    assert_eq!((service.port, service.retries), (80, 5));
    assert_eq!(service.read_timeout, Duration::from_secs(60));
}

#[test]
fn refusals_name_the_place() {
    // What stands in the service, what in the route, and the refusal up to its reason.
    let cases = [
        (
            "  retrys: 3\n",
            "    paths: [/a]\n",
            "kong.yml:5:11: services[0].retrys: unknown field",
        ),
        (
            "  retries: 40000\n",
            "    paths: [/a]\n",
            "kong.yml:5:12: services[0].retries: value should be between 0 and 32767",
        ),
        (
            "  retries: many\n",
            "    paths: [/a]\n",
            "kong.yml:5:12: services[0].retries: invalid type: string \"many\"",
        ),
        (
            "  read_timeout: 0\n",
            "    paths: [/a]\n",
            "kong.yml:5:17: services[0].read_timeout: value should be between 1",
        ),
        (
            "  port: 70000\n",
            "    paths: [/a]\n",
            "kong.yml:5:9: services[0].port: invalid value",
        ),
        (
            "  protocol: https\n",
            "    paths: [/a]\n",
            "kong.yml:5:13: services[0].protocol: the local gateway speaks http and grpc",
        ),
        (
            "",
            "    paths: ['~/a(']\n",
            "kong.yml:7:13: services[0].routes[0].paths[0]: invalid regex",
        ),
        (
            "",
            "    paths:\n    - /a\n    - b\n",
            "kong.yml:9:7: services[0].routes[0].paths[1]: should start with: /",
        ),
        (
            "",
            "    paths: [/a]\n    strip_path: maybe\n",
            "kong.yml:8:17: services[0].routes[0].strip_path: invalid type: string \"maybe\"",
        ),
        (
            "",
            "    paths: [/a]\n    strip_path: yes\n",
            "kong.yml:8:17: services[0].routes[0].strip_path: invalid type: string \"yes\"",
        ),
        (
            "",
            "    methods: [get]\n",
            "kong.yml:7:15: services[0].routes[0].methods[0]: invalid value: get",
        ),
        (
            "",
            "    strip_path: false\n",
            "kong.yml:6:5: services[0].routes[0]: must set one of",
        ),
        (
            "",
            "    paths: [/a]\n    protocols: [http, grpc]\n",
            "kong.yml:8:5: services[0].routes[0].protocols: must be subset of one of",
        ),
        (
            "",
            "    paths: [/a]\n    protocols: [https]\n",
            "kong.yml:8:5: services[0].routes[0].protocols: the local gateway has no TLS",
        ),
        (
            "",
            "    paths: [/a]\n    protocols: [grpc]\n",
            "kong.yml:8:5: services[0].routes[0].protocols: a gRPC route needs a service",
        ),
        (
            "",
            "    paths: [/a]\n  - name: r\n    paths: [/b]\n",
            "kong.yml:8:11: services[0].routes[1].name: another route is called \"r\"",
        ),
        (
            "",
            "    paths: [/a]\n- name: s\n  host: t\n",
            "kong.yml:8:9: services[1].name: another service is called \"s\"",
        ),
        (
            "",
            "    paths: [/a]\n- name: t\n",
            "kong.yml:8:3: services[1]: missing field `host`",
        ),
        ("", "    paths: [/a]\n    paths: [/b]\n", "kong.yml:8:5: "),
        (
            "",
            "    paths: [/a]\n    plugins:\n    - name: acl\n",
            "kong.yml:9:13: services[0].routes[0].plugins[0].name: the local gateway has no plugin \
             \"acl\"",
        ),
        (
            "",
            "    paths: [/a]\n    plugins:\n    - name: jwt\n      config:\n        \
             secret_is_base64: true\n",
            "kong.yml:11:27: services[0].routes[0].plugins[0].config.secret_is_base64: unknown \
             field",
        ),
        (
            "  plugins: [{name: rate-limiting, config: {minute: 5, hour: 4}}]\n",
            "    paths: [/a]\n",
            "kong.yml:5:61: services[0].plugins[0].config.hour: The limit for hour(4) cannot be \
             lower",
        ),
        (
            "  plugins: [{name: rate-limiting, config: {minute: 5, policy: redis}}]\n",
            "    paths: [/a]\n",
            "kong.yml:5:63: services[0].plugins[0].config.policy: unknown variant `redis`",
        ),
        (
            "  plugins: [{name: cors}, {name: cors}]\n",
            "    paths: [/a]\n",
            "kong.yml:5:34: services[0].plugins[1].name: \"cors\" is configured twice",
        ),
        ("  - broken\n", "    paths: [/a]\n", "kong.yml:5:"),
    ];
    let wrong: Vec<String> = cases
        .into_iter()
        .map(|(service, route, expected)| (expected, refusal(&file(service, route))))
        .filter(|(expected, got)| !got.starts_with(expected))
        .map(|(expected, got)| format!("expected {expected}\n     got {got}\n"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.concat());
}

#[test]
fn the_top_is_checked_too() {
    let cases = [
        (
            "_format_version: \"2.1\"\n",
            "k.yml:1:18: _format_version: expected \"3.0\"",
        ),
        (
            "services: []\n",
            "k.yml:1:1: missing field `_format_version`",
        ),
        (
            "_format_version: \"3.0\"\nupstreams: []\n",
            "k.yml:2:1: upstreams: unknown field",
        ),
        (
            "_format_version: \"3.0\"\n_transform: false\n",
            "k.yml:2:13: _transform: only true",
        ),
        (
            "_format_version: \"3.0\"\n_ignore: [&a {b: 1}]\nplugins: [{<<: *a, name: jwt}]\n",
            "k.yml:3:",
        ),
    ];
    for (text, expected) in cases {
        let got = Config::parse("k.yml", text).expect_err(text).to_string();
        assert!(
            got.starts_with(expected),
            "expected {expected}\n     got {got}"
        );
    }
}

#[test]
fn an_anchored_value_is_reported_where_it_stands() {
    let text = file(
        "  plugins:\n  - name: cors\n    config: &config {max_age: soon}\n",
        "    paths: [/a]\n    plugins: [{name: cors, config: *config}]\n",
    );
    assert!(
        refusal(&text).starts_with("kong.yml:7:31: "),
        "{}",
        refusal(&text)
    );
}

#[test]
fn of_one_plugin_the_most_specific_runs() {
    let text = "_format_version: \"3.0\"\n\
        plugins:\n\
        - {name: rate-limiting, config: {minute: 1}}\n\
        - {name: prometheus}\n\
        services:\n\
        - name: plain\n  host: h\n  routes: [{name: a, paths: [/a]}, {name: b, paths: [/b]}]\n\
        - name: own\n  host: h\n  plugins: [{name: rate-limiting, config: {minute: 2}}]\n\
        \x20 routes:\n\
        \x20 - {name: c, paths: [/c]}\n\
        \x20 - {name: d, paths: [/d], plugins: [{name: rate-limiting, config: {minute: 3}}]}\n\
        \x20 - {name: e, paths: [/e], plugins: [{name: rate-limiting, enabled: false, config: \
        {minute: 4}}]}\n\
        - {name: off, host: h, enabled: false, routes: [{name: f, paths: [/f]}]}\n";
    let config = Config::parse("kong.yml", text).unwrap();
    let names: Vec<&str> = config
        .routes()
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    let limits: Vec<_> = config
        .routes()
        .iter()
        .map(|route| route.plugins.rate_limiting.as_ref().unwrap())
        .collect();
    assert!(
        Arc::ptr_eq(limits[0], limits[1]),
        "a global instance counts for all routes"
    );
    assert!(!Arc::ptr_eq(limits[1], limits[2]));
    assert!(!Arc::ptr_eq(limits[2], limits[3]));
    assert!(
        Arc::ptr_eq(limits[2], limits[4]),
        "what is not enabled hides nothing"
    );
    assert!(
        config
            .routes()
            .iter()
            .all(|route| route.plugins.prometheus.is_some())
    );
}

const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    -----END PUBLIC KEY-----\n";

fn fragment(key: &str, algorithm: &str, pem: &str) -> String {
    let pem = pem.replace('\n', "\\n");
    format!(
        "_format_version: \"3.0\"\nconsumers:\n- username: zerocart-users\n  jwt_secrets:\n  \
         - {{key: {key}, algorithm: {algorithm}, rsa_public_key: \"{pem}\"}}\n"
    )
}

#[test]
fn consumers_are_merged_from_a_fragment() {
    let one = Consumers::parse("c.yml", &fragment("k1", "EdDSA", PEM)).unwrap();
    let key = |name: &str| JwtKey {
        key: name.to_owned(),
        rsa_public_key: PEM.to_owned(),
    };
    let other = Consumers::one("others", [key("k2"), key("k3")]).unwrap();
    let merged = one.clone().merge(other);
    let mut keys: Vec<_> = merged.credentials().unwrap().by_key.into_keys().collect();
    keys.sort();
    assert_eq!(keys, ["k1", "k2", "k3"]);

    let clash = Consumers::one("others", [key("k1")]).unwrap();
    let clash = one.clone().merge(clash).credentials().unwrap_err();
    assert_eq!(clash, ConsumersError::DuplicateKey("k1".to_owned()));
    let clash = one.clone().merge(one).credentials().unwrap_err();
    assert_eq!(
        clash,
        ConsumersError::DuplicateUsername("zerocart-users".to_owned())
    );
    let bad = JwtKey {
        key: "k".to_owned(),
        rsa_public_key: "junk".to_owned(),
    };
    assert_eq!(
        Consumers::one("c", [bad]).unwrap_err(),
        ConsumersError::PublicKey("k".to_owned())
    );
}

#[test]
fn consumers_are_checked() {
    let cases = [
        (
            fragment("k1", "RS256", PEM),
            "c.yml:5:26: consumers[0].jwt_secrets[0].algorithm: ",
        ),
        (
            fragment("k1", "EdDSA", "junk"),
            "c.yml:5:49: consumers[0].jwt_secrets[0].rsa_public_key: expected an Ed25519",
        ),
        (
            "_format_version: \"3.0\"\nplugins: [{name: cors}]\n".to_owned(),
            "c.yml:2:1: plugins: a file of consumers holds nothing else",
        ),
    ];
    for (text, expected) in cases {
        let got = Consumers::parse("c.yml", &text).unwrap_err().to_string();
        assert!(
            got.starts_with(expected),
            "expected {expected}\n     got {got}"
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load("/nowhere/kong.yml".as_ref()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/kong.yml:0:0: cannot be read: "),
        "{error}"
    );
}

#[test]
fn a_deployment_gives_routes_plugins() {
    let load = || {
        let text = file(
            "  plugins: [{name: rate-limiting, config: {minute: 5}}]\n",
            "    paths: [/a]\n",
        );
        Config::parse("kong.yml", &text).unwrap()
    };
    let fragment = |plugins: &str| format!("_format_version: \"3.0\"\nplugins:\n{plugins}");
    let name = load().routes()[0].name.clone();
    let good = fragment(&format!(
        "- {{name: request-termination, route: {name}, config: {{status_code: 200, body: a}}}}\n"
    ));
    let config = load().with_plugins("p.yml", &good).unwrap();
    let plugins = &config.routes()[0].plugins;
    assert!(plugins.request_termination.is_some() && plugins.rate_limiting.is_some());

    for (text, expected) in [
        (
            fragment("- {name: cors, route: nowhere}\n"),
            "p.yml:3:23: plugins[0].route: no route is called \"nowhere\"",
        ),
        (
            fragment(&format!("- {{name: cors, route: {name}}}\n").repeat(2)),
            "p.yml:4:10: plugins[1].name: \"cors\" is configured twice",
        ),
        (
            fragment("- {name: cors}\n"),
            "p.yml:3:3: plugins[0]: a file of plugins says of each",
        ),
        (
            "_format_version: \"3.0\"\nservices: [{name: a, host: h}]\n".to_owned(),
            "p.yml:2:1: services: a file of plugins holds nothing else",
        ),
    ] {
        let got = load().with_plugins("p.yml", &text).unwrap_err().to_string();
        assert!(
            got.starts_with(expected),
            "expected {expected}\n     got {got}"
        );
    }
}

#[test]
fn a_plugin_inside_is_for_what_it_stands_in() {
    let text = file("  plugins: [{name: cors, route: a}]\n", "    paths: [/a]\n");
    let got = refusal(&text);
    assert!(
        got.starts_with("kong.yml:5:33: services[0].plugins[0].route: "),
        "{got}"
    );
}
