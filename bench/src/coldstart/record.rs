//! What was measured, as it is kept in the file.

use serde::{Deserialize, Serialize};

use super::engine::Told;

/// The results of a run on one engine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Results {
    /// `local`, `knative` or `lambda`.
    pub(super) engine: String,
    /// What the engine consists of, with versions and settings.
    pub(super) parts: Vec<(String, String)>,
    /// What a reader must know of this run; empty if nothing.
    pub(super) note: String,
    /// Tasks that wanted to run, in the minute before the end.
    pub(super) load_after: f64,
    /// How often zero was proved before a request, and what proved it.
    pub(super) zeros: u32,
    pub(super) proof: String,
    /// Requests that were left out and repeated: the engine had begun to start the function by itself.
    #[serde(default)]
    pub(super) repeated: u32,
    /// How the program was run, and on what: beside what all results have.
    #[serde(default)]
    pub(super) facts: Vec<(String, String)>,
    /// Parts that the limit ended.
    #[serde(default)]
    pub(super) ended: Vec<Ended>,
    pub(super) series: Vec<Series>,
}

impl Results {
    /// The series of a part. One function alone has no last one.
    pub(super) fn of_part(&self, part: Part) -> impl Iterator<Item = &Series> {
        let is_shown = |series: &&Series| series.name != format!("1 at once{LAST}");
        let series = self.series.iter();
        series.filter(move |series| series.part == part && is_shown(series))
    }

    pub(super) fn find(&self, part: Part, name: &str) -> Option<&Series> {
        self.of_part(part).find(|series| series.name == name)
    }

    /// The series of this name, which may be new.
    pub(super) fn series(&mut self, part: Part, name: &str) -> &mut Series {
        let found = self.series.iter();
        let at = found
            .enumerate()
            .find(|(_, series)| series.part == part && series.name == name)
            .map(|(at, _)| at);
        let at = at.unwrap_or_else(|| {
            self.series.push(Series {
                part,
                name: name.to_owned(),
                ..Series::default()
            });
            self.series.len() - 1
        });
        &mut self.series[at]
    }
}

/// A part of the measurement.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// Each function alone, beside the empty one.
    #[default]
    Single,
    /// With the gateway and without it.
    Gateway,
    /// Several functions at the same time.
    Burst,
    /// The first order.
    Chain,
    /// After a time at zero.
    Idle,
}

/// A part that the limit ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) part: Part,
    pub(super) limit_s: u64,
    /// How many rounds count, and how many were asked for.
    pub(super) rounds: u32,
    pub(super) of: u32,
}

/// Measurements of the same thing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Series {
    pub(super) part: Part,
    pub(super) name: String,
    /// What was asked, if the name does not say it; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) note: String,
    pub(super) samples: Vec<Sample>,
    /// Requests without a good answer: not among the samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) failures: Vec<Failure>,
}

/// The end of the names of series whose times are those of rounds, and not of requests.
pub(super) const LAST: &str = ", the last";

impl Series {
    /// Whether each sample is a request.
    pub(super) fn has_requests(&self) -> bool {
        !self.name.ends_with(LAST)
    }

    pub(super) fn times(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.ms).collect()
    }
}

/// One request from zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) round: u32,
    /// The function, if the name of the series does not say it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) function: String,
    /// The client's time, in milliseconds.
    pub(super) ms: f64,
    /// How many functions started for it; 0 if no trace says it.
    #[serde(default)]
    pub(super) started: usize,
    /// The phases of the client's time, in milliseconds. None without a whole trace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) phases: Vec<(String, f64)>,
    /// What happened inside of phases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) within: Vec<(String, f64)>,
    /// By how much the phases are in the wrong order.
    #[serde(default)]
    pub(super) wrong_ms: f64,
}

impl Sample {
    /// Adds what the trace says.
    pub(super) fn tell(&mut self, told: Told) {
        self.started = told.started;
        if let Some(phases) = told.phases {
            self.phases = rounded(phases.of);
            self.within = rounded(phases.within);
            self.wrong_ms = round(phases.wrong_ms);
        }
    }
}

fn rounded(list: Vec<(String, f64)>) -> Vec<(String, f64)> {
    let list = list.into_iter();
    list.map(|(name, ms)| (name, round(ms))).collect()
}

/// To microseconds: more is no measurement.
pub(super) fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

/// A request without a good answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) round: u32,
    pub(super) after_ms: f64,
    pub(super) why: String,
}
