//! Knative Service files: the real ones, and what is refused.

use std::path::Path;
use std::time::Duration;

use zerocart_activator::{Job, Ksvc, LoadError, load_dir, load_jobs, manifest};

const GOOD: &str = r#"apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: f
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/min-scale: "1"
        autoscaling.knative.dev/max-scale: "4"
        autoscaling.knative.dev/target: "20"
        autoscaling.knative.dev/target-utilization-percentage: "50"
        autoscaling.knative.dev/window: 1m30s
        autoscaling.knative.dev/scale-to-zero-pod-retention-period: 5m
    spec:
      containerConcurrency: 30
      timeoutSeconds: 60
      responseStartTimeoutSeconds: 20
      containers:
        - ports:
            - name: h2c
              containerPort: 8080
          env:
            - name: MODE
              value: "1"
          readinessProbe:
            httpGet:
              path: /health
          livenessProbe:
            httpGet:
              path: /live
            periodSeconds: 15
"#;

fn parse(text: &str) -> Result<Ksvc, Vec<String>> {
    manifest::parse(Path::new("services/f.yaml"), text)
        .map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
}

#[test]
fn every_field_is_read() {
    let function = parse(GOOD).unwrap();
    assert_eq!(function.name, "f");
    let limits = &function.limits;
    assert_eq!((limits.min, limits.max), (1, 4));
    assert!((limits.target - 10.0).abs() < 1e-9);
    assert_eq!(limits.window, Duration::from_secs(90));
    assert_eq!(limits.retention, Duration::from_secs(300));
    assert_eq!(function.container_concurrency, Some(30));
    assert_eq!(function.container_port, 8080);
    assert_eq!(function.timeout, Duration::from_secs(60));
    assert_eq!(function.response_start_timeout, Duration::from_secs(20));
    assert_eq!(function.env, [("MODE".to_owned(), "1".to_owned())]);
    assert_eq!(function.readiness_path, "/health");
    let liveness = function.liveness.unwrap();
    assert_eq!(liveness.path, "/live");
    assert_eq!(liveness.period, Duration::from_secs(15));
    assert_eq!(liveness.timeout, Duration::from_secs(1));
    assert_eq!(liveness.failure_threshold, 3);
}

#[test]
fn the_smallest_file_gets_knatives_defaults() {
    let text = r#"apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: f}
spec:
  template:
    metadata: {annotations: {autoscaling.knative.dev/max-scale: "1"}}
    spec:
      containers:
        - ports: [{name: h2c, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /health}, periodSeconds: 0}
"#;
    assert_eq!(parse(text).unwrap(), Ksvc::new("f"));
}

