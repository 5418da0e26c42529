//! `--in-process`: functions and jobs as tasks of this process, for a debugger or a very small machine.
//!
//! Only the launcher differs. The gateway, the activator and the sockets between them are the same.

use std::{io, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use zerocart_activator::{Exit, Job, JobLauncher, Launch, Launcher, Running, Stop, Tail};
use zerocart_collector::Collector;
use zerocart_core::{Env, Platform};
use zerocart_runtime::serve_router;

use crate::domains;

/// How long a function that is stopped may finish what runs, as in a process of its own.
const DRAIN: Duration = Duration::from_secs(25);

/// What the environment of a function or job is, by its name.
type Environment = dyn Fn(&str) -> Vec<(String, String)> + Send + Sync;

/// Starts functions, and runs jobs, as tasks.
pub(crate) struct InProcess {
    env: Arc<Environment>,
    collector: Collector,
}

impl InProcess {
    /// Their spans go to `collector`.
    pub(crate) fn new(
        env: impl Fn(&str) -> Vec<(String, String)> + Send + Sync + 'static,
        collector: Collector,
    ) -> Self {
        let env = Arc::new(env);
        Self { env, collector }
    }

    fn platform(&self, name: &str) -> Platform {
        let version = env!("CARGO_PKG_VERSION");
        Platform::default().with(self.collector.recorder(name, version))
    }

    fn env(&self, name: &str, of_manifest: &[(String, String)]) -> Env {
        let of_manifest = of_manifest.iter().cloned();
        of_manifest.chain((self.env)(name)).collect()
    }
}

impl JobLauncher for InProcess {
    fn start(&self, job: &Job) -> io::Result<Running> {
        let name = &job.name;
        let entry = domains::job(name)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no job {name}")))?;
        let run = (entry.run)(self.platform(name), self.env(name, &job.env));
        let (stop, mut stops) = mpsc::unbounded_channel();
        let (exited, exit) = watch::channel(None);
        tokio::spawn(async move {
            let (success, description) = tokio::select! {
                result = run => match result {
                    Ok(_) => (true, "done".to_owned()),
                    Err(error) => (false, error.to_string()),
                },
                // It may be stopped at any point, as a process of its own is.
                _ = stops.recv() => (false, "stopped".to_owned()),
            };
            let _ = exited.send(Some(Exit {
                success,
                description,
            }));
        });
        Ok(Running {
            pid: None,
            stop,
            exit,
            log: Tail::default(),
        })
    }
}

impl Launcher for InProcess {
    fn launch(&self, launch: Launch<'_>) -> io::Result<Running> {
        let name = launch.function.name.clone();
        let service = domains::service(&name).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no function {name}"))
        })?;
        let env = self.env(&name, &launch.function.env);
        let built = (service.build)(self.platform(&name), env).map_err(io::Error::other)?;
        launch.listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(launch.listener)?;

        let (stop, mut stops) = mpsc::unbounded_channel();
        let (exited, exit) = watch::channel(None);
        tokio::spawn(async move {
            let background: Vec<_> = built.background.into_iter().map(tokio::spawn).collect();
            let (drain, draining) = tokio::sync::oneshot::channel::<()>();
            let stopping = async {
                let _ = draining.await;
            };
            let serving = async {
                serve_router(listener, built.router, stopping, DRAIN).await;
                // As a process of its own does, before it exits.
                let _ = tokio::time::timeout(DRAIN, built.lasting.idle()).await;
                built.lasting.end().await;
            };
            let mut serving = std::pin::pin!(serving);
            let mut drain = Some(drain);
            loop {
                tokio::select! {
                    () = &mut serving => break,
                    asked = stops.recv() => match asked {
                        Some(Stop::Drain) => drop(drain.take()),
                        Some(Stop::Kill) | None => break,
                    },
                }
            }
            for task in background {
                task.abort();
            }
            let _ = exited.send(Some(Exit {
                success: true,
                description: "stopped".into(),
            }));
        });
        Ok(Running {
            pid: None,
            stop,
            exit,
            log: Tail::default(),
        })
    }
}
