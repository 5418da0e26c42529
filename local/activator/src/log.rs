//! A function's output: the end of it in memory, all of it in a bounded file.
//!
//! A busy function writes a line for each call. Reading each at once would wake this process for
//! each, and would be a write to the file for each. So after a read the reader pauses for a moment,
//! and then takes all lines that have come, with one read and one write. Lines in the pipe are read
//! after the end of the function, too, so none is lost when it is killed.
//!
//! Lines with spans are for a collector and not for people. If the engine has one, they go there, and the log
//! stays readable.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use memchr::memchr;
use tokio::net::unix::pipe;

/// The most that a [`Tail`] keeps.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4096;
/// A longer line is cut into several.
const LINE_BYTES: usize = 16 * 1024;
/// How a line begins that has spans (OTLP JSON).
const SPANS: &[u8] = b"{\"resourceSpans\"";
/// Such a line is whole up to this length.
const SPAN_LINE_BYTES: usize = 1 << 20;
/// The pause between two reads. Meanwhile a function may write as much as a pipe holds before it has to wait.
const PAUSE: Duration = Duration::from_millis(2);
/// What a pipe shall hold: about 700 calls. It is 64 KiB otherwise.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;
/// What one read takes at most.
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

/// Takes the lines of one process that have spans: whole lines, each with its end.
pub type SpanLines = Box<dyn FnMut(&[u8]) + Send>;

/// Lets a pipe hold more, so that a busy process need not wait for the reader. The system may refuse it, because
/// all pipes of a user together have a limit (pipe(7)).
pub(crate) fn enlarge(output: &pipe::Receiver) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(output, PIPE_BYTES);
    #[cfg(not(target_os = "linux"))]
    let _ = output;
}