/// (what, the text to replace, its replacement, where it is refused, part of the message)
const REFUSED: &[(&str, &str, &str, &str, &str)] = &[
    (
        "unknown field",
        "      timeoutSeconds: 60",
        "      timeoutSecond: 60",
        "17:7",
        "timeoutSecond",
    ),
    (
        "unknown annotation",
        "dev/window:",
        "dev/windows:",
        "13:9",
        "autoscaling.knative.dev/windows",
    ),
    (
        "unknown field of a container",
        "          env:",
        "          imagePullPolicy: x\n          env:",
        "23:11",
        "imagePullPolicy",
    ),
    (
        "another's image",
        "          env:",
        "          image: dev.local/zerocart/g:1\n          env:",
        "23:18",
        "image must be that of f",
    ),
    (
        "an image without a version",
        "          env:",
        "          image: dev.local/zerocart/f:latest\n          env:",
        "23:18",
        "a tag that is not `latest`",
    ),
    (
        "unknown security",
        "          env:",
        "          securityContext: {privileged: true}\n          env:",
        "23:29",
        "privileged",
    ),
    (
        "valueFrom",
        "value: \"1\"\n",
        "valueFrom: {}\n",
        "25:15",
        "valueFrom",
    ),
    (
        "unknown label",
        "  name: f",
        "  name: f\n  labels: {a: b}",
        "5:12",
        "unknown field `a`",
    ),
    (
        "number for a string",
        "value: \"1\"\n",
        "value: 1\n",
        "25:22",
        "string",
    ),
    (
        "unquoted annotation",
        "max-scale: \"4\"",
        "max-scale: 4",
        "10:44",
        "string",
    ),
    (
        "apiVersion",
        "serving.knative.dev/v1\n",
        "serving.knative.dev/v1beta1\n",
        "1:13",
        "apiVersion",
    ),
    ("kind", "kind: Service", "kind: Route", "2:7", "kind"),
    ("file name", "  name: f\n", "  name: g\n", "4:9", "g.yaml"),
    (
        "not a label",
        "  name: f\n",
        "  name: F_\n",
        "4:9",
        "DNS label",
    ),
    (
        "no max-scale",
        "        autoscaling.knative.dev/max-scale: \"4\"\n",
        "",
        "13:9",
        "max-scale",
    ),
    (
        "max-scale 0",
        "max-scale: \"4\"",
        "max-scale: \"0\"",
        "10:44",
        "at least 1",
    ),
    (
        "min above max",
        "min-scale: \"1\"",
        "min-scale: \"5\"",
        "9:44",
        "above max-scale 4",
    ),
    ("target", "target: \"20\"", "target: \"0\"", "11:41", "0.01"),
    (
        "target text",
        "target: \"20\"",
        "target: many",
        "11:41",
        "must be a number",
    ),
    (
        "utilization",
        "percentage: \"50\"",
        "percentage: \"0\"",
        "12:64",
        "between 1 and 100",
    ),
    (
        "short window",
        "window: 1m30s",
        "window: 5s",
        "13:41",
        "between 6s and 1h",
    ),
    (
        "long window",
        "window: 1m30s",
        "window: 61m",
        "13:41",
        "between 6s and 1h",
    ),
    (
        "split window",
        "window: 1m30s",
        "window: 6500ms",
        "13:41",
        "whole seconds",
    ),
    (
        "retention",
        "period: 5m",
        "period: soon",
        "14:69",
        "duration",
    ),
    (
        "concurrency",
        "containerConcurrency: 30",
        "containerConcurrency: 1001",
        "16:29",
        "1000",
    ),
    (
        "timeout above",
        "timeoutSeconds: 60",
        "timeoutSeconds: 601",
        "17:23",
        "600",
    ),
    (
        "timeout below",
        "timeoutSeconds: 60",
        "timeoutSeconds: 34",
        "17:23",
        "35",
    ),
    (
        "response start",
        "StartTimeoutSeconds: 20",
        "StartTimeoutSeconds: 61",
        "18:36",
        "60",
    ),
    ("port name", "name: h2c", "name: http1", "21:21", "h2c"),
    (
        "reserved port",
        "containerPort: 8080",
        "containerPort: 8012",
        "22:30",
        "reserved",
    ),
    (
        "reserved variable",
        "name: MODE",
        "name: K_SERVICE",
        "24:21",
        "K_SERVICE",
    ),
    (
        "twice",
        "            - name: MODE\n",
        "            - name: MODE\n              value: a\n            - name: MODE\n",
        "26:21",
        "twice",
    ),
    (
        "probe period",
        "              path: /health\n",
        "              path: /health\n            periodSeconds: 1\n",
        "29:28",
        "50 ms",
    ),
    (
        "probe path",
        "path: /health",
        "path: health",
        "28:21",
        "begin with '/'",
    ),
    (
        "liveness",
        "periodSeconds: 15",
        "periodSeconds: 0",
        "32:28",
        "livenessProbe.periodSeconds",
    ),
    ("not YAML", "kind: Service", "kind: [", "", ""),
];

#[test]
fn what_is_unknown_or_wrong_is_refused_where_it_stands() {
    for (what, old, new, place, message) in REFUSED {
        assert!(GOOD.contains(old), "{what}: {old:?} is not in the file");
        let wrong = parse(&GOOD.replacen(old, new, 1)).expect_err(what);
        assert_eq!(wrong.len(), 1, "{what}: {wrong:?}");
        let place = format!("services/f.yaml:{place}");
        assert!(
            wrong[0].starts_with(&place),
            "{what}: {} at {place}",
            wrong[0]
        );
        assert!(wrong[0].contains(message), "{what}: {}", wrong[0]);
    }
}

