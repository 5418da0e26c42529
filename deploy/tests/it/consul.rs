//! What the generator makes for Consul: who may call whom, and the sidecars of those who call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use zerocart_deploy::{Output, Sources, render};
use zerocart_proto::rpc::{self, Info, JobInfo};

use crate::{FUNCTIONS, SETTINGS, differing, file, made, schema};

/// Everything that is made of the real declarations.
fn project() -> BTreeMap<String, String> {
    let domains: BTreeSet<_> = rpc::JOBS.iter().map(|job| job.domain).collect();
    let settings: Vec<_> = domains
        .into_iter()
        .map(|domain| {
            let jobs = rpc::JOBS.iter().filter(|job| job.domain == domain);
            let tables = jobs.map(|job| format!("[{}]\nschedule = \"* * * * *\"\n", job.name));
            (
                zerocart_deploy::settings::file_of(domain),
                tables.collect::<String>(),
            )
        })
        .collect();
    let outputs = render(&Sources {
        functions: rpc::ALL,
        jobs: rpc::JOBS,
        services: &[],
        settings: &settings,
        edge: crate::EDGE,
        version: "1.2.3",
    });
    let outputs = outputs.expect("the settings are right").into_iter();
    outputs
        .filter(|output| output.region.is_none())
        .map(|Output { path, text, .. }| (path, text))
        .collect()
}

fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("it is YAML");
    documents.into_iter().filter(Value::is_object).collect()
}

fn of_kind(text: &str, kind: &str) -> Value {
    let mut documents = documents(text).into_iter();
    documents
        .find(|document| document["kind"] == kind)
        .unwrap_or_else(|| panic!("no {kind} in {text}"))
}

/// The sources of an intention, by name.
fn sources(text: &str) -> BTreeMap<String, Value> {
    let intentions = of_kind(text, "ServiceIntentions");
    let sources = intentions["spec"]["sources"].as_array().unwrap().iter();
    let named = sources.map(|source| (source["name"].as_str().unwrap().to_owned(), source.clone()));
    named.collect()
}

fn callers() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let functions = rpc::ALL
        .iter()
        .map(|Info { name, calls, .. }| (*name, *calls));
    let jobs = rpc::JOBS
        .iter()
        .map(|JobInfo { name, calls, .. }| (*name, *calls));
    functions.chain(jobs).filter(|(_, calls)| !calls.is_empty())
}

#[test]
fn every_document_is_what_consuls_custom_resources_take() {
    let mut read = 0;
    let mesh = include_str!("../../../consul/mesh.yaml").to_owned();
    let by_hand = ("consul/mesh.yaml".to_owned(), mesh);
    for (path, text) in project().into_iter().chain([by_hand]) {
        if path.starts_with("consul/") && !path.ends_with("kustomization.yaml") {
            for document in documents(&text) {
                schema::check(&document).unwrap_or_else(|error| panic!("{path}: {error}"));
                read += 1;
            }
        }
    }
    assert!(read > 50, "{read}");
}

#[test]
fn each_declared_call_is_allowed_and_nothing_else() {
    let project = project();
    let mut allowed = BTreeSet::new();
    for function in rpc::ALL {
        let Some(text) = project.get(&format!("consul/services/{}.yaml", function.name)) else {
            continue;
        };
        let mut sources = sources(text);
        let rest = sources.remove("*").expect("a last word about all others");
        assert_eq!(rest, json!({"name": "*", "action": "deny"}));
        for (caller, source) in sources {
            assert_eq!(
                source["permissions"],
                json!([
                    {"action": "allow", "http": {"pathExact": function.grpc_path, "methods": ["POST"]}},
                    {"action": "allow", "http": {"pathExact": "/health", "methods": ["GET"]}},
                    {"action": "deny", "http": {"pathPrefix": "/"}},
                ])
            );
            allowed.insert((caller, function.name));
        }
    }
    let declared: BTreeSet<_> = callers()
        .flat_map(|(caller, calls)| calls.iter().map(move |call| (caller.to_owned(), *call)))
        .collect();
    assert_eq!(allowed, declared);
}

#[test]
fn the_gateway_has_each_function_that_is_called() {
    let project = project();
    let called: BTreeSet<_> = callers().flat_map(|(_, calls)| calls).copied().collect();
    let gateway = of_kind(&project["consul/gateway.yaml"], "TerminatingGateway");
    let services = gateway["spec"]["services"].as_array().unwrap();
    let names: BTreeSet<_> = services
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, called);
    for name in called {
        let text = &project[&format!("consul/services/{name}.yaml")];
        let service = &of_kind(text, "Registration")["spec"]["service"];
        assert_eq!(
            service["address"],
            format!("{name}.zerocart.svc.cluster.local")
        );
    }
}

