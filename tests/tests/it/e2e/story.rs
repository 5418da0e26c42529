//! The stories that `just test-api` tells, through the gateway of an engine at zero.

use std::sync::{Arc, Mutex};

use zerocart_auth::Token;
use zerocart_tests::stories::{self, Plan, Stop, Told};

use super::engine::{Data, Engine};

#[tokio::test(flavor = "multi_thread")]
async fn processes_tell_every_story() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let told = from_zero(&engine).await;
    // Each of them was called, or called by another; none ended but because it was told to.
    for function in engine.ps().await {
        assert!(function.cold_starts > 0, "{} never ran", function.name);
        assert_eq!(function.crashes, 0, "{}", function.name);
    }
    engine.stop().await;
    assert_eq!(told.stories, stories::ALL.len() * stories::WIRES.len());
    assert!(told.answers > 10 * told.stories, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_tells_every_story() {
    let data = Data::new();
    let engine = Engine::start_with(&data, &["--in-process"]).await;
    let told = from_zero(&engine).await;
    assert_eq!(told.stories, stories::ALL.len() * stories::WIRES.len());

    // Again on the same system, and then with a token that is no admin's.
    let mut plan = plan(&engine, engine.sign_in_admin().await);
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
    engine.stop().await;
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
    tell(&plan).await.unwrap_or_else(|stop| panic!("{stop}"))
}

fn plan(engine: &Engine, authorization: String) -> Plan {
    let url = format!("http://{}", engine.gateway());
    Plan {
        url: url.parse().expect("an address is a URL"),
        admin: Token::new(authorization.trim_start_matches("Bearer ")),
        wires: stories::WIRES.to_vec(),
        only: Vec::new(),
        failure_rate: 0.3,
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
    let told = stories::run(plan, say, std::future::pending()).await;
    if let Err(Stop::Failed(_)) = &told {
        let lines = lines.lock().expect("nobody panics here");
        eprintln!("{}", lines.join("\n"));
    }
    told
}
