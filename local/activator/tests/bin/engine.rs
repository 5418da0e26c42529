//! An engine for the tests of the activator: it starts one function, or with the variable `JOB`
//! one job, says its process id and lives until it is killed. Arguments: the folder of the
//! binaries, that of the logs, the name, and the names of variables to set for it.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use zerocart_activator::{Activator, Guard, Job, Jobs, Ksvc, Options, ProcessLauncher};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut arg = || args.next().expect("three arguments");
    let (binaries, logs, name) = (arg(), arg(), arg());
    let set: Vec<String> = args.collect();
    let is_job = set.iter().any(|name| name == "JOB");
    let env = move |_: &str| {
        set.iter()
            .map(|name| (name.clone(), "1".to_owned()))
            .collect()
    };
    let launcher = ProcessLauncher::new(binaries, logs, Guard::spawn()?, env);
    if is_job {
        let job = Job {
            schedule: "* * * * *".parse().expect("a schedule"),
            deadline: Duration::from_secs(3600),
            env: Vec::new(),
            name,
        };
        let jobs = Jobs::start([job], launcher);
        let pid = loop {
            if let Some(pid) = jobs.status()[0].pid {
                break pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        writeln!(io::stdout(), "{pid}")?;
        return std::future::pending().await;
    }
    let activator = Activator::new([Ksvc::new(&name)], launcher, Options::default());
    let request = Request::get("/pid").body(Body::empty());
    let response = activator
        .handle(&name, request.expect("a valid request"))
        .await;
    assert_eq!(response.status(), 200);
    let pid = activator.status()[0].instances[0].pid;
    writeln!(io::stdout(), "{}", pid.expect("a process"))?;
    std::future::pending().await
}
