//! `knative/`: a Knative Service per function and service of the edge, and a CronJob per job. Each
//! file is complete: it can be applied alone.

use std::fmt::Write as _;

use crate::{
    NAMESPACE, Output, Settings, Sources, Unit,
    settings::{self, file_of},
    text::{comment, head},
    unit::{FLEET_ACCOUNT, Secret},
};

/// The least `responseStartTimeoutSeconds`: a function's own limit, a cold start on a stock cluster
/// (1.5 to 4 s) and a queue at max-scale.
const RESPONSE_START_S: u32 = 20;

/// `timeoutSeconds` is also the grace of a pod that drains, of which the queue-proxy takes 30 s.
pub(crate) const TIMEOUT_S: u32 = 35;

/// The CPU that an instance asks for, in thousandths.
pub const REQUEST_CPU_M: u32 = 25;

/// The memory that an instance asks for, in MiB.
pub const REQUEST_MEMORY_MIB: u32 = 16;

/// What a job gets beyond its own limit before Kubernetes ends it.
const JOB_GRACE_S: u32 = 5;

pub(crate) const SECURITY_CONTEXT: &str =
    "          # The image is one static file: it needs no user of its own, no capability, no disk.
          securityContext:
            allowPrivilegeEscalation: false
            capabilities:
              drop: [ALL]
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            seccompProfile:
              type: RuntimeDefault
";

const PROBES: &str = "          # Without a period Knative probes every 50 ms. /ready, which asks the database, would make
          # every start wait for it.
          readinessProbe:
            httpGet:
              path: /health
          # A process that hangs is replaced. A database that is down must not restart functions.
          livenessProbe:
            httpGet:
              path: /health
            periodSeconds: 10
            timeoutSeconds: 3
            failureThreshold: 3
";

/// The files of `knative/`.
pub fn render(sources: &Sources<'_>, units: &[Unit], settings: &Settings) -> Vec<Output> {
    let version = sources.version;
    let mut outputs = Vec::new();
    let mut add = |path: String, text: String| {
        outputs.push(Output::file(format!("knative/{path}"), text));
    };
    for unit in units {
        match unit.rpc {
            Some(_) => add(
                format!("services/{}.yaml", unit.name),
                service(unit, version),
            ),
            None => add(format!("jobs/{}.yaml", unit.name), cron_job(unit, version)),
        }
    }
    for (name, file) in sources.services {
        let service = edge_service(name, file, &settings.of(name), version);
        add(format!("edge/{name}.yaml"), service);
    }
    outputs
}

fn service(unit: &Unit, version: &str) -> String {
    let sources = format!("proto/ and {}", file_of(unit.domain));
    let own_s = unit.timeout_s();
    let mut container = env(unit);
    container.push_str(&secrets(unit));
    ksvc(&Ksvc {
        name: unit.name,
        account: unit.reads_fleet(),
        sources: &sources,
        settings: &unit.settings,
        // Its own limit ends first, then this one, then the 30 s of Kong.
        response_start_s: RESPONSE_START_S.max(own_s + 1),
        container: &container,
        version,
    })
}

fn edge_service(name: &str, file: &str, settings: &settings::Unit, version: &str) -> String {
    ksvc(&Ksvc {
        name,
        account: false,
        sources: file,
        settings,
        response_start_s: RESPONSE_START_S,
        // Of no domain: no database, no keys.
        container: "",
        version,
    })
}

struct Ksvc<'a> {
    name: &'a str,
    /// Whether it may read the API of Kubernetes.
    account: bool,
    sources: &'a str,
    settings: &'a settings::Unit,
    response_start_s: u32,
    /// `env` and `envFrom`.
    container: &'a str,
    version: &'a str,
}

