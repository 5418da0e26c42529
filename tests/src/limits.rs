//! Times that must be ordered, and connections that must fit.

use std::time::Duration;

use zerocart_activator::{Job, Ksvc};
use zerocart_gateway::Route;
use zerocart_proto::rpc::{Info, JobInfo};

use crate::units;

/// What the queue-proxy's drain (30 s) and a pod's grace need at the least.
const DRAIN: Duration = Duration::from_secs(35);

/// A callee's time limit is shorter than its caller's: a function's than Knative's, Knative's than
/// Kong's.
///
/// A unary answer begins and ends at once, so Knative's limit for it is
/// `responseStartTimeoutSeconds`. `timeoutSeconds` is also the grace of a pod that is drained, and
/// is 35 s at the least.
pub fn times(functions: &[Info], manifests: &[Ksvc], routes: &[Route]) -> Vec<String> {
    let mut wrong = Vec::new();
    for function in functions {
        let name = function.name;
        let Some(knative) = manifests.iter().find(|manifest| manifest.name == name) else {
            wrong.push(format!("{name}: no limit of Knative"));
            continue;
        };
        let (own, start) = (function.timeout(), knative.response_start_timeout);
        if own >= start {
            wrong.push(format!(
                "{name}: its own {own:?} are not below Knative's {start:?}"
            ));
        }
        if knative.timeout < DRAIN || knative.timeout < start {
            let timeout = knative.timeout;
            wrong.push(format!(
                "{name}: {timeout:?} are too short to drain ({DRAIN:?})"
            ));
        }
        let first = format!("{name}.");
        let kong = routes
            .iter()
            .filter(|route| route.service.host.starts_with(&first));
        for route in kong {
            let read = route.service.read_timeout;
            if start >= read {
                let route = &route.name;
                wrong.push(format!(
                    "{route}: Knative's {start:?} are not below Kong's {read:?}"
                ));
            }
        }
    }
    wrong
}

/// A job gives up before it is ended, and is ended before the next run is due: with
/// `concurrencyPolicy: Forbid`, that one would be left out.
pub fn job_times(jobs: &[JobInfo], manifests: &[Job]) -> Vec<String> {
    let mut wrong = Vec::new();
    for job in jobs {
        let name = job.name;
        let Some(cron) = manifests.iter().find(|manifest| manifest.name == name) else {
            wrong.push(format!("{name}: no limit of Kubernetes"));
            continue;
        };
        let (own, deadline) = (job.timeout(), cron.deadline);
        if own >= deadline {
            wrong.push(format!(
                "{name}: its own {own:?} are not below Kubernetes' {deadline:?}"
            ));
        }
        let period = cron.schedule.shortest_period();
        if deadline >= period {
            wrong.push(format!(
                "{name}: its {deadline:?} are not below the {period:?} to the next run"
            ));
        }
    }
    wrong
}

/// Each caller waits longer than each function that it calls.
pub fn callers(rpcs: &[Info], jobs: &[JobInfo]) -> Vec<String> {
    let mut wrong = Vec::new();
    for caller in units(rpcs, jobs) {
        for called in caller.calls {
            match rpcs.iter().find(|rpc| rpc.name == *called) {
                None => wrong.push(format!("{} calls {called}, which is no RPC", caller.name)),
                Some(rpc) if rpc.timeout_ms >= caller.timeout_ms => wrong.push(format!(
                    "{} waits {} ms for {called}, which may take {} ms",
                    caller.name, caller.timeout_ms, rpc.timeout_ms
                )),
                Some(_) => {}
            }
        }
    }
    wrong
}

