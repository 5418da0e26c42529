//! `knative/`: a file per function, and what `kustomization.yaml` adds to each.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use regex::Regex;
use serde_json::Value;
use zerocart_activator::Function;
use zerocart_proto::rpc::Info;

/// What `knative/` says.
#[derive(Clone, Debug)]
pub struct Manifests {
    /// `services/`, read as the local engine reads it.
    pub functions: Vec<Function>,
    /// The name of the port of each function.
    pub port_names: BTreeMap<String, String>,
    /// `kustomization.yaml`.
    pub kustomization: Value,
}

/// Reads `knative/` of the project.
///
/// # Errors
///
/// When a file cannot be read or says what is not understood.
pub fn read(root: &Path) -> Result<Manifests> {
    let services = root.join("knative/services");
    let functions = zerocart_activator::load_dir(&services)?;
    let port_names = functions
        .iter()
        .map(|function| {
            let file = yaml(&services.join(format!("{}.yaml", function.name)))?;
            let port = file.pointer("/spec/template/spec/containers/0/ports/0/name");
            let port = port.and_then(Value::as_str).unwrap_or_default();
            Ok((function.name.clone(), port.to_owned()))
        })
        .collect::<Result<_>>()?;
    Ok(Manifests {
        functions,
        port_names,
        kustomization: yaml(&root.join("knative/kustomization.yaml"))?,
    })
}

impl Manifests {
    /// The namespace that everything is put into.
    pub fn namespace(&self) -> &str {
        self.kustomization["namespace"].as_str().unwrap_or_default()
    }
}

/// Each function has a Service with the port that gRPC needs, is deployed, from its own image, and
/// with the database of its domain and no other.
pub fn check(functions: &[Info], manifests: &Manifests) -> Vec<String> {
    let names = || functions.iter().map(|f| f.name);
    let services = manifests.functions.iter().map(|f| f.name.as_str());
    let mut wrong = crate::compare("knative/services", names(), services);
    for (name, port) in &manifests.port_names {
        if port != "h2c" {
            wrong.push(format!(
                "{name}: its port is named {port:?}, and gRPC needs h2c"
            ));
        }
    }
    for function in &manifests.functions {
        // 8012, 8013, 8022, 9090 and 9091 are the queue-proxy's.
        if [8012, 8013, 8022, 9090, 9091].contains(&function.container_port) {
            let port = function.container_port;
            wrong.push(format!(
                "{}: Knative keeps port {port} for itself",
                function.name
            ));
        }
    }
    deployed(functions, &manifests.kustomization, &mut wrong);
    wrong
}

fn deployed(functions: &[Info], kustomization: &Value, wrong: &mut Vec<String>) {
    let resources = strings(&kustomization["resources"]);
    let resources = resources
        .iter()
        .filter_map(|path| path.strip_prefix("services/")?.strip_suffix(".yaml"));
    let names = functions.iter().map(|f| f.name);
    wrong.extend(crate::compare(
        "resources of kustomization.yaml",
        names,
        resources,
    ));

    let patches = match Patch::read(kustomization) {
        Ok(patches) => patches,
        Err(error) => return wrong.push(format!("kustomization.yaml: {error:#}")),
    };
    for patch in &patches {
        if !functions.iter().any(|f| patch.applies_to(f.name)) {
            wrong.push(format!(
                "kustomization.yaml: no function is {:?}",
                patch.target
            ));
        }
    }
    let databases: Vec<_> = functions.iter().map(|f| secret_of(f.domain)).collect();
    for function in functions {
        let name = function.name;
        let patches = || patches.iter().filter(|patch| patch.applies_to(name));
        let images: Vec<_> = patches().flat_map(|patch| &patch.images).collect();
        let own = |image: &str| {
            image
                .rsplit('/')
                .next()
                .is_some_and(|i| i.split(':').next() == Some(name))
        };
        if images.len() != 1 || !own(images[0]) {
            wrong.push(format!(
                "{name}: its images are {images:?}, not one image {name}"
            ));
        }
        let wanted = secret_of(function.domain);
        let secrets: Vec<_> = patches().flat_map(|patch| &patch.secrets).collect();
        if !secrets.contains(&&wanted) {
            wrong.push(format!("{name}: it does not get the secret {wanted}"));
        }
        for secret in secrets {
            if *secret != wanted && databases.contains(secret) {
                wrong.push(format!(
                    "{name}: it gets {secret}, another domain's database"
                ));
            }
        }
    }
}

fn secret_of(domain: &str) -> String {
    format!("zerocart-{domain}")
}

/// A patch of kustomize, as far as the checks look.
struct Patch {
    /// The pattern of its target's name; anything without one.
    target: String,
    name: Regex,
    images: Vec<String>,
    secrets: Vec<String>,
}

impl Patch {
    fn read(kustomization: &Value) -> Result<Vec<Self>> {
        let patches = kustomization["patches"].as_array();
        let patches = patches.map_or(&[][..], Vec::as_slice);
        patches.iter().map(Self::one).collect()
    }