#[test]
fn a_new_call_changes_one_intention_by_one_source() {
    let mut functions = FUNCTIONS;
    // It calls get-product already.
    functions[4].calls = &["get-product", "update-inventory"];
    let changed = differing(&functions, SETTINGS);
    let of_consul: Vec<_> = changed
        .iter()
        .filter(|path| path.contains("consul"))
        .collect();
    assert_eq!(
        of_consul,
        [
            "consul/services/update-inventory.yaml",
            "knative/consul/patches/add-to-cart.yaml"
        ]
    );
    let path = "consul/services/update-inventory.yaml";
    let (before, mut after) = (
        file(path),
        made(&functions, SETTINGS)
            .remove(&(path.to_owned(), None))
            .unwrap(),
    );
    let mut sources_after = sources(&after);
    let added = sources_after.remove("add-to-cart").expect("it is added");
    assert_eq!(
        added["permissions"][0]["http"]["pathExact"],
        functions[3].grpc_path
    );
    assert_eq!(sources_after, sources(&before));
    // And nothing but the intention.
    let end = |text: &str| text.find("kind: ServiceIntentions").unwrap();
    after.truncate(end(&after));
    assert_eq!(after, before[..end(&before)]);
}

#[test]
fn a_first_call_also_makes_a_caller() {
    let mut functions = FUNCTIONS;
    functions[0].calls = &["update-inventory"];
    let changed = differing(&functions, SETTINGS);
    let of_consul: Vec<_> = changed
        .iter()
        .filter(|path| path.contains("consul"))
        .collect();
    assert_eq!(
        of_consul,
        [
            "consul/callers/create-user.yaml",
            "consul/kustomization.yaml",
            "consul/services/update-inventory.yaml",
            "consul/values.yaml",
            "knative/consul/identities/create-user.yaml",
            "knative/consul/kustomization.yaml",
            "knative/consul/patches/create-user.yaml",
            "knative/overlays/kind-consul/kustomization.yaml",
            "knative/overlays/production-consul/kustomization.yaml",
        ]
    );
}

#[test]
fn a_function_that_is_called_and_calls_is_known_by_two_names() {
    let mut functions = FUNCTIONS;
    // add-to-cart calls it.
    functions[2].calls = &["update-inventory"];
    let made = made(&functions, SETTINGS);
    let text = |path: &str| &made[&(path.to_owned(), None)];
    let sources = sources(text("consul/services/update-inventory.yaml"));
    assert!(sources.contains_key("get-product-caller"), "{sources:?}");
    let account = of_kind(
        text("knative/consul/identities/get-product.yaml"),
        "ServiceAccount",
    );
    assert_eq!(account["metadata"]["name"], "get-product-caller");
    let service = of_kind(text("consul/services/get-product.yaml"), "Registration");
    assert_eq!(service["spec"]["service"]["name"], "get-product");
}

/// Applies a JSON patch (RFC 6902): the operations that the patches have.
fn apply(target: &mut Value, patch: &Value) {
    for operation in patch.as_array().unwrap() {
        let path = operation["path"].as_str().unwrap();
        let value = operation["value"].clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/").replace("~0", "~");
        let missing = || panic!("{parent} is not there");
        match operation["op"].as_str().unwrap() {
            "test" => assert_eq!(target.pointer(path), Some(&value), "{path}"),
            "replace" => *target.pointer_mut(path).unwrap_or_else(missing) = value,
            "remove" => {
                let fields = target.pointer_mut(parent).unwrap_or_else(missing);
                assert!(
                    fields.as_object_mut().unwrap().remove(&key).is_some(),
                    "{path}"
                );
            }
            "add" => match target.pointer_mut(parent).unwrap_or_else(missing) {
                Value::Array(list) if key == "-" => list.push(value),
                Value::Object(fields) => drop(fields.insert(key, value)),
                other => panic!("{other} has no {key}"),
            },
            other => panic!("{other} is not used"),
        }
    }
}

