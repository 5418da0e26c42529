//! Why something does not become ready: from its pods, its conditions and its events.

use serde_json::Value;

use crate::object::{condition, items, kind, name, short, text};

/// How long a trouble may last before it is a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It heals within seconds or not at all.
    Short,
    /// It may be the load of a first start. Counted from the last time that something became ready.
    Long,
    /// Others that go to zero make room. Counted from the last time that something became ready.
    Room,
}

/// What keeps something from becoming ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What kind of trouble it is: two with the same one have the same cure.
    pub(crate) sort: &'static str,
    pub(crate) cause: String,
    pub(crate) cure: String,
    pub(crate) patience: Patience,
    /// The pod and the container whose last lines say more.
    pub(crate) logs: Option<(String, String)>,
}

impl Trouble {
    fn new(sort: &'static str, patience: Patience, cause: String, cure: impl Into<String>) -> Self {
        Self {
            sort,
            cause,
            cure: cure.into(),
            patience,
            logs: None,
        }
    }
}

/// How much is shown of a message: some repeat a whole chain of errors.
const SHOWN: usize = 300;

/// What a pod says, and the events about it.
pub(crate) fn of_pod<'a>(
    pod: &Value,
    events: impl Iterator<Item = &'a Value> + Clone,
) -> Option<Trouble> {
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled["status"] == "False"
    {
        return Some(of_scheduling(text(&scheduled["message"])));
    }
    let status = &pod["status"];
    // The queue-proxy of a function waits for the function: it is asked last.
    let (proxies, own): (Vec<_>, Vec<_>) = items(&status["initContainerStatuses"])
        .chain(items(&status["containerStatuses"]))
        .partition(|container| container["name"] == "queue-proxy");
    let troubles = own.iter().chain(&proxies);
    let of_container = troubles.filter_map(|container| of_container(pod, container));
    of_container.into_iter().next().or_else(|| {
        // Events stay for an hour: they tell about a pod that has not come any further.
        if status["phase"] != "Pending" {
            return None;
        }
        let mut about = events.filter(|event| event["involvedObject"]["name"] == name(pod));
        about.find_map(of_pod_event)
    })
}

fn of_container(pod: &Value, container: &Value) -> Option<Trouble> {
    let (waiting, image) = (&container["state"]["waiting"], text(&container["image"]));
    let message = text(&waiting["message"]);
    match waiting["reason"].as_str().unwrap_or_default() {
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName"
        | "ImageInspectError" => return Some(of_image(image, message)),
        "CreateContainerConfigError" | "CreateContainerError" => return Some(of_config(message)),
        _ => {}
    }
    let failed = [&container["state"], &container["lastState"]]
        .into_iter()
        .map(|state| &state["terminated"])
        .find(|ended| !ended.is_null());
    match failed {
        Some(ended) if container["ready"] != true && ended["exitCode"] != 0 => {
            Some(of_exit(pod, container, ended))
        }
        _ => None,
    }
}

/// An image that the node does not have, and that it cannot pull.
fn of_image(image: &str, message: &str) -> Trouble {
    let lower = message.to_lowercase();
    let refused = ["401", "403", "unauthorized", "denied", "forbidden"];
    let cure = if image.starts_with("dev.local/") || image.starts_with("kind.local/") {
        "no registry has this image: the step `images` loads it onto the nodes. Run `zerocart deploy` again"
    } else if refused.iter().any(|word| lower.contains(word)) {
        "the registry wants a password: make a secret for it (`kubectl create secret docker-registry`), and \
         name it in the imagePullSecrets of the service account `default`"
    } else {
        "look whether the nodes reach the registry, and whether it has the image; on nodes without internet, \
         load it first (`kind load image-archive`, or `ctr images import`)"
    };
    let cause = match message.is_empty() {
        true => format!("the image {image} is not on the node"),
        false => format!(
            "the image {image} is not on the node: {}",
            short(message, SHOWN)
        ),
    };
    Trouble::new("image", Patience::Short, cause, cure)
}

/// A secret that is not there, mostly.
fn of_config(message: &str) -> Trouble {
    let cure = if message.contains("secret") || message.contains("Secret") {
        "the steps `database` and `keys` make the secrets: run `zerocart deploy` again"
    } else if message.contains("runAsNonRoot") {
        "the image runs as root, and must not: build it again with `zerocart images`"
    } else {
        "correct what it names, and run `zerocart deploy` again"
    };
    let cause = format!("its container cannot be made: {}", short(message, SHOWN));
    Trouble::new("config", Patience::Short, cause, cure)
}

