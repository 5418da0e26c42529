//! Faults as data: a TOML or JSON file of timed steps.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use zerocart_proto::{payment::ProviderFailure, rpc};

/// The faults of a run without `--faults`.
const DEFAULT: &str = include_str!("../../faults/default.toml");

/// The longest delay and the longest commit delay, in milliseconds. The second is PostgreSQL's own limit.
const MAX_DELAY_MS: i32 = 60_000;
const MAX_COMMIT_DELAY_MS: i32 = 100;

/// The last second at which a fault may begin or end.
const MAX_S: f64 = 3_600.0;

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The simulated payment provider fails, or is slow.
    Payment {
        failure_rate: f64,
        failures: Vec<String>,
        min_delay_ms: i32,
        max_delay_ms: i32,
    },
    /// Each request of the shoppers takes longer on its way.
    Latency { delay_ms: i32 },
    /// A share of the answers to the shoppers is lost on the way.
    Errors { share: f64 },
    /// Each commit of PostgreSQL waits, as for a slow disk.
    SlowCommits { delay_ms: i32 },
    /// The database of a domain ends all sessions, and takes no new ones.
    RefusedSessions { domain: String },
    /// The processes of functions do not run, and do not end.
    Pause { functions: Vec<String> },
    /// The processes of functions are killed with SIGKILL.
    Kill {
        functions: Vec<String>,
        every_s: Option<f64>,
    },
    /// PostgreSQL is down.
    DatabaseStop { crash: bool },
}

impl Kind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Payment { .. } => "payment",
            Self::Latency { .. } => "latency",
            Self::Errors { .. } => "errors",
            Self::SlowCommits { .. } => "slow-commits",
            Self::RefusedSessions { .. } => "refused-sessions",
            Self::Pause { .. } => "pause",
            Self::Kill { .. } => "kill",
            Self::DatabaseStop { .. } => "database-stop",
        }
    }

    /// Whether it needs the engine itself, and not only its public address.
    pub(crate) fn needs_engine(&self) -> bool {
        !matches!(
            self,
            Self::Payment { .. } | Self::Latency { .. } | Self::Errors { .. }
        )
    }

    /// What it does, for people.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Payment {
                failure_rate,
                failures,
                min_delay_ms,
                max_delay_ms,
            } => {
                let how = match failures.is_empty() {
                    true => "in any way".to_owned(),
                    false => failures.join(", "),
                };
                format!(
                    "{:.0} % of the charges fail ({how}), {min_delay_ms} to {max_delay_ms} ms each",
                    failure_rate * 100.0
                )
            }
            Self::Latency { delay_ms } => format!("each request takes {delay_ms} ms more"),
            Self::Errors { share } => format!("{:.0} % of the answers are lost", share * 100.0),
            Self::SlowCommits { delay_ms } => format!("each commit waits up to {delay_ms} ms"),
            Self::RefusedSessions { domain } => {
                format!("the {domain} database ends its sessions and takes no new ones")
            }
            Self::Pause { functions } => format!("SIGSTOP of {}", functions.join(", ")),
            Self::Kill { functions, every_s } => match every_s {
                None => format!("SIGKILL of {}", functions.join(", ")),
                Some(every) => format!("SIGKILL of {}, every {every} s", functions.join(", ")),
            },
            Self::DatabaseStop { crash: true } => "PostgreSQL crashes, and stays down".to_owned(),
            Self::DatabaseStop { crash: false } => "PostgreSQL is stopped".to_owned(),
        }
    }
}

/// A fault, and when it happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) name: String,
    /// Seconds after the load has begun.
    pub(crate) at_s: f64,
    /// 0 for a single kill.
    pub(crate) for_s: f64,
    /// The circuit breaker that must open because of it, and close again.
    pub(crate) opens: Option<String>,
    pub(crate) what: Kind,
}

impl Fault {
    pub(crate) fn end_s(&self) -> f64 {
        self.at_s + self.for_s
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fault: Vec<Raw>,
}

/// A fault as it is written. Which fields it has depends on its kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    kind: String,
    at_s: f64,
    for_s: Option<f64>,
    opens: Option<String>,
    failure_rate: Option<f64>,
    failures: Option<Vec<String>>,
    min_delay_ms: Option<i32>,
    max_delay_ms: Option<i32>,
    delay_ms: Option<i32>,
    share: Option<f64>,
    domain: Option<String>,
    functions: Option<Vec<String>>,
    every_s: Option<f64>,
    crash: Option<bool>,
}