/// All instances of all functions and a run of each job, each with a full pool, fit into
/// `max_connections`.
pub fn connections(functions: &[Ksvc], jobs: &[Job], max_connections: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut sum = 0;
    let functions = functions.iter().map(|f| (&f.name, &f.env, f.limits.max));
    let jobs = jobs.iter().map(|job| (&job.name, &job.env, 1));
    for (name, env, instances) in functions.chain(jobs) {
        let size = env.iter().find(|(name, _)| name == "DATABASE_POOL_SIZE");
        match size.and_then(|(_, size)| size.parse::<u64>().ok()) {
            Some(size) => sum += size * instances as u64,
            None => wrong.push(format!("{name}: no DATABASE_POOL_SIZE")),
        }
    }
    if sum > max_connections {
        wrong.push(format!(
            "max-scale × pool size is {sum} over all functions and jobs, and PostgreSQL takes \
             {max_connections}"
        ));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kong::tests::routes,
        sample::{FUNCTIONS, JOBS, only},
    };

    fn manifests() -> Vec<Ksvc> {
        let manifest = |f: &Info| {
            let mut manifest = Ksvc::new(f.name);
            manifest.response_start_timeout = Duration::from_secs(20);
            manifest.timeout = DRAIN;
            manifest.limits.max = 4;
            manifest.env = vec![("DATABASE_POOL_SIZE".into(), "2".into())];
            manifest
        };
        FUNCTIONS.iter().map(manifest).collect()
    }

    fn crons() -> Vec<Job> {
        let job = |job: &JobInfo| Job {
            name: job.name.to_owned(),
            schedule: "* * * * *".parse().expect("a schedule"),
            deadline: Duration::from_secs(55),
            env: vec![("DATABASE_POOL_SIZE".into(), "3".into())],
        };
        JOBS.iter().map(job).collect()
    }

    #[test]
    fn times_that_are_out_of_order_are_told() {
        let kong = routes(|text| text);
        assert_eq!(times(&FUNCTIONS, &manifests(), kong.routes()), [""; 0]);

        let mut slow = FUNCTIONS;
        slow[0].timeout_ms = 20_000;
        only(
            &times(&slow, &manifests(), kong.routes()),
            "create-user: its own 20s",
        );

        let mut short = manifests();
        short[0].timeout = Duration::from_secs(30);
        only(
            &times(&FUNCTIONS, &short, kong.routes()),
            "too short to drain",
        );

        only(
            &times(&FUNCTIONS, &manifests()[1..], kong.routes()),
            "no limit of Knative",
        );

        let hasty = routes(|text| text.replacen("read_timeout: 30000", "read_timeout: 20000", 1));
        only(
            &times(&FUNCTIONS, &manifests(), hasty.routes()),
            "not below Kong's 20s",
        );
    }

    #[test]
    fn times_of_jobs_that_are_out_of_order_are_told() {
        assert_eq!(job_times(&JOBS, &crons()), [""; 0]);
        only(&job_times(&JOBS, &[]), "no limit of Kubernetes");
        let mut slow = JOBS;
        slow[0].timeout_ms = 55_000;
        only(&job_times(&slow, &crons()), "sweep-users: its own 55s");
        let mut late = crons();
        late[0].deadline = Duration::from_secs(60);
        only(&job_times(&JOBS, &late), "60s to the next run");
        late[0].schedule = "*/2 * * * *".parse().expect("a schedule");
        assert_eq!(job_times(&JOBS, &late), [""; 0]);
    }

    #[test]
    fn a_caller_that_waits_too_short_is_told() {
        let mut rpcs = FUNCTIONS;
        rpcs[0].timeout_ms = 6_000;
        rpcs[0].calls = &["get-user"];
        assert_eq!(callers(&rpcs, &JOBS), [""; 0]);
        let mut hasty = JOBS;
        hasty[0].timeout_ms = 5_000;
        only(
            &callers(&rpcs, &hasty),
            "sweep-users waits 5000 ms for get-product",
        );
        rpcs[0].timeout_ms = rpcs[1].timeout_ms;
        only(
            &callers(&rpcs, &JOBS),
            "create-user waits 5000 ms for get-user",
        );
        rpcs[0].calls = &["eat-user"];
        only(&callers(&rpcs, &JOBS), "which is no RPC");
    }

    #[test]
    fn connections_that_do_not_fit_are_told() {
        let (functions, jobs) = (manifests(), crons());
        assert_eq!(connections(&functions, &jobs, 27), [""; 0]);
        only(&connections(&functions, &jobs, 26), "is 27 over all");
        let mut unknown = manifests();
        unknown[0].env.clear();
        only(
            &connections(&unknown, &jobs, 27),
            "create-user: no DATABASE_POOL_SIZE",
        );
        let mut unknown = crons();
        unknown[0].env.clear();
        only(
            &connections(&functions, &unknown, 27),
            "sweep-users: no DATABASE_POOL_SIZE",
        );
    }
}
