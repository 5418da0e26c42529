//! kubectl, always with the context named.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::{Problem, Programs, Result, program::Call};

/// How long an apply may take.
const APPLY: Duration = Duration::from_secs(120);

/// What happens to what would be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is changed.
    #[default]
    Change,
    /// The server checks it, and changes nothing.
    DryRun,
    /// It is printed; no program is called.
    Print,
}

/// A cluster, as kubectl reaches it.
#[derive(Clone, Debug)]
pub struct Kubectl {
    programs: Programs,
    context: String,
    kubeconfig: Option<PathBuf>,
    mode: Mode,
}

/// What an apply did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Objects that are new.
    pub created: usize,
    /// Objects that were changed.
    pub changed: usize,
    /// Objects that were so already.
    pub unchanged: usize,
}

impl std::ops::AddAssign for Applied {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
    }
}

impl std::fmt::Display for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            (self.created, "created"),
            (self.changed, "changed"),
            (self.unchanged, "unchanged"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        f.write_str(&match parts.is_empty() {
            true => "nothing to apply".to_owned(),
            false => parts.join(", "),
        })
    }
}

impl Kubectl {
    /// The cluster of a context.
    pub fn new(
        programs: Programs,
        context: impl Into<String>,
        kubeconfig: Option<PathBuf>,
        mode: Mode,
    ) -> Self {
        Self {
            programs,
            context: context.into(),
            kubeconfig,
            mode,
        }
    }

    /// The context.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The programs that it calls.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// What happens to what would be changed.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A call of kubectl for this cluster.
    ///
    /// # Errors
    ///
    /// When kubectl is not installed.
    pub fn call<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Call> {
        let mut call = self.programs.call("kubectl")?;
        if let Some(file) = &self.kubeconfig {
            call = call.arg("--kubeconfig").arg(file);
        }
        Ok(call.args(["--context", &self.context]).args(args))
    }

    /// A call of helm for this cluster.
    ///
    /// # Errors
    ///
    /// When helm is not installed.
    pub fn helm<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Call> {
        let mut call = self.programs.call("helm")?;
        if let Some(file) = &self.kubeconfig {
            call = call.arg("--kubeconfig").arg(file);
        }
        Ok(call.args(["--kube-context", &self.context]).args(args))
    }