    fn one(patch: &Value) -> Result<Self> {
        let target = patch["target"]["name"].as_str().unwrap_or(".*").to_owned();
        let operations = patch["patch"]
            .as_str()
            .context("a patch without operations")?;
        let operations: Value =
            serde_saphyr::from_str(operations).with_context(|| format!("the patch of {target}"))?;
        let (mut images, mut secrets) = (Vec::new(), Vec::new());
        for operation in operations.as_array().context("a patch that is no list")? {
            let value = &operation["value"];
            if operation["path"]
                .as_str()
                .is_some_and(|path| path.ends_with("/image"))
            {
                images.extend(value.as_str().map(str::to_owned));
            }
            for source in value.as_array().unwrap_or(&vec![value.clone()]) {
                let secret = source["secretRef"]["name"].as_str();
                secrets.extend(secret.map(str::to_owned));
            }
        }
        Ok(Self {
            // Kustomize matches the whole name.
            name: Regex::new(&format!("^(?:{target})$"))?,
            target,
            images,
            secrets,
        })
    }

    fn applies_to(&self, function: &str) -> bool {
        self.name.is_match(function)
    }
}

/// A file of YAML with one document.
pub(crate) fn yaml(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
}

fn strings(value: &Value) -> Vec<String> {
    let values = value.as_array().map_or(&[][..], Vec::as_slice);
    let strings = values.iter().filter_map(Value::as_str);
    strings.map(str::to_owned).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sample::{FUNCTIONS, only};

    /// Manifests as they should be for [`FUNCTIONS`], after `edit` of kustomization.yaml.
    pub(crate) fn manifests(edit: impl Fn(String) -> String) -> Manifests {
        let mut text = "namespace: zerocart\nresources:\n- namespace.yaml\n".to_owned();
        for f in &FUNCTIONS {
            text += &format!("- services/{}.yaml\n", f.name);
        }
        text += "patches:\n- target: {kind: Service}\n  patch: |-\n    - op: add\n      path: /x\n      \
                 value: [{secretRef: {name: zerocart-auth}}]\n";
        for f in &FUNCTIONS {
            let (name, domain) = (f.name, f.domain);
            text += &format!(
                "- target: {{kind: Service, name: {name}}}\n  patch: |-\n    - op: add\n      \
                 path: /spec/image\n      value: dev.local/{name}:1\n    - op: add\n      \
                 path: /spec/envFrom/-\n      value: {{secretRef: {{name: zerocart-{domain}}}}}\n"
            );
        }
        Manifests {
            functions: FUNCTIONS.iter().map(|f| Function::new(f.name)).collect(),
            port_names: FUNCTIONS
                .iter()
                .map(|f| (f.name.into(), "h2c".into()))
                .collect(),
            kustomization: serde_saphyr::from_str(&edit(text)).expect("the test's file is YAML"),
        }
    }

    #[test]
    fn services_are_the_functions() {
        let good = manifests(|text| text);
        assert_eq!(check(&FUNCTIONS, &good), [""; 0]);

        let mut fewer = good.clone();
        fewer.functions.pop();
        only(
            &check(&FUNCTIONS, &fewer),
            "knative/services: get-product is missing",
        );
        let mut more = good.clone();
        more.functions.push(Function::new("eat-product"));
        only(&check(&FUNCTIONS, &more), "eat-product is no function");
        let mut port = good.clone();
        port.port_names.insert("get-user".into(), "http1".into());
        only(
            &check(&FUNCTIONS, &port),
            "get-user: its port is named \"http1\"",
        );
        let mut port = good;
        port.functions[0].container_port = 8012;
        only(&check(&FUNCTIONS, &port), "keeps port 8012");
    }

    #[test]
    fn what_kustomize_adds_is_each_functions_own() {
        for (from, to, words) in [
            (
                "- services/get-user.yaml\n",
                "",
                "kustomization.yaml: get-user is missing",
            ),
            (
                "dev.local/get-user:1",
                "dev.local/get-product:1",
                "get-user: its images",
            ),
            (
                "name: zerocart-product",
                "name: zerocart-auth",
                "does not get the secret",
            ),
            (
                "name: get-user}",
                "name: get-user|get-product}",
                "get-product: its images",
            ),
        ] {
            let broken = manifests(|text| text.replace(from, to));
            let problems = check(&FUNCTIONS, &broken);
            assert!(
                problems.iter().any(|p| p.contains(words)),
                "{problems:#?} lack {words}"
            );
        }
        let leak = manifests(|text| text.replace("zerocart-auth}}]", "zerocart-user}}]"));
        only(
            &check(&FUNCTIONS, &leak),
            "get-product: it gets zerocart-user",
        );
        let stale = manifests(|text| text + "- target: {name: eat}\n  patch: '[]'\n");
        only(&check(&FUNCTIONS, &stale), "no function is \"eat\"");
    }
}
