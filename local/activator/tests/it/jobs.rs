//! Jobs as processes.

use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;
use zerocart_activator::{Guard, Job, JobStatus, Jobs, ProcessLauncher};

use super::harness::{binaries, eventually, runs};

struct Bed {
    folder: TempDir,
    jobs: Jobs,
}

impl Bed {
    /// A job `sweep` with these variables of its manifest, in a folder with its gates.
    fn new(env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binaries = binaries(folder.path(), ["sweep"].into_iter());
        let finish = folder.path().join("finish").to_str().unwrap().to_owned();
        let launcher = ProcessLauncher::new(
            binaries,
            folder.path(),
            Guard::spawn().unwrap(),
            move |name| {
                vec![
                    ("FINISH".to_owned(), finish.clone()),
                    ("NAME".to_owned(), name.to_owned()),
                ]
            },
        );
        let job = Job {
            name: "sweep".to_owned(),
            // Due at minute 0 and 59 alone: hardly ever while a test runs.
            schedule: "*/59 * * * *".parse().unwrap(),
            deadline: Duration::from_secs(3600),
            env: env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        Self {
            jobs: Jobs::start([job], launcher),
            folder,
        }
    }

    fn status(&self) -> JobStatus {
        self.jobs.status().remove(0)
    }

    fn finish(&self) {
        std::fs::write(self.folder.path().join("finish"), "").unwrap();
    }

    async fn until(&self, wanted: impl Fn(&JobStatus) -> bool) {
        eventually(|| wanted(&self.status()), || format!("{:?}", self.status())).await;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("sweep.log")).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_run_has_its_own_process_environment_and_log() {
    let bed = Bed::new(&[
        ("FROM_MANIFEST", "yes"),
        ("NAME", "overridden by the launcher"),
    ]);
    bed.until(|status| status.pid.is_some()).await;
    let first = bed.status().pid.unwrap();
    assert!(runs(first));
    bed.finish();
    bed.until(|status| status.runs == 1).await;
    let status = bed.status();
    assert_eq!(
        (status.failures, status.running, status.pid),
        (0, false, None)
    );
    let last = status.last.unwrap();
    assert_eq!((last.success, last.exit.as_str()), (true, "exit status: 0"));
    let env: BTreeMap<String, String> = serde_json::from_str(&last.log[1]).unwrap();
    let names: Vec<&str> = env.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["FINISH", "FROM_MANIFEST", "NAME"],
        "nothing of the test's own"
    );
    assert_eq!(env["NAME"], "sweep");

    let run = bed.jobs.run("sweep").await.unwrap();
    assert!(run.success, "{run:?}");
    assert!(bed.status().runs >= 2);
    let log = bed.log();
    assert_eq!(
        log.matches("working").count() as u64,
        bed.status().runs,
        "{log}"
    );
    let json = serde_json::to_string(&bed.status()).unwrap();
    assert_eq!(
        serde_json::from_str::<JobStatus>(&json).unwrap(),
        bed.status()
    );
    bed.jobs.shutdown().await;
}

#[tokio::test]
async fn a_failure_is_told() {
    let bed = Bed::new(&[("EXIT", "75")]);
    bed.finish();
    let run = bed.jobs.run("sweep").await.unwrap();
    assert_eq!((run.success, run.exit.as_str()), (false, "exit status: 75"));
    assert!(bed.status().failures >= 1);
    std::fs::remove_file(bed.folder.path().join("bin/sweep")).unwrap();
    let run = bed.jobs.run("sweep").await.unwrap();
    assert!(run.exit.contains("No such file"), "{run:?}");
    bed.jobs.shutdown().await;
}

#[tokio::test]
async fn the_shutdown_ends_a_run() {
    let bed = Bed::new(&[]);
    bed.until(|status| status.pid.is_some()).await;
    let pid = bed.status().pid.unwrap();
    eventually(|| bed.log().contains("working"), || bed.log()).await;
    bed.jobs.shutdown().await;
    assert!(!runs(pid));
    let last = bed.status().last.unwrap();
    assert_eq!(last.exit, "the engine stops: exit status: 0");
    assert!(!last.success);
}
