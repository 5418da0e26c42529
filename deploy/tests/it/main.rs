//! What the generator makes of declarations and settings.

#![expect(
    clippy::unwrap_used,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod consul;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use zerocart_deploy::{Output, Sources, render};
use zerocart_proto::rpc::{
    AddToCart, AuthenticateUser, CreateOrder, CreateUser, GetProduct, Info, JobInfo, ListFunctions,
    Rpc, UpdateInventory,
};

const FUNCTIONS: [Info; 6] = [
    CreateUser::INFO,
    AuthenticateUser::INFO,
    GetProduct::INFO,
    UpdateInventory::INFO,
    AddToCart::INFO,
    CreateOrder::INFO,
];

const JOBS: [JobInfo; 1] = [JobInfo {
    name: "sweep-users",
    domain: "user",
    timeout_ms: 50_000,
    calls: &["update-inventory"],
}];

const SETTINGS: &str = "[sweep-users]\nschedule = \"* * * * *\"\n";

const USER: &str = "functions/user/functions.toml";

const EDGE: &str = "\
_format_version: \"3.0\"
plugins:
- name: cors
  config:
    origins: [\"https://shop.example\"]
    methods: [GET]
    headers: [Authorization]
    exposed_headers: [Location]
    credentials: true
    max_age: 300
services: []
";

fn made(functions: &[Info], settings: &str) -> BTreeMap<(String, Option<String>), String> {
    let settings = [(USER.to_owned(), settings.to_owned())];
    let outputs = render(&Sources {
        functions,
        jobs: &JOBS,
        services: &[("mirror", "mirror/functions.toml")],
        settings: &settings,
        edge: EDGE,
        version: "1.2.3",
    });
    let outputs = outputs.expect("the settings are right").into_iter();
    outputs
        .map(|Output { path, region, text }| ((path, region), text))
        .collect()
}

/// The paths that differ.
fn differing(functions: &[Info], settings: &str) -> Vec<String> {
    let (before, after) = (made(&FUNCTIONS, SETTINGS), made(functions, settings));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = keys
        .into_iter()
        .filter(|key| before.get(key) != after.get(key));
    changed.map(|(path, _)| path.clone()).collect()
}

fn file(path: &str) -> String {
    made(&FUNCTIONS, SETTINGS)
        .remove(&(path.to_owned(), None))
        .unwrap_or_else(|| panic!("{path} is not made"))
}

/// The Kubernetes Secrets of a manifest.
fn secrets(path: &str) -> Vec<String> {
    let text = file(path);
    let names = text.split("secretRef:").skip(1);
    let name = |text: &str| {
        text.split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    names.map(name).collect()
}

#[test]
fn each_gets_the_secrets_that_it_needs_and_no_others() {
    for (name, wanted) in [
        ("create-user", &["zerocart-auth", "zerocart-user"][..]),
        (
            "authenticate-user",
            &["zerocart-auth", "zerocart-user", "zerocart-signing"],
        ),
        ("add-to-cart", &["zerocart-auth", "zerocart-cart"]),
        (
            "create-order",
            &[
                "zerocart-auth",
                "zerocart-order",
                "zerocart-service-signing",
            ],
        ),
    ] {
        assert_eq!(
            secrets(&format!("knative/services/{name}.yaml")),
            wanted,
            "{name}"
        );
    }
    // Nobody calls a job: it has no tokens to check.
    let job = ["zerocart-user", "zerocart-service-signing"];
    assert_eq!(secrets("knative/jobs/sweep-users.yaml"), job);
    // A service of the edge belongs to no domain.
    assert_eq!(secrets("knative/edge/mirror.yaml"), [""; 0]);
}

#[test]
fn only_callers_are_told_where_functions_are() {
    let told = |name: &str| {
        file(&format!("knative/services/{name}.yaml")).contains("FUNCTION_URL_TEMPLATE")
    };
    assert!(told("add-to-cart") && told("create-order"));
    assert!(!told("create-user") && !told("get-product"));
}

#[test]
fn what_reads_the_fleet_has_an_account_and_is_not_on_lambda() {
    let functions: Vec<_> = FUNCTIONS.into_iter().chain([ListFunctions::INFO]).collect();
    let made = made(&functions, SETTINGS);
    let text = |path: &str| &made[&(path.to_owned(), None)];
    let account = "serviceAccountName: zerocart-fleet\n";
    let without = "automountServiceAccountToken: false\n";
    let source = "- name: FLEET_SOURCE\n              value: kubernetes\n";
    for function in &functions {
        let manifest = text(&format!("knative/services/{}.yaml", function.name));
        let reads = function.name == "list-functions";
        assert_eq!(manifest.contains(account), reads, "{}", function.name);
        assert_eq!(manifest.contains(without), !reads, "{}", function.name);
        assert_eq!(manifest.contains(source), reads, "{}", function.name);
        // Each has the list of void tokens of its domain.
        let database = format!("name: zerocart-{}\n", function.domain);
        assert!(manifest.contains(&database), "{}", function.name);
    }
    // The account lists and does nothing else.
    let policy = include_str!("../../../knative/policies/fleet.yaml");
    let verbs: Vec<_> = policy
        .lines()
        .filter(|line| line.contains("verbs:"))
        .collect();
    assert_eq!(verbs, ["    verbs: [list]"; 3]);
    let before = self::made(&FUNCTIONS, SETTINGS);
    for path in ["lambda/template.json", "observability/lambda.yaml"] {
        assert_eq!(*text(path), before[&(path.to_owned(), None)], "{path}");
    }
    let of_crate = |(path, _): &&(String, Option<String>)| path == "functions/ops/Cargo.toml";
    let regions = made
        .keys()
        .filter(of_crate)
        .map(|(_, region)| region.as_deref());
    assert_eq!(regions.collect::<Vec<_>>(), [Some("programs")]);
}

#[test]
fn kong_asks_for_a_token_unless_anyone_may_call() {
    let kong = file("kong/kong.yml");
    let service = |name: &str| {
        let begin = kong.find(&format!("- name: {name}\n")).expect(name);
        let rest = &kong[begin..];
        rest[..rest[1..]
            .find("\n- name:")
            .map_or(rest.len(), |end| end + 1)]
            .to_owned()
    };
    for name in ["create-user", "create-user-grpc", "get-product"] {
        assert!(!service(name).contains("jwt"), "{name}");
    }
    for name in ["add-to-cart", "add-to-cart-grpc", "update-inventory"] {
        assert!(service(name).contains("jwt"), "{name}");
    }
    assert!(service("add-to-cart").contains(r#"paths: ["~/carts/(?<user_id>[^/]+)/items$"]"#));
    assert!(service("add-to-cart-grpc").contains("paths: [/cart.CartService/AddToCart]"));
}

#[test]
fn a_setting_changes_the_files_of_its_function_alone() {
    let scaled = format!("{SETTINGS}[create-user]\nmax-scale = 7\n");
    assert_eq!(
        differing(&FUNCTIONS, &scaled),
        [
            "deploy/cluster/files/postgres.yaml",
            "knative/overlays/production-consul/kustomization.yaml",
            "knative/overlays/production/quota.yaml",
            "knative/services/create-user.yaml",
            "registry/src/lib.rs",
        ]
    );
    let limited = format!("{SETTINGS}[create-user]\ncalls-per-minute = 7\n");
    assert_eq!(differing(&FUNCTIONS, &limited), ["kong/kong.yml"]);
    let larger = format!("{SETTINGS}[create-user]\nlambda-memory-mb = 256\n");
    assert_eq!(
        differing(&FUNCTIONS, &larger),
        ["functions/user/Cargo.toml"]
    );
}

#[test]
fn quotas_and_max_connections_have_room_for_the_fleet() {
    // 6 functions and a service of the edge with a max-scale of 3, each in two revisions; a job.
    for (overlay, hard) in [
        ("kind", ["\"15\"".to_owned(), "725m".into(), "576Mi".into()]),
        (
            "production",
            ["\"43\"".to_owned(), "2125m".into(), "1696Mi".into()],
        ),
    ] {
        let quota = file(&format!("knative/overlays/{overlay}/quota.yaml"));
        let [pods, cpu, memory] = hard;
        for line in [
            format!("    pods: {pods}\n"),
            format!("    requests.cpu: {cpu}\n"),
            format!("    requests.memory: {memory}\n"),
        ] {
            assert!(quota.contains(&line), "{line}: {quota}");
        }
    }
    // 2 revisions of 6 functions × 3 instances × 2 sessions, 2 of the job, 10 others, 3 reserved.
    let region = Some("max_connections".to_owned());
    let key = ("deploy/cluster/files/postgres.yaml".to_owned(), region);
    let argument = &made(&FUNCTIONS, SETTINGS)[&key];
    assert!(argument.contains("- --max_connections=87\n"), "{argument}");
}

#[test]
fn no_kustomization_holds_the_namespace() {
    for folder in ["", "overlays/kind/", "overlays/production/"] {
        let text = file(&format!("knative/{folder}kustomization.yaml"));
        assert!(text.contains("services\n") && text.contains("jobs\n") && text.contains("edge\n"));
        assert!(!text.contains("namespace.yaml"), "{text}");
    }
}

#[test]
fn what_watches_cold_starts_only_reads_and_reads_no_secret() {
    let text = file("knative/observability/coldstart.yaml");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let role = documents.iter().find(|document| document["kind"] == "Role");
    let rules = role.unwrap()["rules"].as_array().unwrap().iter();
    let texts = |value: &Value| -> Vec<String> {
        let texts = value.as_array().unwrap().iter();
        texts
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    let (mut resources, mut verbs) = (BTreeSet::new(), BTreeSet::new());
    for rule in rules {
        resources.extend(texts(&rule["resources"]));
        verbs.extend(texts(&rule["verbs"]));
    }
    let expected = ["deployments", "events", "pods", "pods/log"].map(str::to_owned);
    assert_eq!(resources, expected.into());
    assert_eq!(verbs, ["get", "list", "watch"].map(str::to_owned).into());
    // No right beyond the namespace of the functions.
    assert!(!text.contains("ClusterRole"), "{text}");
    assert!(
        text.contains("image: dev.local/zerocart/zerocart:1.2.3"),
        "{text}"
    );
}

#[test]
fn a_call_in_proto_changes_the_files_of_its_caller_alone() {
    let mut functions = FUNCTIONS;
    functions[2].calls = &["update-inventory"];
    let mut changed = differing(&functions, SETTINGS);
    // Of those of Consul, the intention of the function that is called changes, too: see there.
    changed.retain(|path| !path.contains("consul"));
    assert_eq!(
        changed,
        [
            "functions/product/Cargo.toml",
            "knative/services/get-product.yaml"
        ]
    );
}

#[test]
fn a_new_function_is_named_wherever_functions_are() {
    let paths = differing(&FUNCTIONS[1..], SETTINGS);
    for path in [
        "README.md",
        "deploy/cluster/files/postgres.yaml",
        "functions/user/Cargo.toml",
        "functions/user/src/bin/create-user.rs",
        "functions/user/src/lib.rs",
        "knative/overlays/kind-consul/kustomization.yaml",
        "knative/overlays/kind/quota.yaml",
        "knative/overlays/production-consul/kustomization.yaml",
        "knative/overlays/production/quota.yaml",
        "knative/services/create-user.yaml",
        "knative/services/kustomization.yaml",
        "kong/kong.yml",
        "lambda/template.json",
        "observability/lambda.yaml",
    ] {
        assert!(
            paths.iter().any(|changed| changed == path),
            "{path}: {paths:?}"
        );
    }
    // Two of them are regions of the crate's manifest.
    assert_eq!(paths.len(), 16, "{paths:?}");
}

#[test]
fn the_template_has_what_functions_need_beside_them() {
    let template: Value = serde_json::from_str(&file("lambda/template.json")).unwrap();
    let resources = template["Resources"].as_object().unwrap();
    let of_kind = |kind: &str| {
        let of_kind = resources.values().filter(|r| r["Type"] == kind);
        of_kind.count()
    };
    // By REST and by gRPC; and one for the other methods of each path.
    let paths: BTreeSet<_> = FUNCTIONS.iter().map(|info| info.http_path).collect();
    let routes = 2 * FUNCTIONS.len() + paths.len();
    assert_eq!(of_kind("AWS::ApiGatewayV2::Route"), routes);
    assert_eq!(of_kind("AWS::ApiGatewayV2::Integration"), FUNCTIONS.len());
    assert_eq!(of_kind("AWS::Events::Rule"), JOBS.len());
    let property = |resource: &str, name: &str| resources[resource]["Properties"][name].clone();
    assert_eq!(property("GetProductUrl", "AuthType"), "AWS_IAM");
    let route = property("GetProductRestRoute", "RouteKey");
    assert_eq!(route, "GET /products/{id}");
    let route = property("GetProductOtherRoute", "RouteKey");
    assert_eq!(route, "ANY /products/{id}");
    assert!(!resources.contains_key("SweepUsersRestRoute"));
    let urls = &property("FunctionUrls", "SecretString")["Fn::Sub"];
    let urls: Value = serde_json::from_str(urls.as_str().unwrap()).unwrap();
    assert_eq!(urls["get-product"], "${GetProductUrl.FunctionUrl}");
    let cors = property("Edge", "CorsConfiguration");
    assert_eq!(cors["AllowOrigins"], json!(["https://shop.example"]));
}

#[test]
fn an_edge_without_cors_is_told() {
    let wrong = render(&Sources {
        functions: &FUNCTIONS,
        jobs: &JOBS,
        services: &[],
        settings: &[(USER.to_owned(), SETTINGS.to_owned())],
        edge: "plugins: []\n",
        version: "1.2.3",
    });
    let wrong = wrong.unwrap_err();
    assert_eq!(
        wrong[0].to_string(),
        "kong/edge.yml: there is no plugin cors"
    );
}