/// The faults of a file, or those of this project; in the order of their begin.
///
/// # Errors
///
/// When the file cannot be read, or a fault is not valid: with the number of the fault and the field.
pub(crate) fn read(file: Option<&Path>) -> Result<Vec<Fault>> {
    let Some(file) = file else {
        return parse(DEFAULT, false);
    };
    let cure = || format!("--faults {}", file.display());
    let json = match file.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => false,
        Some("json") => true,
        _ => bail!(
            "{}: the name must end in .toml or .json, which says how it is read",
            cure()
        ),
    };
    let text = std::fs::read_to_string(file).with_context(cure)?;
    parse(&text, json).with_context(cure)
}

fn parse(text: &str, json: bool) -> Result<Vec<Fault>> {
    let file: File = match json {
        true => serde_json::from_str(text)?,
        false => toml::from_str(text)?,
    };
    let mut faults = Vec::new();
    for (n, raw) in file.fault.into_iter().enumerate() {
        let name = raw.name.clone();
        let fault = fault(raw).with_context(|| format!("fault {} ({name:?})", n + 1))?;
        faults.push(fault);
    }
    faults.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    for (n, later) in faults.iter().enumerate() {
        let same = faults[..n].iter().find(|earlier| {
            earlier.what.name() == later.what.name() && earlier.end_s() > later.at_s
        });
        if let Some(earlier) = same {
            bail!(
                "fault {:?}, at_s: it begins before {:?} of the same kind ends ({} s)",
                later.name,
                earlier.name,
                earlier.end_s()
            );
        }
    }
    Ok(faults)
}

/// The names of the fields that are set and belong to some kinds only.
fn given(raw: &Raw) -> Vec<&'static str> {
    let fields = [
        ("failure_rate", raw.failure_rate.is_some()),
        ("failures", raw.failures.is_some()),
        ("min_delay_ms", raw.min_delay_ms.is_some()),
        ("max_delay_ms", raw.max_delay_ms.is_some()),
        ("delay_ms", raw.delay_ms.is_some()),
        ("share", raw.share.is_some()),
        ("domain", raw.domain.is_some()),
        ("functions", raw.functions.is_some()),
        ("every_s", raw.every_s.is_some()),
        ("crash", raw.crash.is_some()),
    ];
    let given = fields.into_iter().filter(|(_, given)| *given);
    given.map(|(name, _)| name).collect()
}

/// The kinds, and the fields of each.
const KINDS: [(&str, &[&str]); 8] = [
    (
        "payment",
        &["failure_rate", "failures", "min_delay_ms", "max_delay_ms"],
    ),
    ("latency", &["delay_ms"]),
    ("errors", &["share"]),
    ("slow-commits", &["delay_ms"]),
    ("refused-sessions", &["domain"]),
    ("pause", &["functions"]),
    ("kill", &["functions", "every_s"]),
    ("database-stop", &["crash"]),
];

fn fault(raw: Raw) -> Result<Fault> {
    let known = KINDS.iter().find(|(kind, _)| *kind == raw.kind);
    let Some((_, fields)) = known else {
        let kinds: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
        bail!("kind: must be one of {}", kinds.join(", "));
    };
    for field in given(&raw) {
        let kind = &raw.kind;
        ensure!(
            fields.contains(&field),
            "{field}: a fault of the kind {kind} has no such field, but {}",
            fields.join(", ")
        );
    }
    ensure!(!raw.name.trim().is_empty(), "name: must not be empty");
    within("at_s", raw.at_s, 0.0, MAX_S)?;
    let single = raw.kind == "kill" && raw.every_s.is_none();
    let for_s = match (raw.for_s, single) {
        (Some(_), true) => bail!("for_s: a kill lasts only with every_s"),
        (None, true) => 0.0,
        (Some(for_s), false) => within("for_s", for_s, 0.1, MAX_S)?,
        (None, false) => bail!("for_s: is missing: how many seconds does it last?"),
    };
    let breakers = breakers();
    if let Some(opens) = &raw.opens {
        ensure!(
            breakers.contains(&opens.as_str()),
            "opens: must be a circuit breaker that all instances share: {}",
            breakers.join(", ")
        );
    }
    Ok(Fault {
        at_s: raw.at_s,
        for_s,
        opens: raw.opens.clone(),
        name: raw.name.clone(),
        what: kind(raw)?,
    })
}