/// A container that ends, where it should stay.
fn of_exit(pod: &Value, container: &Value, ended: &Value) -> Trouble {
    let message = text(&ended["message"]);
    let code = ended["exitCode"].as_i64().unwrap_or_default();
    let mut cause = format!("it exits with {code} at its start");
    if ended["reason"] == "OOMKilled" {
        cause = "it needs more memory than its limit (OOMKilled)".to_owned();
    }
    let cure = if message.contains("exec format error") {
        "the image is for another kind of processor than the node's: build it for the node's with \
         `zerocart images`"
    } else if ended["reason"] == "OOMKilled" {
        "raise its memory in `functions.toml`, and deploy again"
    } else if code == 64 {
        "it names the variables that are missing or wrong. They come from the secrets `zerocart-…`: correct \
         those, and run `zerocart deploy` again"
    } else {
        "its last lines say why; `zerocart logs` shows more"
    };
    if !message.is_empty() {
        cause = format!("{cause}: {}", short(message, SHOWN));
    }
    let mut trouble = Trouble::new("exit", Patience::Short, cause, cure);
    if message.is_empty() {
        trouble.logs = Some((name(pod).to_owned(), text(&container["name"]).to_owned()));
    }
    trouble
}

/// A pod that no node takes.
fn of_scheduling(message: &str) -> Trouble {
    let shown = short(message, SHOWN);
    if message.contains("PersistentVolumeClaim") || message.contains("persistentvolumeclaim") {
        let cause = format!("its volume is not there: {shown}");
        return Trouble::new("volume", Patience::Short, cause, VOLUME_CURE);
    }
    let cause = format!("no node has room for it: {shown}");
    if message.contains("Insufficient") || message.contains("Too many pods") {
        let cure = "give the cluster more CPU or memory, or remove what else runs there (`kubectl top pods \
                    --all-namespaces`); then run `zerocart deploy` again";
        return Trouble::new("room", Patience::Room, cause, cure);
    }
    let cure = "look at the nodes' taints and labels: `kubectl describe nodes`";
    Trouble::new("nodes", Patience::Long, cause, cure)
}

const VOLUME_CURE: &str = "the cluster needs a default storage class (`kubectl get storageclass`): install one, or \
    mark one with `kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true`; or use \
    a database elsewhere with `--database-url`";

/// A volume that is not made.
pub(crate) fn of_claim<'a>(
    claim: &Value,
    events: impl Iterator<Item = &'a Value>,
) -> Option<Trouble> {
    if claim["status"]["phase"] == "Bound" {
        return None;
    }
    let mut about = events.filter(|event| {
        event["involvedObject"]["kind"] == "PersistentVolumeClaim"
            && event["involvedObject"]["name"] == name(claim)
    });
    let failed = about
        .find(|event| ["FailedBinding", "ProvisioningFailed"].contains(&text(&event["reason"])));
    let class = &claim["spec"]["storageClassName"];
    if class.is_null() {
        let cause = format!(
            "the volume {} has no storage class, and the cluster no default",
            name(claim)
        );
        return Some(Trouble::new("volume", Patience::Short, cause, VOLUME_CURE));
    }
    let message = text(&failed?["message"]);
    let cause = format!(
        "the volume {} cannot be made: {}",
        name(claim),
        short(message, SHOWN)
    );
    Some(Trouble::new("volume", Patience::Short, cause, VOLUME_CURE))
}

/// What a controller says that it cannot make: of a quota, of a policy, of a webhook.
pub(crate) fn of_refusal(message: &str) -> Option<Trouble> {
    let cause = short(message, SHOWN);
    if message.contains("exceeded quota") {
        let cure = "raise the quota: `kubectl edit resourcequota` shows it in this namespace. All functions \
                    start once at a deployment";
        return Some(Trouble::new("quota", Patience::Room, cause, cure));
    }
    if message.contains("violates PodSecurity") {
        let cure = "the namespace's label `pod-security.kubernetes.io/enforce` forbids this pod: lower it to \
                    `baseline`";
        return Some(Trouble::new("policy", Patience::Short, cause, cure));
    }
    if message.contains("failed calling webhook") {
        let cure = "the webhook that it names does not answer: look at its pods, and run `zerocart deploy` \
                    again when they are ready";
        return Some(Trouble::new("webhook", Patience::Long, cause, cure));
    }
    if message.contains("denied the request") {
        let cure =
            "the webhook that it names has a rule against this: correct what it names, or the rule";
        return Some(Trouble::new("webhook", Patience::Short, cause, cure));
    }
    None
}