/// Copies lines into the tail and the file until the output ends. Lines with spans go to `spans` instead, if
/// there is one.
pub(crate) async fn copy(
    mut output: pipe::Receiver,
    tail: Tail,
    file: Arc<Mutex<LogFile>>,
    spans: Option<SpanLines>,
) -> io::Result<()> {
    let mut lines = Lines {
        text: Vec::with_capacity(READ_BYTES),
        skip: false,
        tail,
        file,
        spans,
    };
    loop {
        output.readable().await?;
        lines.text.reserve(READ_BYTES);
        let before = lines.text.len();
        match output.try_read_buf(&mut lines.text) {
            Ok(0) => {
                lines.end();
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        let more = lines.text.len() - before >= READ_BYTES;
        lines.write();
        if more {
            // Others of this thread come first.
            tokio::task::yield_now().await;
        } else {
            // While the event loop watches a pipe, each write to it wakes the loop, even if nobody
            // reads.
            let unwatched = output.into_nonblocking_fd()?;
            tokio::time::sleep(PAUSE).await;
            output = pipe::Receiver::from_owned_fd(unwatched)?;
        }
    }
}

/// Lines that were read and not written yet.
struct Lines {
    /// The last one may not be whole.
    text: Vec<u8>,
    /// What comes next belongs to a line that was too long, and is dropped.
    skip: bool,
    tail: Tail,
    file: Arc<Mutex<LogFile>>,
    spans: Option<SpanLines>,
}

impl Lines {
    /// Writes the lines that are whole, and the beginning of one that is too long.
    fn write(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        let mut at = 0;
        // Lines of one kind that follow each other are written together.
        let (mut begin, mut spans) = (0, false);
        while let Some(end) = memchr(b'\n', &text[at..]) {
            let line = &text[at..=at + end];
            let next = at + line.len();
            if std::mem::take(&mut self.skip) {
                begin = next;
            } else if self.has_spans(line) != spans {
                self.hand_over(&text[begin..at], spans);
                (begin, spans) = (at, !spans);
            }
            at = next;
        }
        self.hand_over(&text[begin..at], spans);
        let rest = &text[at..];
        if self.skip {
            at = text.len();
        } else if self.has_spans(rest) {
            if rest.len() >= SPAN_LINE_BYTES {
                // Too long for a line: the collector counts it as a bad one.
                self.hand_over(&[rest, b"\n"].concat(), true);
                self.skip = true;
                at = text.len();
            }
        } else {
            let whole = rest.len() - rest.len() % LINE_BYTES;
            self.hand_over(&rest[..whole], false);
            at += whole;
        }
        text.drain(..at);
        self.text = text;
    }

    /// The output has ended. Its last line may have no end.
    fn end(&mut self) {
        if !self.text.is_empty() {
            self.text.push(b'\n');
            self.write();
        }
    }

    fn has_spans(&self, line: &[u8]) -> bool {
        self.spans.is_some() && line.starts_with(SPANS)
    }

    fn hand_over(&mut self, lines: &[u8], has_spans: bool) {
        if lines.is_empty() {
            return;
        }
        if has_spans && let Some(spans) = &mut self.spans {
            return spans(lines);
        }
        let lines = cut(lines);
        self.tail.extend(&lines);
        // Short appends to the page cache: handing them to another thread would cost more.
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(&lines);
    }
}

/// Cuts lines that are too long into several.
fn cut(lines: &[u8]) -> Cow<'_, [u8]> {
    let too_long = |line: &[u8]| line.len() > LINE_BYTES;
    if !lines.split(|byte| *byte == b'\n').any(too_long) && lines.ends_with(b"\n") {
        return lines.into();
    }
    let mut cut = Vec::with_capacity(lines.len() + lines.len() / LINE_BYTES + 1);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.is_empty() {
            cut.push(b'\n');
        }
        for part in line.chunks(LINE_BYTES) {
            cut.extend_from_slice(part);
            cut.push(b'\n');
        }
    }
    cut.into()
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
        copy(reader, tail.clone(), file, None).await.unwrap();
        assert_eq!(tail.lines().last().unwrap(), "last");
        // 12 bytes are passed by "second", then by the long line.
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "y\nlast\n");
        let old = std::fs::read_to_string(folder.path().join("f.log.1")).unwrap();
        assert!(old.ends_with("x\n"), "{}", old.len());
    }

    #[tokio::test]
    async fn lines_with_spans_go_whole_to_the_collector_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.log");
        let file = Arc::new(Mutex::new(LogFile::new(path.clone(), 1 << 20)));
        let tail = Tail::default();
        let span = |text: &str| format!("{{\"resourceSpans\":[{text}]}}\n");
        let long = span(&"x".repeat(500_000));
        let too_long = span(&"y".repeat(SPAN_LINE_BYTES + READ_BYTES));
        let output = format!(
            "first\n{}{}second\n{long}third\n{too_long}fourth\n{{\"resourceSp",
            span("1"),
            span("2")
        );
        let (reader, mut writer) = io::pipe().unwrap();
        let writing = std::thread::spawn(move || writer.write_all(output.as_bytes()).unwrap());
        let reader = pipe::Receiver::from_owned_fd(reader.into()).unwrap();
        enlarge(&reader);
        let (sender, taken) = std::sync::mpsc::channel();
        let spans: SpanLines = Box::new(move |lines| sender.send(lines.to_vec()).unwrap());
        copy(reader, tail.clone(), file, Some(spans)).await.unwrap();
        writing.join().unwrap();

        let log = std::fs::read_to_string(&path).unwrap();
        assert_eq!(log, "first\nsecond\nthird\nfourth\n{\"resourceSp\n");
        assert_eq!(tail.lines().len(), 5);
        let taken = taken.iter().collect::<Vec<_>>().concat();
        let lines: Vec<_> = taken.split_inclusive(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            [lines[0], lines[1]].concat(),
            [span("1"), span("2")].concat().into_bytes()
        );
        assert_eq!(lines[2], long.as_bytes());
        let cut = lines[3].len();
        assert!(cut > SPAN_LINE_BYTES && cut < too_long.len(), "{cut}");
    }
}