#[test]
fn each_caller_gets_a_sidecar_that_leads_to_what_it_calls() {
    let project = project();
    for (name, calls) in callers() {
        let is_job = rpc::JOBS.iter().any(|job| job.name == name);
        let (folder, template) = match is_job {
            true => ("jobs", "/spec/jobTemplate/spec/template"),
            false => ("services", "/spec/template"),
        };
        let mut manifest = documents(&project[&format!("knative/{folder}/{name}.yaml")]).remove(0);
        // The overlay adds labels to each pod before the component is applied.
        manifest.pointer_mut(template).unwrap()["metadata"]["labels"] = json!({});
        let patch: Value =
            serde_saphyr::from_str(&project[&format!("knative/consul/patches/{name}.yaml")])
                .unwrap();
        apply(&mut manifest, &patch);

        let identities = &project[&format!("knative/consul/identities/{name}.yaml")];
        let account = of_kind(identities, "ServiceAccount")["metadata"]["name"].clone();
        let service = of_kind(identities, "Service");
        let pod = manifest.pointer(template).unwrap();
        let annotation = |name: &str| {
            let value = &pod["metadata"]["annotations"][format!("consul.hashicorp.com/{name}")];
            value
                .as_str()
                .unwrap_or_else(|| panic!("{name}"))
                .to_owned()
        };
        // Consul's login takes the account for the service, and refuses any other name.
        assert_eq!(annotation("connect-service"), account);
        assert_eq!(pod["spec"]["serviceAccountName"], account);
        // Kubernetes mounts the token then. Knative refuses the field with any value but false.
        assert_eq!(pod["spec"].get("automountServiceAccountToken"), None);
        assert_eq!(
            annotation("kubernetes-service"),
            service["metadata"]["name"].as_str().unwrap()
        );
        for (label, value) in service["spec"]["selector"].as_object().unwrap() {
            match is_job {
                true => assert_eq!(&pod["metadata"]["labels"][label], value),
                // Knative's own label, with the name of the function.
                false => assert_eq!(
                    (label.as_str(), value),
                    ("serving.knative.dev/service", &json!(name))
                ),
            }
        }
        assert_eq!(pod["metadata"]["labels"]["zerocart/mesh"], "caller");
        // Kubernetes itself must end the sidecar of a job.
        let native = annotation("enable-consul-dataplane-as-sidecar");
        assert_eq!(native, is_job.to_string());

        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
        let variable = |name: &str| {
            let mut found = env.iter().filter(|one| one["name"] == name);
            found
                .next()
                .map(|one| one["value"].as_str().unwrap().to_owned())
        };
        assert_eq!(variable("FUNCTION_URL_TEMPLATE"), None);
        assert_eq!(variable("FUNCTION_SIDECAR").as_deref(), Some("true"));
        let urls: BTreeMap<String, String> =
            serde_json::from_str(&variable("FUNCTION_URLS").unwrap()).unwrap();
        let upstreams = annotation("connect-service-upstreams");
        let upstreams = upstreams.split(',').map(|one| one.split_once(':').unwrap());
        let upstreams: BTreeMap<_, _> = upstreams
            .map(|(name, port)| (name.to_owned(), format!("http://127.0.0.1:{port}")))
            .collect();
        assert_eq!(urls, upstreams);
        assert_eq!(
            urls.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            calls.iter().copied().collect()
        );
        let ports: BTreeSet<_> = urls.values().collect();
        assert_eq!(ports.len(), calls.len(), "{urls:?}");
    }
}

#[test]
fn without_it_nothing_of_consul_is_in_any_manifest() {
    for (path, text) in project() {
        let of_it = path.contains("consul");
        if path.starts_with("knative/") && !of_it {
            assert!(!text.contains("consul") && !text.contains("mesh"), "{path}");
        }
    }
}

#[test]
fn proxies_wait_longer_than_callers_and_not_as_long_as_knative() {
    // `responseStartTimeoutSeconds` of what is called.
    let knative_s = 20;
    let project = project();
    for function in rpc::ALL {
        let Some(text) = project.get(&format!("consul/services/{}.yaml", function.name)) else {
            continue;
        };
        let resolver = of_kind(text, "ServiceResolver");
        let limit = resolver["spec"]["requestTimeout"].as_str().unwrap();
        let limit: u32 = limit.strip_suffix('s').unwrap().parse().unwrap();
        assert!(limit * 1000 > function.timeout_ms, "{}", function.name);
        assert!(limit < knative_s, "{}", function.name);
    }
}

#[test]
fn only_callers_have_an_identity() {
    let key = ("consul/values.yaml".to_owned(), Some("callers".to_owned()));
    let text = &made(&FUNCTIONS, SETTINGS)[&key];
    let expected = "serviceaccount.name matches \"^(add-to-cart|create-order|sweep-users)$\"'";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn consul_looks_at_callers_and_at_its_own_gateway() {
    let values: Value =
        serde_saphyr::from_str(include_str!("../../../consul/values.yaml")).unwrap();
    // It registers the pods of no other namespace, not even those of its own chart.
    assert_eq!(
        values["connectInject"]["k8sAllowNamespaces"],
        json!([
            zerocart_deploy::NAMESPACE,
            zerocart_deploy::consul::CONSUL_NAMESPACE
        ])
    );
    assert_eq!(values["connectInject"]["default"], false);
    assert_eq!(values["global"]["acls"]["manageSystemACLs"], true);
    assert_eq!(values["global"]["tls"]["httpsOnly"], true);
    assert_eq!(values["global"]["gossipEncryption"]["autoGenerate"], true);
}

#[test]
fn the_chart_slows_nothing_that_a_call_waits_for() {
    let values: Value =
        serde_saphyr::from_str(include_str!("../../../consul/values.yaml")).unwrap();
    let limit = |part: &str| values.pointer(&format!("{part}/resources/limits/cpu"));
    // A limit that is not named is the chart's: 50m or 100m. Only null takes it away.
    for part in ["/server", "/connectInject", "/terminatingGateways/defaults"] {
        assert_eq!(limit(part), Some(&Value::Null), "{part}");
    }
    // The injector takes null for 50m here.
    assert_eq!(limit("/connectInject/initContainer"), Some(&json!("1")));
}
