//! What a person sees of a deployment: the step that runs, its time, and what it waits for.

use std::{
    fmt,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::Result;

/// Where there is no terminal, a line is written for what is waited for at most this often.
const PAUSE: Duration = Duration::from_secs(10);

/// The steps of a command, shown as they run. Clones are the same screen.
#[derive(Clone)]
pub struct Progress {
    screen: Arc<Mutex<Screen>>,
}

struct Screen {
    out: Box<dyn Write + Send>,
    /// Lines can be written again: the step that runs has one, which changes.
    terminal: bool,
    step: Option<Running>,
}

struct Running {
    name: String,
    began: Instant,
    event: String,
    told: Instant,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl Progress {
    /// Writes to `out`, a terminal or not.
    pub fn new(out: impl Write + Send + 'static, terminal: bool) -> Self {
        Self {
            screen: Arc::new(Mutex::new(Screen {
                out: Box::new(out),
                terminal,
                step: None,
            })),
        }
    }

    /// Runs a step. What it returns in words is shown beside its time.
    ///
    /// # Errors
    ///
    /// Those of the step.
    pub async fn step<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<(T, String)>>,
    ) -> Result<T> {
        self.with(|screen| screen.begin(name));
        let result = work.await;
        self.with(|screen| match &result {
            Ok((_, done)) => screen.end(done),
            Err(_) => screen.end("failed"),
        });
        result.map(|(value, _)| value)
    }

    /// Says what the step that runs is doing or waiting for.
    pub fn event(&self, event: impl fmt::Display) {
        self.with(|screen| screen.event(event.to_string()));
    }

    /// A line that belongs to no step.
    pub fn say(&self, line: impl fmt::Display) {
        self.with(|screen| {
            screen.clear();
            screen.line(format_args!("{line}"));
            screen.draw();
        });
    }

    fn with(&self, work: impl FnOnce(&mut Screen)) {
        work(&mut self.screen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Nothing ends for want of a reader, so what cannot be written is left out.
impl Screen {
    fn begin(&mut self, name: &str) {
        let now = Instant::now();
        self.step = Some(Running {
            name: name.to_owned(),
            began: now,
            event: String::new(),
            told: now,
        });
        self.draw();
    }

    fn event(&mut self, event: String) {
        let Some(step) = &mut self.step else { return };
        if step.event == event && !self.terminal {
            return;
        }
        step.event = event;
        if self.terminal {
            self.draw();
        } else if step.told.elapsed() >= PAUSE {
            step.told = Instant::now();
            let (name, event) = (step.name.clone(), step.event.clone());
            let took = step.began.elapsed().as_secs();
            self.line(format_args!("  {name:<12} {took:>5} s    … {event}"));
        }
    }

    fn end(&mut self, done: &str) {
        self.clear();
        if let Some(step) = self.step.take() {
            let took = step.began.elapsed().as_secs_f64();
            self.line(format_args!("  {:<12} {took:>7.1} s  {done}", step.name));
        }
    }

    fn draw(&mut self) {
        if let (true, Some(step)) = (self.terminal, &self.step) {
            let took = step.began.elapsed().as_secs_f64();
            // One line, also in a narrow terminal: the next write replaces it.
            let event: String = step.event.chars().take(52).collect();
            let _ = write!(
                self.out,
                "\r\x1b[2K  {:<12} {took:>7.1} s  {event}",
                step.name
            );
            let _ = self.out.flush();
        }
    }

    fn clear(&mut self) {
        if self.terminal && self.step.is_some() {
            let _ = write!(self.out, "\r\x1b[2K");
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        let _ = writeln!(self.out, "{line}");
        let _ = self.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::Problem;

    struct Sent(mpsc::Sender<u8>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            bytes.iter().for_each(|byte| self.0.send(*byte).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_step_is_named_with_its_time_and_its_end() {
        let (sender, written) = mpsc::channel();
        let progress = Progress::new(Sent(sender), false);
        let good = async { Ok((1, "5 roles made".to_owned())) };
        assert_eq!(progress.step("database", good).await, Ok(1));
        let bad = async { Err::<((), String), _>(Problem::new("no")) };
        progress.step("images", bad).await.unwrap_err();
        drop(progress);
        let text = String::from_utf8(written.into_iter().collect()).unwrap();
        assert!(
            text.contains("  database         0.0 s  5 roles made\n"),
            "{text}"
        );
        assert!(
            text.contains("  images           0.0 s  failed\n"),
            "{text}"
        );
    }
}