#[test]
fn all_that_is_wrong_is_reported_together() {
    let text = GOOD
        .replace("kind: Service", "kind: Route")
        .replace("\"4\"", "\"0\"")
        .replace("h2c", "http1");
    assert_eq!(parse(&text).unwrap_err().len(), 3);

    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(load_dir(folder.path()), Err(LoadError::Empty(_))));
    std::fs::write(folder.path().join("f.yaml"), GOOD).unwrap();
    std::fs::write(folder.path().join("g.yaml"), GOOD).unwrap();
    std::fs::write(folder.path().join("h.yaml"), "a: 1").unwrap();
    let error = load_dir(folder.path()).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].contains("g.yaml:4:9: "), "{error}");
    assert!(lines[1].contains("h.yaml:1:1: "), "{error}");
}

/// The files of a folder, without the list that kustomize reads.
fn manifests(folder: &Path) -> usize {
    assert!(folder.join("kustomization.yaml").is_file());
    std::fs::read_dir(folder).unwrap().count() - 1
}

#[test]
fn the_files_that_are_deployed_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../knative/services");
    let functions = load_dir(&folder).unwrap();
    assert_eq!(functions.len(), manifests(&folder));
    for function in functions {
        assert_eq!(function.limits.min, 0, "{} scales to zero", function.name);
        assert!(function.response_start_timeout < function.timeout);
    }
}

const GOOD_JOB: &str = r#"apiVersion: batch/v1
kind: CronJob
metadata:
  name: f
spec:
  schedule: "*/5 * * * *"
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      backoffLimit: 0
      activeDeadlineSeconds: 55
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: f
              env:
                - name: MODE
                  value: "1"
"#;

fn parse_job(text: &str) -> Result<Job, Vec<String>> {
    manifest::parse_job(Path::new("jobs/f.yaml"), text)
        .map_err(|wrong| wrong.iter().map(ToString::to_string).collect())
}

#[test]
fn every_field_of_a_job_is_read() {
    let job = Job {
        name: "f".to_owned(),
        schedule: "*/5 * * * *".parse().unwrap(),
        deadline: Duration::from_secs(55),
        env: vec![("MODE".to_owned(), "1".to_owned())],
    };
    assert_eq!(parse_job(GOOD_JOB).unwrap(), job);
}

#[test]
fn what_is_unknown_or_wrong_in_a_job_is_refused_where_it_stands() {
    for (old, new, place, message) in [
        ("batch/v1", "batch/v1beta1", "1:13", "apiVersion"),
        ("kind: CronJob", "kind: Job", "2:7", "kind"),
        ("  name: f\nspec", "  name: g\nspec", "4:9", "g.yaml"),
        ("*/5 * * * *", "5 * * * *", "6:13", "knows no other"),
        ("Forbid", "Allow", "7:22", "concurrencyPolicy"),
        (
            "  concurrencyPolicy: Forbid\n",
            "",
            "7:3",
            "concurrencyPolicy",
        ),
        (
            "  jobTemplate:",
            "  suspend: true\n  jobTemplate:",
            "8:3",
            "suspend",
        ),
        (
            "backoffLimit: 0",
            "backoffLimit: 6",
            "10:21",
            "between 0 and 0",
        ),
        (
            "activeDeadlineSeconds: 55",
            "activeDeadlineSeconds: 0",
            "11:30",
            "between 1 and",
        ),
        ("Never", "OnFailure", "14:26", "restartPolicy"),
        ("- name: f", "- name: g", "16:21", "the container's name"),
        (
            "              env:",
            "              image: x\n              env:",
            "17:22",
            "image must be that of f",
        ),
        ("name: MODE", "name: LISTEN", "18:25", "LISTEN"),
    ] {
        assert!(GOOD_JOB.contains(old), "{old:?} is not in the file");
        let wrong = parse_job(&GOOD_JOB.replacen(old, new, 1)).expect_err(new);
        let place = format!("jobs/f.yaml:{place}: ");
        // The name is also the container's.
        let wrong: Vec<_> = wrong.iter().filter(|one| one.starts_with(&place)).collect();
        assert_eq!(wrong.len(), 1, "{new}: {wrong:?}, not at {place}");
        assert!(wrong[0].contains(message), "{new}: {}", wrong[0]);
    }
}

#[test]
fn the_jobs_that_are_deployed_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../knative/jobs");
    let jobs = load_jobs(&folder).unwrap();
    assert_eq!(jobs.len(), manifests(&folder));
}
