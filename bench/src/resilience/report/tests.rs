use super::*;
use crate::resilience::faults;

fn report() -> Report {
    let fault = faults::read(None).unwrap().remove(0);
    let breaker = fault.opens.clone().unwrap();
    let cycle = Cycle {
        breaker,
        of: "order".into(),
        opened_s: fault.at_s + 2.0,
        failures: 3,
        half_open_s: Some(fault.at_s + 32.0),
        failed_probes: 0,
        closed_s: Some(fault.at_s + 33.0),
        successes: Some(2),
    };
    Report {
        about: About::now(1, "15.1", None),
        version: "0.1.0",
        base_url: None,
        seconds: 60,
        visits_per_s: 5.0,
        visits: 300,
        planned_requests: 900,
        accounts: 40,
        limit_ms: 1_000.0,
        open_for_s: 30.0,
        disturbances: vec![Disturbance {
            happened: Happened {
                began_s: fault.at_s,
                ended_s: fault.end_s(),
                processes: 0,
                fault,
            },
            effects: Vec::new(),
        }],
        missing: Vec::new(),
        observed: Observed::Exactly,
        cycles: vec![cycle],
        breakers_wrong: Vec::new(),
        changes: Vec::new(),
        by_second: vec![Second::default(); 60],
        functions: vec![Row::default()],
        wrong_answers: Vec::new(),
        conserved: Conserved {
            orders: [("PAID".into(), 3)].into(),
            ..Conserved::default()
        },
    }
}

#[test]
fn all_that_is_wrong_fails_the_check() {
    assert_eq!(report().failures(), Vec::<String>::new());
    type Break = fn(&mut Report);
    let breaks: [(&str, Break); 7] = [
        ("2 requests got no answer", |r| r.functions[0].lost = 2),
        ("did not open", |r| r.cycles.clear()),
        ("did not open", |r| r.cycles[0].opened_s = 0.0),
        ("did not close", |r| r.cycles[0].closed_s = None),
        ("against the rules", |r| {
            r.breakers_wrong = vec!["against the rules".into()]
        }),
        ("lost", |r| r.conserved.wrong = vec!["lost".into()]),
        ("did not happen", |r| {
            r.missing = vec![r.disturbances[0].happened.fault.clone()];
        }),
    ];
    for (says, break_it) in breaks {
        let mut broken = report();
        break_it(&mut broken);
        let verdict = broken.verdict();
        assert!(
            verdict.starts_with("FAIL (1)") && verdict.contains(says),
            "{says}: {verdict}"
        );
    }
}

#[test]
fn the_page_says_what_was_checked_and_how_large_samples_are() {
    let mut report = report();
    report.functions = vec![
        Row {
            function: "get-cart".into(),
            requests: 413,
            calm: 99,
            calm_p50_ms: 3.21,
            calm_p99_ms: 36.4,
            p50_ms: 3.4,
            p99_ms: 32_571.4,
            max_ms: 34_701.3,
            sent_p99_ms: 203.6,
            ..Row::default()
        },
        Row {
            function: "clear-cart".into(),
            requests: 59,
            max_ms: 28.4,
            ..Row::default()
        },
    ];
    report.conserved.orders.insert("FAILED".into(), 2);
    (report.conserved.customers, report.conserved.carts) = (40, 39);
    let page = report.page();
    for text in [
        "**PASS: 1 faults; 5 orders: 3 paid, 2 declined or cancelled. All orders, stock",
        "| get-cart | 413 | 0 | 0 | 0 | 99 | 3.2 | – | 3.4 | 32.6 s | 34.7 s | 203.6 |",
        "| clear-cart | 59 | 0 | 0 | 0 | 0 | – | – | 0.0 | – | 28.4 | – |",
        "minus what was bought | 39 of 40 |",
        "The breakers that opened kept their rules.",
    ] {
        assert!(page.contains(text), "{text}\n{page}");
    }
}

#[test]
fn charges_must_be_those_of_the_paid_orders() {
    let conserved = Conserved::of(&Books::default(), Some((1, 475)), 0.0);
    let said = conserved.wrong.join("; ");
    assert!(said.contains("no order was made"), "{said}");
    assert!(said.contains("1 charges of 475 cents stand"), "{said}");
}

#[test]
fn the_page_shows_its_diagrams() {
    let folder = tempfile::tempdir().unwrap();
    report().write(folder.path()).unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let page = read("resilience.md");
    for name in ["resilience-timeline.svg", "resilience-breaker.svg"] {
        assert!(page.contains(name), "{page}");
        assert!(read(name).contains("time, s"), "{name}");
    }
    assert!(read("resilience-breaker.svg").contains("3 failures open it"));
    let json: serde_json::Value = serde_json::from_str(&read("resilience.json")).unwrap();
    assert_eq!(json["cycles"][0]["failures"], 3);
}
