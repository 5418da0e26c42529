//! The way out of AWS Lambda: the Collector reads the functions' lines from CloudWatch, which moto emulates.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderValue, Method};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};
use zerocart_test_support::clients;
use zerocart_tests::root;

use super::{
    super::{stage::send, until},
    agrees, counted_here, half,
    otelcol::{OtelCollector, Receiver, tool},
    written,
};

/// What a process writes to its log, and Lambda beside it.
const LAMBDA: [&str; 2] = [
    "START RequestId: 6f5a1c1e-5e0b-4c55-8d0e-2f6b3a7f6a11 Version: $LATEST",
    "REPORT RequestId: 6f5a1c1e-5e0b-4c55-8d0e-2f6b3a7f6a11\tDuration: 12.35 ms\tMax Memory Used: 21 MB",
];

/// Lines of the second part are of a time to come. The receiver reads what is before now, and does not look back: a
/// line that CloudWatch takes in after that is never read.
const LATER: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenTelemetry Collector and moto: just collector-test"]
async fn a_real_collector_reads_from_cloudwatch_what_functions_on_lambda_wrote() {
    let logs = written().await;
    let all: String = logs.iter().map(|(_, text)| text.as_str()).collect();
    let wanted = counted_here(&logs);
    let configuration = root().join("observability/lambda.yaml");

    let cloudwatch = CloudWatch::start().await;
    for group in groups(&configuration) {
        cloudwatch.create(&group).await;
    }
    for (name, text) in &logs {
        cloudwatch.write(name, &half(text).0, Duration::ZERO).await;
    }
    let receiver = Receiver::start().await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let often = folder.path().join("often.yaml");
    fs::write(
        &often,
        "receivers: {awscloudwatch: {logs: {poll_interval: 1s}}}",
    )
    .expect("a file can be written");
    let endpoint = format!("http://{}", cloudwatch.address);
    let env = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        // No log of this machine is one of a pod.
        ("LOGS", "/nonexistent"),
    ]
    .map(|(name, value)| (name, OsStr::new(value)));
    let collector = OtelCollector::start_with(&[&configuration, &often], &env, &receiver).await;
    for (name, text) in &logs {
        cloudwatch.write(name, &half(text).1, LATER).await;
    }

    agrees(&collector, &receiver, &all, &wanted).await;
    collector.stop().await;
}

/// The log groups that a configuration names.
fn groups(configuration: &Path) -> Vec<String> {
    let text = fs::read_to_string(configuration).expect("it can be read");
    let lines = text.lines().map(str::trim);
    let names = lines.filter(|line| line.starts_with("/aws/lambda/"));
    names
        .filter_map(|line| line.strip_suffix(':'))
        .map(str::to_owned)
        .collect()
}

/// An emulation of CloudWatch Logs. Killed when this is dropped.
struct CloudWatch {
    address: SocketAddr,
    _process: Child,
}

impl CloudWatch {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let address = listener.and_then(|listener| listener.local_addr());
        let address = address.expect("there is a free port");
        let process = Command::new(tool("moto_server", "collector-test"))
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("moto can be started");
        let cloudwatch = Self {
            address,
            _process: process,
        };
        until("moto answers", async || {
            cloudwatch.call("DescribeLogGroups", &json!({})).await
        })
        .await;
        cloudwatch
    }

    /// A log group with one stream.
    async fn create(&self, group: &str) {
        let name = json!({"logGroupName": group});
        self.done("CreateLogGroup", &name).await;
        let stream = json!({"logGroupName": group, "logStreamName": "one"});
        self.done("CreateLogStream", &stream).await;
    }

    /// Writes lines to the log of a function, with Lambda's own around them.
    async fn write(&self, function: &str, text: &str, later: Duration) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = now.expect("it is after 1970") + later;
        let lines = LAMBDA.into_iter().chain(text.lines());
        let events: Vec<_> = lines
            .map(|line| json!({"timestamp": time.as_millis() as u64, "message": line}))
            .collect();
        let put = json!({
            "logGroupName": format!("/aws/lambda/{function}"),
            "logStreamName": "one",
            "logEvents": events,
        });
        self.done("PutLogEvents", &put).await;
    }

    async fn done(&self, action: &str, body: &Value) {
        let reply = self.call(action, body).await;
        assert!(reply.is_some(), "moto refuses {action}");
    }

    async fn call(&self, action: &str, body: &Value) -> Option<()> {
        let mut request: http::Request<clients::Body> =
            clients::request(Method::POST, "/", body.to_string());
        let target = format!("Logs_20140328.{action}");
        for (name, value) in [
            ("x-amz-target", target.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=testing/20261128/eu-central-1/logs/aws4_request, \
                 SignedHeaders=host, Signature=none",
            ),
        ] {
            let value = HeaderValue::from_str(value).expect("it is a header's value");
            request.headers_mut().insert(name, value);
        }
        let reply = send(self.address, request).await?;
        reply.status.is_success().then_some(())
    }
}