/// The functions around whose calls there is a breaker in a database.
pub(crate) fn breakers() -> [&'static str; 3] {
    use rpc::Rpc;
    [
        rpc::ProcessPayment::INFO.name,
        rpc::UpdateInventory::INFO.name,
        rpc::GetProduct::INFO.name,
    ]
}

fn kind(raw: Raw) -> Result<Kind> {
    Ok(match raw.kind.as_str() {
        "payment" => {
            let rate = raw.failure_rate.context("failure_rate: is missing")?;
            let min = delay("min_delay_ms", raw.min_delay_ms.unwrap_or(0), MAX_DELAY_MS)?;
            let max = delay(
                "max_delay_ms",
                raw.max_delay_ms.unwrap_or(min),
                MAX_DELAY_MS,
            )?;
            ensure!(min <= max, "min_delay_ms: is more than max_delay_ms");
            Kind::Payment {
                failure_rate: within("failure_rate", rate, 0.0, 1.0)?,
                failures: failures(raw.failures.unwrap_or_default())?,
                min_delay_ms: min,
                max_delay_ms: max,
            }
        }
        "errors" => {
            let share = raw.share.context("share: is missing")?;
            // With all answers lost, no request would ever end.
            let share = within("share", share, 0.001, 0.9)?;
            Kind::Errors { share }
        }
        "latency" | "slow-commits" => {
            let delay_ms = raw.delay_ms.context("delay_ms: is missing")?;
            ensure!(delay_ms > 0, "delay_ms: must be more than 0");
            match raw.kind.as_str() {
                "latency" => Kind::Latency {
                    delay_ms: delay("delay_ms", delay_ms, MAX_DELAY_MS)?,
                },
                _ => Kind::SlowCommits {
                    delay_ms: delay("delay_ms", delay_ms, MAX_COMMIT_DELAY_MS)?,
                },
            }
        }
        "refused-sessions" => {
            let domain = raw.domain.context("domain: is missing")?;
            let domains = crate::binaries::domains();
            ensure!(
                domains.contains(&domain.as_str()),
                "domain: must be one of {}",
                domains.join(", ")
            );
            Kind::RefusedSessions { domain }
        }
        "pause" => Kind::Pause {
            functions: functions(raw.functions)?,
        },
        "kill" => Kind::Kill {
            functions: functions(raw.functions)?,
            every_s: match raw.every_s {
                Some(every) => Some(within("every_s", every, 0.1, MAX_S)?),
                None => None,
            },
        },
        _ => Kind::DatabaseStop {
            crash: raw.crash.unwrap_or(false),
        },
    })
}

fn within(field: &str, value: f64, least: f64, most: f64) -> Result<f64> {
    ensure!(
        (least..=most).contains(&value),
        "{field}: must be a number from {least} to {most}"
    );
    Ok(value)
}

fn delay(field: &str, value: i32, most: i32) -> Result<i32> {
    ensure!(
        (0..=most).contains(&value),
        "{field}: must be a number of milliseconds from 0 to {most}"
    );
    Ok(value)
}

fn failures(names: Vec<String>) -> Result<Vec<String>> {
    const ALL: [ProviderFailure; 3] = [
        ProviderFailure::GatewayTimeout,
        ProviderFailure::InsufficientFunds,
        ProviderFailure::TemporarilyUnavailable,
    ];
    let all = ALL.map(|failure| failure.as_str_name());
    let known = |name: &String| all.contains(&name.as_str());
    ensure!(
        names.iter().all(known),
        "failures: must be among {}",
        all.join(", ")
    );
    Ok(names)
}

