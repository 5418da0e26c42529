//! A function's output: the end of it in memory, all of it in a bounded file.
//!
//! A busy function writes a line for each call. Reading each at once would wake this process for
//! each, and would be a write to the file for each. So after a read the reader pauses for a moment,
//! and then takes all lines that have come, with one read and one write. Lines in the pipe are read
//! after the end of the function, too, so none is lost when it is killed.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::unix::pipe;

/// The most that a [`Tail`] keeps.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4096;
/// A longer line is cut into several.
const LINE_BYTES: usize = 16 * 1024;
/// The pause between two reads. Meanwhile a function may write as much as a pipe holds (64 KiB on
/// Linux, about 200 lines), before it has to wait.
const PAUSE: Duration = Duration::from_millis(2);
/// What one read takes at most: as much as a pipe holds.
const READ_BYTES: usize = 64 * 1024;

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

    /// Adds lines, each with its end. Those that would be dropped at once are not looked at.
    fn extend(&self, lines: &[u8]) {
        let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
        let last = lines.rsplit(|byte| *byte == b'\n').take(TAIL_LINES);
        let last: Vec<_> = last.collect();
        for line in last.into_iter().rev() {
            self.push(&String::from_utf8_lossy(line));
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

    /// Appends lines, each with its end. If the disk cannot be written to, that is reported once, and
    /// only the log is lost.
    pub(crate) fn append(&mut self, lines: &[u8]) {
        match self.try_append(lines) {
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

    fn try_append(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            let written = self.append_some(lines)?;
            lines = &lines[written..];
        }
        Ok(())
    }

    /// Appends the lines up to the one that passes the file's size. Returns their bytes.
    fn append_some(&mut self, lines: &[u8]) -> io::Result<usize> {
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
        let room = self.max_bytes.saturating_sub(*size);
        let last = usize::try_from(room).unwrap_or(usize::MAX).max(1) - 1;
        let rest = lines.get(last..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        let lines = &lines[..end.map_or(lines.len(), |end| last + end + 1)];
        file.write_all(lines)?;
        *size += lines.len() as u64;
        Ok(lines.len())
    }
}

fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Copies lines into the tail and the file until the output ends.
pub(crate) async fn copy(
    mut output: pipe::Receiver,
    tail: Tail,
    file: Arc<Mutex<LogFile>>,
) -> io::Result<()> {
    let mut lines = Lines::default();
    let mut chunk = Vec::with_capacity(READ_BYTES);
    loop {
        output.readable().await?;
        chunk.clear();
        match output.try_read_buf(&mut chunk) {
            Ok(0) => {
                lines.end();
                lines.write(&tail, &file);
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        lines.read(&chunk);
        lines.write(&tail, &file);
        if chunk.len() < READ_BYTES {
            // While the event loop watches a pipe, each write to it wakes the loop, even if nobody
            // reads.
            let unwatched = output.into_nonblocking_fd()?;
            tokio::time::sleep(PAUSE).await;
            output = pipe::Receiver::from_owned_fd(unwatched)?;
        }
    }
}

/// Lines that were read and not written yet.
#[derive(Debug, Default)]
struct Lines {
    /// Each with its end; behind them a line that is not whole.
    text: Vec<u8>,
    /// Where the line begins that is not whole.
    open: usize,
}

impl Lines {
    fn read(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            let room = LINE_BYTES - (self.text.len() - self.open);
            let part = &chunk[..chunk.len().min(room)];
            let end = part.iter().position(|byte| *byte == b'\n');
            let part = &part[..end.unwrap_or(part.len())];
            self.text.extend_from_slice(part);
            chunk = &chunk[end.map_or(part.len(), |end| end + 1)..];
            if end.is_some() || part.len() == room {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        self.text.push(b'\n');
        self.open = self.text.len();
    }

    /// The output has ended. Its last line may have no end.
    fn end(&mut self) {
        if self.open < self.text.len() {
            self.close();
        }
    }

    fn write(&mut self, tail: &Tail, file: &Mutex<LogFile>) {
        let whole = &self.text[..self.open];
        if whole.is_empty() {
            return;
        }
        tail.extend(whole);
        // Short appends to the page cache: handing them to another thread would cost more.
        file.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(whole);
        self.text.drain(..self.open);
        self.open = 0;
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
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(output.as_bytes()).unwrap();
        drop(writer);
        let reader = pipe::Receiver::from_owned_fd(reader.into()).unwrap();
        copy(reader, tail.clone(), file).await.unwrap();
        assert_eq!(tail.lines().last().unwrap(), "last");
        // 12 bytes are passed by "second", then by the long line.
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "y\nlast\n");
        let old = std::fs::read_to_string(folder.path().join("f.log.1")).unwrap();
        assert!(old.ends_with("x\n"), "{}", old.len());
    }
}
