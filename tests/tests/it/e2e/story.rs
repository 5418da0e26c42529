//! The stories that `just test-api` tells, through the gateway of an engine at zero.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
};

use zerocart_auth::Token;
use zerocart_conformance::{self as conformance, Plan, Stop, Told, edge};
use zerocart_tests::functions::EDGE;

use super::{
    engine::{Data, Engine},
    leaks::Leaks,
    spans,
    telemetry::{command, metrics},
};

/// How many addresses the stories call from: the gateway lets 10 requests a minute through from one
/// address to sign in, and stories that wait for the next minute are no fun.
const SOURCES: u8 = 20;

/// The same stories, and the same answers to the letter: what no story looks at is compared too.
#[tokio::test(flavor = "multi_thread")]
async fn processes_and_one_process_tell_the_same() {
    let (data, other) = (Data::new(), Data::new());
    let options = ["--log-level", "debug", "--trace-memory", "128"];
    let engine = Engine::start_with(&data, &options).await;
    let processes = from_zero(&engine).await;
    // Each of them was called, or called by another; none ended but because it was told to.
    let functions = engine.ps().await.into_iter();
    for function in functions.filter(|f| !EDGE.contains(&f.name.as_str())) {
        assert!(function.cold_starts > 0, "{} never ran", function.name);
        assert_eq!(function.crashes, 0, "{}", function.name);
    }
    no_secret_is_written(&data, engine, &processes).await;

    let engine = Engine::start_with(&other, &["--in-process"]).await;
    let one_process = from_zero(&engine).await;
    stories_can_be_told_again(&engine).await;
    engine.stop().await;

    let differences = processes.transcript.differences(&one_process.transcript);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(processes.answers, one_process.answers);
}

/// Neither in a span nor in a metric, nor in a log of a function, of the engine or of PostgreSQL.
async fn no_secret_is_written(data: &Data, engine: Engine, told: &Told) {
    assert!(told.secrets.len() > 100, "{}", told.secrets.len());
    let traces = command(data, &["traces", "--json", "--limit", "1000000"]).await;
    let spans = spans::read(&traces.expect("it prints the traces"));
    let metrics = metrics(data).await;
    let (email, password) = engine.admin_credential().expect("the first start shows it");
    let mut leaks = Leaks::of(&told.secrets);
    // A person needs them to begin.
    leaks.allow(format!("e-mail    {email}"));
    leaks.allow(format!("password  {password}"));
    let output = data.file("output");
    engine.stop().await;
    leaks.in_spans(&spans);
    for series in metrics.keys() {
        leaks.in_text("the metrics", series);
    }
    let output = fs::read_to_string(output).expect("it is text");
    // Examples of requests.
    let examples = output.lines().map(str::trim);
    let examples = examples.filter(|line| line.starts_with("curl "));
    examples.for_each(|line| leaks.allow(line.to_owned()));
    leaks.in_lines("the engine's output", &output);
    assert!(leaks.in_logs(&data.path()) > 2);
    assert!(leaks.looked > 10_000, "{}", leaks.looked);
    leaks.found.truncate(20);
    assert!(leaks.found.is_empty(), "{}", leaks.found.join("\n"));
    // And all of it is as the conventions of OpenTelemetry say.
    let wrong = spans.iter().filter_map(|span| {
        let wrong = span.wrong();
        (!wrong.is_empty()).then(|| format!("{wrong:?}: {span:?}"))
    });
    let wrong: Vec<_> = wrong.take(20).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// On the same system, and then with a token that is no admin's.
async fn stories_can_be_told_again(engine: &Engine) {
    let mut plan = plan(engine, engine.sign_in_admin().await);
    plan.only = vec!["retry".to_owned(), "declined".to_owned()];
    assert_eq!(tell(&plan).await.expect("all is so").stories, 4);
    plan.admin = Token::new("nonsense");
    match tell(&plan).await {
        Err(Stop::Failed(failed)) => {
            assert_eq!(failed.function, "set-failure-rate");
            assert!(failed.got.contains("401"), "{failed}");
        }
        other => panic!("{other:?}"),
    }
    plan.only = vec!["nonsense".to_owned()];
    assert!(matches!(tell(&plan).await, Err(Stop::Unknown(_))));
}

/// Tells all stories, of which the first one finds nothing that runs.
async fn from_zero(engine: &Engine) -> Told {
    for function in engine.ps().await {
        assert!(
            function.instances.is_empty(),
            "{} runs before anyone called",
            function.name
        );
    }
    let plan = plan(engine, engine.sign_in_admin().await);
    let told = tell(&plan).await.unwrap_or_else(|stop| panic!("{stop}"));
    assert_eq!(told.stories, conformance::ALL.len() * plan.wires.len());
    assert!(told.answers > 10 * told.stories, "{}", told.answers);
    told
}

fn plan(engine: &Engine, authorization: String) -> Plan {
    let url = format!("http://{}", engine.gateway());
    let url = url.parse().expect("an address is a URL");
    let admin = Token::new(authorization.trim_start_matches("Bearer "));
    Plan {
        sources: (1..=SOURCES)
            .map(|n| IpAddr::from(Ipv4Addr::new(127, 0, 1, n)))
            .collect(),
        ..Plan::new(url, admin, edge::KONG)
    }
}

/// Tells them, and shows what was told when one fails.
async fn tell(plan: &Plan) -> Result<Told, Stop> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let say = Arc::new(move |line: &str| {
        let mut lines = heard.lock().expect("nobody panics here");
        lines.push(line.to_owned());
    });
    let told = conformance::run(plan, say, std::future::pending()).await;
    if let Err(Stop::Failed(_)) = &told {
        let lines = lines.lock().expect("nobody panics here");
        eprintln!("{}", lines.join("\n"));
    }
    told
}
