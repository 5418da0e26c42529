//! Lambda: what can be measured without AWS, which is the init of each program.

use anyhow::Result;

use super::{
    Args,
    engine::EMPTY,
    record::{Part, Results, Sample, round},
    report,
};
use crate::{
    lambda, machine,
    results::{About, Run},
};

/// What a reader must know.
const NOTE: &str = "This is no cold start on AWS. It is the init of each program, from exec until it asks an \
                    emulation of Lambda's runtime API for its first event, on this machine. Lambda adds what it \
                    needs to place, fetch and boot a micro-VM, which is the same for all programs of one size. The init \
                    of a function opens a session of PostgreSQL and prepares its statements; that of the empty \
                    function opens nothing.";

/// Measures the init of these functions, and of a hello-world of lambda_http.
pub(super) fn measure(args: &Args, functions: &[&'static str]) -> Result<Run<Results>> {
    let options = lambda::Args {
        rounds: args.rounds,
        only: functions.iter().map(|name| (*name).to_owned()).collect(),
        seed: args.seed,
        no_build: args.no_build,
        limit: args.limit,
    };
    let about = About::now(0, "", None);
    let measured = lambda::measure(&options)?;
    let mut results = Results {
        engine: "lambda".to_owned(),
        parts: vec![("PostgreSQL".to_owned(), measured.postgres.clone())],
        note: [NOTE, args.note.as_str()].join(" ").trim().to_owned(),
        load_after: machine::load(),
        facts: super::facts(args, measured.seed),
        proof: "each start is a new process".to_owned(),
        ..Results::default()
    };
    let hello = (EMPTY, &measured.hello.init);
    let functions = measured.functions.iter().map(|f| (f.name, &f.init));
    for (name, times) in functions.chain([hello]) {
        let samples = times.iter().zip(1..).map(|(ms, n)| Sample {
            round: n,
            ms: round(*ms),
            ..Sample::default()
        });
        results.zeros += times.len() as u32;
        results.series(Part::Single, name).samples.extend(samples);
    }
    Ok(Run {
        title: "Cold starts".to_owned(),
        about: About {
            seed: measured.seed,
            seconds: measured.seconds,
            load_before: measured.load_before,
            postgres: measured.postgres,
            ..about
        },
        summary: report::summary(&results),
        results,
    })
}
