//! `consul/`: who may call whom in the mesh, against who does.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use zerocart_proto::rpc::{Info, JobInfo};

use crate::{source::Source, units};

/// The documents of `consul/`, each with its file. None while the folder is empty.
///
/// # Errors
///
/// When a file cannot be read or is no YAML.
pub fn read(root: &Path) -> Result<Vec<(String, Value)>> {
    let files = crate::source::read(&root.join("consul"))?;
    let yaml = |source: &Source| source.path.ends_with(".yaml") || source.path.ends_with(".yml");
    let mut documents = Vec::new();
    for source in files.into_iter().filter(yaml) {
        let parsed: Vec<Value> = serde_saphyr::from_multiple(&source.text)
            .with_context(|| format!("consul/{}", source.path))?;
        documents.extend(
            parsed
                .into_iter()
                .map(|document| (source.path.clone(), document)),
        );
    }
    Ok(documents)
}

/// Every intention is about a function or job that calls a function, on the path of the one called;
/// and when there are intentions, there is one for each call of what is written.
pub fn check(functions: &[Info], jobs: &[JobInfo], documents: &[(String, Value)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut allowed = Vec::new();
    let callers = units(functions, jobs);
    for (file, document) in documents {
        if document["kind"] != "ServiceIntentions" {
            continue;
        }
        let to = document["spec"]["destination"]["name"]
            .as_str()
            .unwrap_or_default();
        let Some(called) = functions.iter().find(|f| f.name == to) else {
            wrong.push(format!("{file}: the destination {to:?} is no function"));
            continue;
        };
        for source in list(&document["spec"]["sources"]) {
            let from = source["name"].as_str().unwrap_or_default();
            match callers.iter().find(|unit| unit.name == from) {
                None if from != "*" => wrong.push(format!("{file}: {from:?} is no function")),
                Some(caller) if !caller.calls.contains(&to) => {
                    wrong.push(format!("{file}: {from} does not call {to}"));
                }
                _ => allowed.push((from.to_owned(), to.to_owned())),
            }
            for permission in list(&source["permissions"]) {
                let path = permission["http"]["pathExact"].as_str().unwrap_or_default();
                if path != called.grpc_path {
                    wrong.push(format!("{file}: {path:?} is not {}", called.grpc_path));
                }
            }
        }
    }
    if !allowed.is_empty() {
        for caller in &callers {
            for called in caller.calls {
                let pair = (caller.name.to_owned(), (*called).to_owned());
                if !allowed.contains(&pair) {
                    wrong.push(format!("no intention lets {} call {called}", caller.name));
                }
            }
        }
    }
    wrong
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{FUNCTIONS, JOBS, only};

    fn documents(from: &str, to: &str, path: &str) -> Vec<(String, Value)> {
        let text = format!(
            "kind: ServiceIntentions\nspec:\n  destination: {{name: {to}}}\n  sources:\n  \
             - name: {from}\n    permissions: [{{action: allow, http: {{pathExact: {path}}}}}]\n"
        );
        vec![(
            "a.yaml".into(),
            serde_saphyr::from_str(&text).expect("this is YAML"),
        )]
    }

    #[test]
    fn intentions_that_are_not_the_calls_are_told() {
        let mut functions = FUNCTIONS;
        functions[0].calls = &["get-user"];
        let check = |functions: &[Info], documents: &[_]| check(functions, &[], documents);
        let path = "/user.UserService/GetUser";
        assert_eq!(check(&functions, &[]), [""; 0]);
        assert_eq!(
            check(&functions, &documents("create-user", "get-user", path)),
            [""; 0]
        );

        let problems = |from, to, path| check(&functions, &documents(from, to, path));
        only(
            &problems("create-user", "eat-user", path),
            "\"eat-user\" is no function",
        );
        only(
            &problems("eat-user", "get-user", path),
            "\"eat-user\" is no function",
        );
        only(
            &problems("get-product", "get-user", path),
            "get-product does not call get-user",
        );
        only(&problems("create-user", "get-user", "/x"), "\"/x\" is not");
        functions[2].calls = &["get-user"];
        let fewer = documents("create-user", "get-user", path);
        only(
            &check(&functions, &fewer),
            "no intention lets get-product call get-user",
        );
    }

    #[test]
    fn a_job_calls_as_a_function_does() {
        let path = "/product.ProductService/GetProduct";
        let sweeps = documents("sweep-users", "get-product", path);
        assert_eq!(check(&FUNCTIONS, &JOBS, &sweeps), [""; 0]);
        let mut busy = JOBS;
        busy[0].calls = &["get-product", "get-user"];
        only(
            &check(&FUNCTIONS, &busy, &sweeps),
            "no intention lets sweep-users call get-user",
        );
        only(
            &check(&FUNCTIONS, &[], &sweeps),
            "\"sweep-users\" is no function",
        );
    }
}
