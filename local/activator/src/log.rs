//! A function's output: the end of it in memory, all of it in a bounded file.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The most that a [`Tail`] keeps.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4096;
/// A longer line is cut into several.
const LINE_BYTES: usize = 16 * 1024;

/// The last lines of an instance's output: at most 20 lines and 4 KiB. Clones share the lines.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// Adds a line, and drops the oldest lines that no longer fit.
    pub fn push(&self, line: &str) {
        let cut = line.floor_char_boundary(TAIL_BYTES);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line[..cut].to_owned());
        while lines.len() > TAIL_LINES || lines.iter().map(String::len).sum::<usize>() > TAIL_BYTES
        {
            lines.pop_front();
        }
    }

    /// The lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }
}

/// A file that lines are appended to; past `max_bytes` it becomes `<name>.1` and a new one begins.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    open: Option<(File, u64)>,
    failed: bool,
}

impl LogFile {
    pub(crate) fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self {
            path,
            max_bytes,
            open: None,
            failed: false,
        }
    }

    /// Appends a line. If the disk cannot be written to, that is reported once, and only the log is
    /// lost.
    pub(crate) fn append(&mut self, line: &[u8]) {
        match self.try_append(line) {
            Ok(()) => self.failed = false,
            Err(error) => {
                self.open = None;
                if !self.failed {
                    tracing::warn!(path = %self.path.display(), %error, "cannot write a log");
                }
                self.failed = true;
            }
        }
    }

    fn try_append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some((_, size)) = self.open
            && size >= self.max_bytes
        {
            self.open = None;
            std::fs::rename(&self.path, rotated(&self.path))?;
        }
        let (file, size) = match &mut self.open {
            Some(open) => open,
            None => {
                let file = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&self.path)?;
                let size = file.metadata()?.len();
                self.open.insert((file, size))
            }
        };
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        file.write_all(&bytes)?;
        *size += bytes.len() as u64;
        Ok(())
    }
}

fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Copies lines into the tail and the file until the output ends.
pub(crate) async fn copy(
    mut output: impl AsyncBufRead + Unpin,
    tail: Tail,
    file: Arc<Mutex<LogFile>>,
) -> io::Result<()> {
    let mut line = Vec::new();
    let write = |line: &mut Vec<u8>| {
        tail.push(&String::from_utf8_lossy(line));
        // Short appends to the page cache: handing them to another thread would cost more.
        file.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(line);
        line.clear();
    };
    loop {
        let chunk = output.fill_buf().await?;
        if chunk.is_empty() {
            if !line.is_empty() {
                write(&mut line);
            }
            return Ok(());
        }
        let room = LINE_BYTES - line.len();
        let chunk = &chunk[..chunk.len().min(room)];
        let end = chunk.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
        let used = end.map_or(chunk.len(), |end| end + 1);
        output.consume(used);
        if end.is_some() || line.len() >= LINE_BYTES {
            write(&mut line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_bounded_in_lines_and_bytes() {
        let tail = Tail::default();
        for number in 0..50 {
            tail.push(&format!("line {number}"));
        }
        assert_eq!(tail.lines().len(), TAIL_LINES);
        assert_eq!(tail.lines().last().unwrap(), "line 49");
        tail.push(&"ä".repeat(TAIL_BYTES));
        let lines = tail.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].len(), TAIL_BYTES);
    }

    #[tokio::test]
    async fn lines_reach_tail_and_file_and_the_file_rotates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.log");
        let file = Arc::new(Mutex::new(LogFile::new(path.clone(), 12)));
        let tail = Tail::default();
        let long = "x".repeat(LINE_BYTES);
        let output = format!("first\nsecond\nthird\n{long}y\nlast");
        copy(output.as_bytes(), tail.clone(), file).await.unwrap();
        assert_eq!(tail.lines().last().unwrap(), "last");
        // 12 bytes are passed by "second", then by the long line.
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "y\nlast\n");
        let old = std::fs::read_to_string(folder.path().join("f.log.1")).unwrap();
        assert!(old.ends_with("x\n"), "{}", old.len());
    }
}
