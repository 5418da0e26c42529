//! The engine's own log, `logs/engine.log`: a line for each request, written in batches.
//!
//! A line is formatted where it is made, and goes into memory. A thread writes what has come every
//! [`EVERY`], so a request waits for no disk and for no system call. Lines of the levels WARN and
//! ERROR are written at once, together with those before them. What is in memory is written when
//! the engine ends, also after a panic. SIGKILL loses at most the lines of the last [`EVERY`].

use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may stay in memory.
const EVERY: Duration = Duration::from_millis(20);

/// The memory for lines. The line that fills it waits until all are written.
const MAX_BYTES: usize = 256 * 1024;

/// Makes the writers of lines.
#[derive(Debug)]
pub(crate) struct EngineLog(Arc<Shared>);

/// Writes the lines until it is dropped. Lines that come later are written at once.
#[derive(Debug)]
pub(crate) struct Writing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    lines: Mutex<Lines>,
    /// Told when the first line has come, and at the end.
    come: Condvar,
    file: Mutex<Output>,
}

#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    ended: bool,
}

#[derive(Debug)]
struct Output {
    file: File,
    /// What is being written. Kept for its memory.
    text: Vec<u8>,
}

impl EngineLog {
    /// Writes to `file`.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub(crate) fn start(file: File) -> io::Result<(Self, Writing)> {
        let shared = Arc::new(Shared {
            lines: Mutex::default(),
            come: Condvar::new(),
            file: Mutex::new(Output {
                file,
                text: Vec::new(),
            }),
        });
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new().name("log".to_owned());
        let thread = thread.spawn(move || writer.write_until_the_end())?;
        let writing = Writing {
            shared: Arc::clone(&shared),
            thread: Some(thread),
        };
        Ok((Self(shared), writing))
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_until_the_end(&self) {
        loop {
            let lines = self.lines();
            let idle = |lines: &mut Lines| lines.text.is_empty() && !lines.ended;
            let lines = self.come.wait_while(lines, idle);
            let lines = lines.unwrap_or_else(PoisonError::into_inner);
            let more = self.come.wait_timeout_while(lines, EVERY, |l| !l.ended);
            let (lines, _) = more.unwrap_or_else(PoisonError::into_inner);
            let ended = lines.ended;
            drop(lines);
            self.flush();
            if ended {
                return;
            }
        }
    }

    fn add(&self, line: &[u8], at_once: bool) {
        let mut lines = self.lines();
        let first = lines.text.is_empty();
        lines.text.extend_from_slice(line);
        let at_once = at_once || lines.ended || lines.text.len() >= MAX_BYTES;
        drop(lines);
        if at_once {
            self.flush();
        } else if first {
            self.come.notify_one();
        }
    }

    /// Writes all lines that have come. The file is locked first, so lines stay in their order.
    fn flush(&self) {
        let mut output = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Output { file, text } = &mut *output;
        mem::swap(text, &mut self.lines().text);
        // A log that cannot be written ends no engine, and there is no other place to say it.
        let _ = file.write_all(text);
        text.clear();
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.lines().ended = true;
        self.shared.come.notify_one();
        if let Some(thread) = self.thread.take() {
            // It panics nowhere; if it did, there would be no lines to save.
            let _ = thread.join();
        }
    }
}

/// Writes one line.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    shared: &'a Shared,
    at_once: bool,
}

impl<'a> MakeWriter<'a> for EngineLog {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            shared: &self.0,
            at_once: true,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line {
            shared: &self.0,
            at_once: *metadata.level() <= Level::WARN,
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.shared.add(line, self.at_once);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::prelude::*;

    /// What `work` logs, and what is in the file right after it and at the end.
    fn logged(work: impl FnOnce()) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.log");
        let (log, writing) = EngineLog::start(File::create(&path).unwrap()).unwrap();
        let layer = tracing_subscriber::fmt::layer()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(log);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, work);
        let read = || std::fs::read_to_string(&path).unwrap();
        let before = read();
        drop(writing);
        (before, read())
    }

    #[test]
    fn a_warning_is_written_at_once_with_the_lines_before_it() {
        let (before, after) = logged(|| {
            tracing::info!("one");
            tracing::warn!("two");
        });
        assert_eq!(before, " INFO one\n WARN two\n");
        assert_eq!(after, before);
    }

    #[test]
    fn nothing_is_lost_at_the_end_and_lines_keep_their_order() {
        let number = 20_000;
        let (_, all) = logged(|| {
            for line in 0..number {
                tracing::info!("{line}");
            }
        });
        let lines: Vec<_> = all.lines().collect();
        assert_eq!(lines.len(), number);
        for (number, line) in lines.into_iter().enumerate() {
            assert_eq!(line, format!(" INFO {number}"));
        }
    }

    #[test]
    fn a_panic_loses_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.log");
        let file = File::create(&path).unwrap();
        let panicked = std::panic::catch_unwind(|| {
            let (log, _writing) = EngineLog::start(file).unwrap();
            log.0.add(b"before it\n", false);
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(panicked.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before it\n");
    }
}