fn functions(names: Option<Vec<String>>) -> Result<Vec<String>> {
    let names = names.unwrap_or_default();
    ensure!(!names.is_empty(), "functions: name at least one function");
    for name in &names {
        let known = rpc::ALL.iter().any(|info| info.name == name);
        ensure!(
            known,
            "functions: there is no function {name:?}; `zerocart ps` lists them"
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: &str =
        "[[fault]]\nname = \"down\"\nkind = \"payment\"\nat_s = 1\nfor_s = 2\nfailure_rate = 1\n";

    #[test]
    fn the_faults_of_this_project_are_valid_and_open_the_breaker() {
        let faults = read(None).unwrap();
        assert!(faults.is_sorted_by(|a, b| a.at_s <= b.at_s));
        let opens: Vec<_> = faults.iter().filter_map(|f| f.opens.as_deref()).collect();
        assert!(opens.contains(&"process-payment"), "{opens:?}");
        for kind in KINDS.map(|(kind, _)| kind) {
            let there = faults.iter().any(|fault| fault.what.name() == kind);
            assert!(there, "no fault of the kind {kind}");
        }
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let json = r#"{"fault": [{"name": "down", "kind": "payment", "at_s": 1, "for_s": 2, "failure_rate": 1}]}"#;
        let faults = parse(PAYMENT, false).unwrap();
        assert_eq!(faults, parse(json, true).unwrap());
        assert_eq!(faults[0].end_s(), 3.0);
        assert!(!faults[0].what.needs_engine());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fault = |text: &str| format!("[[fault]]\nname = \"x\"\nat_s = 1\n{text}\n");
        let cases = [
            ("kind = \"meteor\"", "kind: must be one of payment, latency"),
            ("kind = \"latency\"\nfor_s = 1", "delay_ms: is missing"),
            (
                "kind = \"latency\"\nfor_s = 1\ndelay_ms = 0",
                "delay_ms: must be more",
            ),
            (
                "kind = \"latency\"\nfor_s = 1\ndelay_ms = 60001",
                "delay_ms: must be a number",
            ),
            ("kind = \"latency\"\ndelay_ms = 5", "for_s: is missing"),
            (
                "kind = \"latency\"\nfor_s = 1\ndelay_ms = 5\nshare = 0.1",
                "share: a fault of the kind latency has no such field, but delay_ms",
            ),
            (
                "kind = \"errors\"\nfor_s = 1\nshare = 1",
                "share: must be a number from 0.001 to 0.9",
            ),
            (
                "kind = \"slow-commits\"\nfor_s = 1\ndelay_ms = 101",
                "delay_ms: must be a number of milliseconds from 0 to 100",
            ),
            (
                "kind = \"kill\"\nfunctions = [\"get-prodct\"]",
                "functions: there is no function \"get-prodct\"",
            ),
            ("kind = \"kill\"", "functions: name at least one"),
            (
                "kind = \"kill\"\nfunctions = [\"get-cart\"]\nfor_s = 2",
                "for_s: a kill lasts only with every_s",
            ),
            (
                "kind = \"refused-sessions\"\nfor_s = 1\ndomain = \"orders\"",
                "domain: must be one of cart, ops, order",
            ),
            (
                "kind = \"payment\"\nfor_s = 1\nfailure_rate = 1.5",
                "failure_rate: must be a number from 0 to 1",
            ),
            (
                "kind = \"payment\"\nfor_s = 1\nfailure_rate = 1\nfailures = [\"FIRE\"]",
                "failures: must be among GATEWAY_TIMEOUT",
            ),
            (
                "kind = \"payment\"\nfor_s = 1\nfailure_rate = 1\nmin_delay_ms = 9\nmax_delay_ms = 5",
                "min_delay_ms: is more",
            ),
            (
                "kind = \"database-stop\"\nfor_s = 0",
                "for_s: must be a number from 0.1",
            ),
            (
                "kind = \"database-stop\"\nfor_s = 1\nopens = \"get-cart\"",
                "opens: must be a circuit breaker",
            ),
            (
                "kind = \"database-stop\"\nfor_s = 1\nhow = \"hard\"",
                "unknown field `how`",
            ),
            ("kind = \"database-stop\"\nfor_s = \"long\"", "for_s"),
        ];
        for (text, says) in cases {
            let error = parse(&fault(text), false).unwrap_err();
            let told = format!("{error:#}");
            assert!(told.contains(says), "{says:?} is not in {told:?}");
        }
        let numbered = format!("{PAYMENT}{}", fault("kind = \"meteor\""));
        let told = format!("{:#}", parse(&numbered, false).unwrap_err());
        assert!(told.contains("fault 2 (\"x\")"), "{told}");
        let twice = format!("{PAYMENT}{PAYMENT}");
        let told = format!("{:#}", parse(&twice, false).unwrap_err());
        assert!(told.contains("at_s: it begins before"), "{told}");
        let told = format!("{:#}", read(Some(Path::new("faults.yaml"))).unwrap_err());
        assert!(
            told.contains("--faults faults.yaml") && told.contains(".toml or .json"),
            "{told}"
        );
    }
}