/// What a revision says.
pub(crate) fn of_revision(revision: &Value) -> Option<Trouble> {
    let ready = condition(revision, "Ready").filter(|ready| ready["status"] == "False")?;
    let message = text(&ready["message"]);
    if let Some(trouble) = of_refusal(message) {
        return Some(trouble);
    }
    Some(match ready["reason"].as_str().unwrap_or_default() {
        "Unschedulable" => of_scheduling(message),
        "ContainerMissing" => {
            let image = text(&revision["spec"]["containers"][0]["image"]);
            of_image(image, message)
        }
        reason => Trouble::new(
            "revision",
            Patience::Short,
            format!(
                "its revision {} failed ({reason}): {}",
                name(revision),
                short(message, SHOWN)
            ),
            "correct what it names, and run `zerocart deploy` again",
        ),
    })
}

/// What a function itself says.
pub(crate) fn of_ksvc(ksvc: &Value) -> Option<Trouble> {
    let ready = condition(ksvc, "Ready")?;
    let message = short(text(&ready["message"]), SHOWN);
    match ready["reason"].as_str().unwrap_or_default() {
        "IngressNotConfigured" | "Uninitialized" => {
            let cure = "Kourier does not run, or Knative waits for another ingress: `kubectl get pods \
                        --namespace kourier-system`, and `ingress-class` in the ConfigMap `config-network` of \
                        knative-serving must be kourier.ingress.networking.knative.dev";
            let cause = format!("it has no route: {message}");
            Some(Trouble::new("ingress", Patience::Long, cause, cure))
        }
        // The revision says more.
        "RevisionMissing" | "RevisionFailed" => None,
        reason if ready["status"] == "False" => of_refusal(text(&ready["message"])).or_else(|| {
            let cause = format!("{reason}: {message}");
            let cure = "`kubectl describe ksvc` has its events";
            Some(Trouble::new("ksvc", Patience::Long, cause, cure))
        }),
        _ => None,
    }
}

/// What a Deployment, a StatefulSet or a Job cannot make.
pub(crate) fn of_owner<'a>(
    owner: &Value,
    events: impl Iterator<Item = &'a Value>,
) -> Option<Trouble> {
    let replicas = condition(owner, "ReplicaFailure").map(|failure| text(&failure["message"]));
    let about = events.filter(|event| {
        event["involvedObject"]["kind"] == kind(owner)
            && event["involvedObject"]["name"] == name(owner)
            && event["reason"] == "FailedCreate"
    });
    let messages = replicas
        .into_iter()
        .chain(about.map(|event| text(&event["message"])));
    messages.into_iter().find_map(of_refusal)
}

fn of_pod_event(event: &Value) -> Option<Trouble> {
    let message = text(&event["message"]);
    match event["reason"].as_str().unwrap_or_default() {
        "FailedMount" => Some(of_config(message)),
        "FailedCreatePodSandBox" => Some(Trouble::new(
            "network",
            Patience::Long,
            format!("the node cannot make its pod: {}", short(message, SHOWN)),
            "look at the node's container runtime and network plugin",
        )),
        _ => None,
    }
}

/// The newest event about objects whose names begin so.
pub(crate) fn last_event<'a>(
    events: impl Iterator<Item = &'a Value>,
    begins: &str,
) -> Option<String> {
    let about = events.filter(|event| text(&event["involvedObject"]["name"]).starts_with(begins));
    let newest = about.max_by_key(|event| {
        let times = [&event["lastTimestamp"], &event["eventTime"]];
        let time = times.into_iter().find_map(Value::as_str);
        time.unwrap_or_default().to_owned()
    })?;
    let message = text(&newest["message"]).replace('\n', " ");
    Some(short(
        &format!("{}: {message}", text(&newest["reason"])),
        120,
    ))
}
