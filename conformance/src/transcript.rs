//! Every answer of a run, without what differs from run to run: two engines give the same.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    sync::LazyLock,
};

use regex::{Captures, Regex};
use serde_json::json;
use tonic::Code;
use zerocart_proto::rpc::Info;
use zerocart_wires::Wire;

use super::edge::Edge;

/// How much of two texts is shown from the place on where they part, in characters.
const SHOWN: usize = 160;

/// What is said of an answer that is the edge's on one engine and the function's on another.
pub(super) const VARIES: &str = "refused by the edge or by the function";

/// What is said of a success whose content is what happens on that engine.
pub(super) const OF_ENGINE: &str = "what the engine knows";

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The story in which it was asked for.
    pub story: String,
    /// REST, or gRPC for native gRPC and gRPC-Web alike: they carry the same messages.
    pub protocol: &'static str,
    /// The function that was called.
    pub function: &'static str,
    /// Who asked for what.
    pub asked: String,
    /// All that came back: status, headers and body, or code, details and message.
    pub answer: String,
    /// Its code.
    pub code: Code,
    /// Whether it was asked for under an idempotency key.
    pub keyed: bool,
}

/// Every answer of a run, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript(Vec<Entry>);

/// REST, or gRPC by whichever of its forms.
pub fn protocol(wire: Wire) -> &'static str {
    match wire.is_json() {
        true => "REST",
        false => "gRPC",
    }
}

impl Transcript {
    /// The answers.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    pub(super) fn extend(&mut self, entries: Vec<Entry>) {
        self.0.extend(entries);
    }

    /// Every answer in a line of its own, a JSON array: story, protocol, function, what was asked for, and the
    /// answer. Two systems that were new give the same lines.
    pub fn to_lines(&self) -> String {
        let lines = self.0.iter().map(|entry| {
            let (story, protocol, function) = (&entry.story, entry.protocol, entry.function);
            let line = json!([story, protocol, function, entry.asked, entry.answer]);
            format!("{line}\n")
        });
        lines.collect()
    }

    /// How these answers differ from those of another engine, a line each; nothing when both are the
    /// same. Both are of whole runs on systems that were new.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (self.by_story(), other.by_story());
        let mut differ = Vec::new();
        let stories: Vec<_> = ours.keys().chain(theirs.keys()).collect();
        let mut told = Vec::new();
        for story in stories {
            if told.contains(&story) {
                continue;
            }
            told.push(story);
            let none = Vec::new();
            let ours = ours.get(story).unwrap_or(&none);
            let theirs = theirs.get(story).unwrap_or(&none);
            let (name, protocol) = story;
            for (n, (one, two)) in ours.iter().zip(theirs).enumerate() {
                let place = format!("{name}, over {protocol}, answer {}", n + 1);
                if (one.function, &one.asked) != (two.function, &two.asked) {
                    differ.push(format!(
                        "{place}: {} was asked for {}, and {} for {}",
                        one.function, one.asked, two.function, two.asked
                    ));
                    // From here on every pair differs.
                    break;
                }
                if one.answer != two.answer {
                    let (one_says, two_says) = from_where_they_part(&one.answer, &two.answer);
                    differ.push(format!(
                        "{place}: {}, asked for {}, answers\n    {one_says}\n  and\n    {two_says}",
                        one.function, one.asked
                    ));
                }
            }
            if ours.len() != theirs.len() {
                differ.push(format!(
                    "{name}, over {protocol}: {} answers, and {}",
                    ours.len(),
                    theirs.len()
                ));
            }
        }
        differ
    }

    /// What no story tells of the functions, over these wires: a success and a refusal of each, and
    /// of those that write a request that is repeated under its key, and another one under it.
    pub fn untold(&self, functions: &[Info], wires: &[Wire]) -> Vec<String> {
        let mut untold = Vec::new();
        for wire in wires {
            let protocol = protocol(*wire);
            for info in functions {
                let count = |wanted: &dyn Fn(&Entry) -> bool| {
                    let of_function =
                        |e: &&Entry| (e.function, e.protocol) == (info.name, protocol);
                    self.0
                        .iter()
                        .filter(of_function)
                        .filter(|e| wanted(e))
                        .count()
                };
                let mut say = |what: &str| {
                    untold.push(format!("{} over {protocol}: {what}", info.name));
                };
                if count(&|e| e.code == Code::Ok) == 0 {
                    say("no story tells of its success");
                }
                if count(&|e| e.code != Code::Ok) == 0 {
                    say("no story tells of its refusal");
                }
                if !info.writes {
                    continue;
                }
                if count(&|e| e.keyed && e.code == Code::Ok) < 2 {
                    say("no story repeats its request under a key");
                }
                let reused = "idempotency-key was used before";
                if count(&|e| e.keyed && e.answer.contains(reused)) == 0 {
                    say("no story sends another request under a key");
                }
            }
        }
        untold
    }

    fn by_story(&self) -> BTreeMap<(&str, &str), Vec<&Entry>> {
        let mut stories = BTreeMap::<_, Vec<_>>::new();
        for entry in &self.0 {
            let story = (entry.story.as_str(), entry.protocol);
            stories.entry(story).or_default().push(entry);
        }
        stories
    }
}

/// What of every RPC that this edge has is not told over `wires`.
pub(super) fn untold(transcript: &Transcript, edge: &Edge, wires: &[Wire]) -> Vec<String> {
    let functions: Vec<_> = edge.functions().copied().collect();
    transcript.untold(&functions, wires)
}