fn ksvc(ksvc: &Ksvc<'_>) -> String {
    let Ksvc {
        name,
        account,
        sources,
        settings,
        response_start_s,
        container,
        version,
    } = ksvc;
    let timeout_s = TIMEOUT_S.max(*response_start_s);
    let settings::Unit {
        max_scale,
        target,
        concurrency,
        ..
    } = settings;
    let head = head("#", sources);
    let why = comment("        ", &settings.why);
    let resources = resources("          ", settings);
    let account = match account {
        true => format!(
            "      # It reads the API of Kubernetes, by the Role of this account.\n      \
             serviceAccountName: {FLEET_ACCOUNT}\n"
        ),
        false => "      # A volume delays each start of a pod, and the function never calls Kubernetes.\n      \
                  automountServiceAccountToken: false\n"
            .to_owned(),
    };
    format!(
        "{head}\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: {name}
  namespace: {NAMESPACE}
  labels:
    # Only the public edge is reached from outside, also where a cluster has a domain of its own.
    networking.knative.dev/visibility: cluster-local
spec:
  template:
    metadata:
      annotations:
{why}        autoscaling.knative.dev/min-scale: \"0\"
        autoscaling.knative.dev/max-scale: \"{max_scale}\"
        autoscaling.knative.dev/target: \"{target}\"
        # Half of Knative's default: a cold start costs little here.
        autoscaling.knative.dev/window: 30s
        # Requests go through Knative's activator only while the function is at zero: one hop less.
        autoscaling.knative.dev/target-burst-capacity: \"0\"
    spec:
{account}      containerConcurrency: {concurrency}
      responseStartTimeoutSeconds: {response_start_s}
      timeoutSeconds: {timeout_s}
      containers:
        - image: dev.local/zerocart/{name}:{version}
          ports:
            # Under this name Kourier speaks HTTP/2 to the pod, which gRPC needs.
            - name: h2c
              containerPort: 8080
{container}{SECURITY_CONTEXT}{resources}{PROBES}"
    )
}

fn cron_job(unit: &Unit, version: &str) -> String {
    let name = unit.name;
    let head = head("#", &format!("proto/ and {}", file_of(unit.domain)));
    let why = comment("  ", &unit.settings.why);
    let schedule = unit.settings.schedule.as_deref().unwrap_or_default();
    let deadline_s = unit.timeout_s() + JOB_GRACE_S;
    let indent = |text: &str| -> String {
        let lines = text.split_inclusive('\n');
        lines.map(|line| format!("    {line}")).collect()
    };
    let container = indent(&(env(unit) + &secrets(unit) + SECURITY_CONTEXT));
    let resources = resources("              ", &unit.settings);
    format!(
        "{head}\
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
  namespace: {NAMESPACE}
spec:
{why}  schedule: \"{schedule}\"
  # A run does all that is due: a second one beside it would find nothing to do.
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      # The next run tries again.
      backoffLimit: 0
      # Above the {own_s} s that a run gives itself.
      activeDeadlineSeconds: {deadline_s}
      template:
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          # A run that is ended must be gone before the next one is due.
          terminationGracePeriodSeconds: {JOB_GRACE_S}
          containers:
            - name: {name}
              image: dev.local/zerocart/{name}:{version}
{container}{resources}",
        own_s = unit.timeout_s(),
    )
}

/// Its variables.
fn env(unit: &Unit) -> String {
    let mut env = format!(
        "          env:\n            - name: DATABASE_POOL_SIZE\n              value: \"{}\"\n",
        unit.settings.pool
    );
    if unit.reads_fleet() {
        env.push_str("            - name: FLEET_SOURCE\n              value: kubernetes\n");
    }
    if !unit.calls.is_empty() {
        let _ = write!(
            env,
            "            # Where the functions are that it calls: each has a Kubernetes Service of its name.\n\
             \x20           - name: FUNCTION_URL_TEMPLATE\n\
             \x20             value: \"http://{{function}}.{NAMESPACE}.svc.cluster.local\"\n"
        );
    }
    env
}

/// The Kubernetes Secrets whose keys become its variables.
fn secrets(unit: &Unit) -> String {
    let mut text = "          envFrom:\n".to_owned();
    for secret in &unit.secrets {
        let name = secret.kubernetes_name(unit.domain);
        let _ = write!(
            text,
            "            - secretRef:\n                name: {name}\n"
        );
    }
    text
}

fn resources(indent: &str, settings: &settings::Unit) -> String {
    let memory = settings.memory_mib;
    format!(
        "{indent}# No CPU limit: it would be spent on the cold start.\n\
         {indent}resources:\n\
         {indent}  requests:\n\
         {indent}    cpu: {REQUEST_CPU_M}m\n\
         {indent}    memory: {REQUEST_MEMORY_MIB}Mi\n\
         {indent}  limits:\n\
         {indent}    memory: {memory}Mi\n"
    )
}

impl Secret {
    /// The name of its Kubernetes Secret.
    pub fn kubernetes_name(self, domain: &str) -> String {
        match self {
            Self::PublicKeys => "zerocart-auth".into(),
            Self::Database => format!("zerocart-{domain}"),
            Self::Signing => "zerocart-signing".into(),
            Self::ServiceSigning => "zerocart-service-signing".into(),
        }
    }
}