    /// An object; none where there is none, or where the server does not know its kind.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<Value>> {
        if self.mode == Mode::Print {
            return Ok(None);
        }
        let call = self.call([
            "get",
            kind,
            name,
            "--namespace",
            namespace,
            "--ignore-not-found",
            "--output",
            "json",
        ])?;
        Self::parsed(call).await
    }

    /// The objects of a kind in a namespace, with these labels (`a=b,c=d`, or empty for all).
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn list(&self, kind: &str, namespace: &str, labels: &str) -> Result<Vec<Value>> {
        if self.mode == Mode::Print {
            return Ok(Vec::new());
        }
        let call = self.call([
            "get",
            kind,
            "--namespace",
            namespace,
            "--selector",
            labels,
            "--output",
            "json",
        ])?;
        let list = Self::parsed(call).await?;
        Ok(list
            .and_then(|mut list| match list["items"].take() {
                Value::Array(items) => Some(items),
                _ => None,
            })
            .unwrap_or_default())
    }

    async fn parsed(call: Call) -> Result<Option<Value>> {
        let shown = call.shown();
        let done = call.done().await?;
        if !done.success {
            // A custom resource of something that is not installed.
            if done.err.contains("doesn't have a resource type") {
                return Ok(None);
            }
            return Err(Problem::new(format!("`{shown}` failed")).because(done.last_lines()));
        }
        if done.out.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&done.out)
            .map(Some)
            .map_err(|error| Problem::new(format!("`{shown}` answered no JSON")).because(error))
    }

    /// Applies objects, in their order.
    ///
    /// # Errors
    ///
    /// When the server refuses one.
    pub async fn apply(&self, objects: &[Value]) -> Result<Applied> {
        if self.mode == Mode::Print {
            self.print(objects);
        }
        if objects.is_empty() || self.mode == Mode::Print {
            return Ok(Applied::default());
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        if self.mode == Mode::DryRun {
            return self.apply_text(list).await;
        }
        // kubectl says "configured" of what admission webhooks complete, also where nothing changes, so the
        // contents before and after are compared.
        let get = [
            "get",
            "--filename",
            "-",
            "--ignore-not-found",
            "--output",
            "json",
        ];
        let before = Self::parsed(self.call(get)?.input(list.clone())).await?;
        let apply = self.call(["apply", "--filename", "-", "--output", "json"])?;
        let apply = apply.within(APPLY).input(list);
        let after = Self::parsed(apply).await?;
        let before = contents(before.as_ref());
        let mut applied = Applied::default();
        for (object, content) in contents(after.as_ref()) {
            match before.get(&object) {
                None => applied.created += 1,
                Some(old) if *old == content => applied.unchanged += 1,
                Some(_) => applied.changed += 1,
            }
        }
        Ok(applied)
    }

    /// Applies a text of YAML documents.
    ///
    /// # Errors
    ///
    /// When the server refuses one of them.
    pub async fn apply_text(&self, text: String) -> Result<Applied> {
        let mut args = vec!["apply", "--filename", "-"];
        match self.mode {
            Mode::Change => {}
            Mode::DryRun => args.push("--dry-run=server"),
            Mode::Print => {
                say(&format!("---\n{}\n", text.trim_end()));
                return Ok(Applied::default());
            }
        }
        let limit = APPLY;
        let call = self.call(args)?.within(limit).input(text.clone());
        let out = match call.output().await {
            // The namespace would have been made a step before: only kubectl itself can check this.
            Err(problem) if self.mode == Mode::DryRun && problem.lacks_namespace() => {
                let args = ["apply", "--filename", "-", "--dry-run=client"];
                self.call(args)?.within(limit).input(text).output().await?
            }
            out => out?,
        };
        let mut applied = Applied::default();
        for line in out.lines() {
            let line = line.trim_end_matches(" (server dry run)");
            let line = line.trim_end_matches(" (dry run)");
            match line.rsplit(' ').next() {
                Some("created") => applied.created += 1,
                Some("configured") => applied.changed += 1,
                Some("unchanged") => applied.unchanged += 1,
                _ => {}
            }
        }
        Ok(applied)
    }

    /// Writes objects to standard output, as YAML documents.
    pub fn print(&self, objects: &[Value]) {
        for object in objects {
            // What came from YAML or JSON can be YAML again.
            let text = serde_saphyr::to_string(object).unwrap_or_else(|_| object.to_string());
            say(&format!("---\n{}\n", text.trim_end()));
        }
    }

    /// Changes fields of an object, by a merge patch.
    ///
    /// # Errors
    ///
    /// When the server refuses it.
    pub async fn patch(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<()> {
        self.patch_as("merge", kind, namespace, name, patch).await
    }

    /// Changes an object by a patch of this type: `merge` or `json`.
    ///
    /// # Errors
    ///
    /// When the server refuses it.
    pub async fn patch_as(
        &self,
        patch_type: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<()> {
        let patch = patch.to_string();
        let mut args = vec![
            "patch",
            kind,
            name,
            "--namespace",
            namespace,
            "--type",
            patch_type,
            "--patch",
            &patch,
        ];
        match self.mode {
            Mode::Change => {}
            Mode::DryRun => args.push("--dry-run=server"),
            Mode::Print => return Ok(()),
        }
        self.call(args)?.output().await.map(drop)
    }

    /// Deletes objects; those that do not exist are no problem. `args` name them.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub async fn delete(&self, args: &[&str], limit: Duration) -> Result<Vec<String>> {
        let mut all = vec!["delete"];
        all.extend(args);
        all.push("--ignore-not-found");
        match self.mode {
            Mode::Change => {}
            Mode::DryRun => all.push("--dry-run=server"),
            Mode::Print => return Ok(Vec::new()),
        }
        let out = self.call(all)?.within(limit).output().await?;
        let lines = out.lines().filter(|line| !line.starts_with("No resources"));
        Ok(lines.map(str::to_owned).collect())
    }
}

/// The content of each object of a list, or of the one object that an answer is: all but what the server keeps
/// of it.
fn contents(answer: Option<&Value>) -> BTreeMap<[String; 3], Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = answer.map(std::slice::from_ref).unwrap_or_default();
    let list = answer.and_then(|answer| answer["items"].as_array());
    let objects = list.map_or(one, Vec::as_slice).iter();
    let contents = objects.map(|object| {
        let metadata = &object["metadata"];
        let name = [&object["kind"], &metadata["namespace"], &metadata["name"]].map(text);
        let mut content = object.clone();
        content["status"].take();
        for kept in ["resourceVersion", "generation", "managedFields"] {
            content["metadata"][kept].take();
        }
        (name, content)
    });
    contents.collect()
}

/// Writes to standard output. Nothing ends for want of a reader.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = std::io::Write::write_all(&mut out, text.as_bytes());
}