/// Two texts from where they part, with a little before it.
fn from_where_they_part(one: &str, two: &str) -> (String, String) {
    let same = one
        .chars()
        .zip(two.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let from = same.saturating_sub(SHOWN / 4);
    let shown = |text: &str| {
        let part: String = text.chars().skip(from).take(SHOWN).collect();
        match from {
            0 => part,
            _ => format!("…{part}"),
        }
    };
    (shown(one), shown(two))
}

/// Replaces what is new in each run. An id is named by when it came first, so that it is still seen
/// where one and the same is meant.
#[derive(Debug, Default)]
pub(super) struct Plain {
    ids: HashMap<String, usize>,
}

/// What is replaced: tokens, times, pages, ids, and ids without hyphens (of runs and of traces).
static VOLATILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)
        (?P<token>eyJ[\w-]+\.[\w-]+\.[\w-]*)
        | (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z)
        | (?P<page>page_token"?[:=]"?[\w-]{32,})
        | (?P<id>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})
        | (?P<hex>[0-9a-fA-F]{32})"#,
    )
    .expect("this is a regular expression")
});

impl Plain {
    pub(super) fn of(&mut self, text: &str) -> String {
        let replaced = VOLATILE.replace_all(text, |found: &Captures<'_>| {
            let is = |name| found.name(name).is_some();
            if is("id") {
                let next = self.ids.len() + 1;
                let lower = found[0].to_lowercase();
                // In capitals it is the same id, and to be seen as written so.
                let name = if lower == found[0] { "id" } else { "ID" };
                let n = *self.ids.entry(lower).or_insert(next);
                let mut id = String::new();
                let _ = write!(id, "<{name} {n}>");
                return id;
            }
            match (is("token"), is("time"), is("page")) {
                (true, ..) => "<token>",
                (_, true, _) => "<time>",
                (_, _, true) => "page_token <page>",
                _ => "<hex>",
            }
            .to_owned()
        });
        replaced.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use zerocart_proto::rpc;

    use super::*;

    fn entry(function: &'static str, code: Code, keyed: bool, answer: &str) -> Entry {
        Entry {
            story: "order".into(),
            protocol: "REST",
            function,
            asked: "Ada".into(),
            answer: answer.into(),
            code,
            keyed,
        }
    }

    #[test]
    fn what_is_new_in_each_run_is_replaced() {
        let (one, two) = (
            "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60",
            "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f61",
        );
        let mut plain = Plain::default();
        let text =
            format!(r#"{{"id":"{one}","user_id":"{two}","at":"2026-11-22T21:10:09.892967Z"}}"#);
        let is = r#"{"id":"<id 1>","user_id":"<id 2>","at":"<time>"}"#;
        assert_eq!(plain.of(&text), is);
        assert_eq!(plain.of(two), "<id 2>");
        assert_eq!(plain.of(&one.to_uppercase()), "<ID 1>");
        assert_eq!(plain.of("eyJhbGciOi.eyJzd-WI._x"), "<token>");
        assert_eq!(
            plain.of("Tea 80326ef5502768e11b3fac4ec3df0abc"),
            "Tea <hex>"
        );
        let shouted = "KNOWN-80326EF5502768E11B3FAC4EC3DF0ABC@EXAMPLE.COM";
        assert_eq!(plain.of(shouted), "KNOWN-<hex>@EXAMPLE.COM");
        let page = r#"{"next_page_token":"AAYxgF1c8kABkgWSBJ53cYc9VtFbmEMA"}"#;
        assert_eq!(plain.of(page), r#"{"next_page_token <page>"}"#);
        let stays = r#"{"total":12,"price":4.75,"page_token":""}"#;
        assert_eq!(plain.of(stays), stays);
    }

    #[test]
    fn a_difference_is_told_by_its_place() {
        let run = |answers: [&str; 2]| {
            let mut transcript = Transcript::default();
            let entries = answers.map(|answer| entry("get-user", Code::Ok, false, answer));
            transcript.extend(entries.to_vec());
            transcript
        };
        let one = run(["200 {}", "200 {\"a\":1}"]);
        assert_eq!(one.differences(&one), [""; 0]);
        let differ = one.differences(&run(["200 {}", "200 {\"a\":2}"]));
        assert_eq!(differ.len(), 1, "{differ:?}");
        assert!(differ[0].starts_with("order, over REST, answer 2: get-user, asked for Ada"));
        assert!(differ[0].contains("\"a\":1}") && differ[0].contains("\"a\":2}"));

        let mut shorter = one.clone();
        shorter.0.pop();
        let words = ["order, over REST: 2 answers, and 1"];
        assert_eq!(one.differences(&shorter), words);
        let differ = one.differences(&Transcript::default());
        assert_eq!(differ, ["order, over REST: 2 answers, and 0"]);
    }

    #[test]
    fn an_rpc_of_which_nothing_is_told_is_named() {
        let functions = [<rpc::CreateUser as rpc::Rpc>::INFO];
        let name = functions[0].name;
        let reused = "422 idempotency-key was used before";
        let all = [
            entry(name, Code::Ok, true, "201"),
            entry(name, Code::Ok, true, "201"),
            entry(name, Code::InvalidArgument, true, reused),
        ];
        let untold = |entries: &[Entry]| {
            let mut transcript = Transcript::default();
            transcript.extend(entries.to_vec());
            transcript.untold(&functions, &[Wire::Http1])
        };
        assert_eq!(untold(&all), [""; 0]);
        assert_eq!(untold(&all[1..]).len(), 1);
        let without = untold(&all[..2]);
        assert_eq!(without.len(), 2, "{without:?}");
        assert_eq!(
            without[0],
            "create-user over REST: no story tells of its refusal"
        );
        assert_eq!(untold(&[]).len(), 4);
    }
}
