//! Programs that answer as recorded, and keep what they were asked.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use tempfile::TempDir;
use zerocart_cluster::Programs;

/// A folder of recorded programs.
pub(crate) struct Recorded(TempDir);

/// What every recorded program is. It is linked to, not written: a file that some process has open for writing
/// cannot be run, and a test beside this one may start a process at any moment.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/recorded.sh");

impl Recorded {
    /// No program yet.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for needed in ["cat", "rm"] {
            symlink(format!("/bin/{needed}"), folder.path().join(needed)).unwrap();
        }
        Self(folder)
    }

    /// They, and what the recorded programs need: what this machine has installed makes no difference.
    pub(crate) fn programs(&self) -> Programs {
        Programs::at(self.0.path())
    }

    /// `name` answers `out` when its arguments begin with `words`. Later answers come first.
    pub(crate) fn answer(&self, name: &str, words: &str, out: &str) {
        self.add(name, words, out, "", 0);
    }

    /// `name` gives these answers one after the other when its arguments begin with `words`, and then stays
    /// with the last one.
    pub(crate) fn answers(&self, name: &str, words: &str, outs: &[&str]) {
        let (last, first) = outs.split_last().unwrap();
        self.answer(name, words, last);
        for out in first.iter().rev() {
            let answer = self.add(name, words, out, "", 0);
            fs::write(answer.join("once"), "").unwrap();
        }
    }

    /// `name` fails so when its arguments begin with `words`.
    pub(crate) fn refuse(&self, name: &str, words: &str, err: &str) {
        self.add(name, words, "", err, 1);
    }

    /// `name` fails so the next time its arguments begin with `words`, and then no more.
    pub(crate) fn refuse_once(&self, name: &str, words: &str, err: &str) {
        let answer = self.add(name, words, "", err, 1);
        fs::write(answer.join("once"), "").unwrap();
    }

    /// `name` answers `out` the next time its arguments begin with `words`, and then no more.
    pub(crate) fn answer_once(&self, name: &str, words: &str, out: &str) {
        let answer = self.add(name, words, out, "", 0);
        fs::write(answer.join("once"), "").unwrap();
    }

    /// `name` is not installed.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.0.path().join(name)).unwrap();
    }

    fn add(&self, name: &str, words: &str, out: &str, err: &str, status: u8) -> PathBuf {
        let program = self.0.path().join(name);
        if !program.exists() {
            symlink(SCRIPT, &program).unwrap();
        }
        let answers = self.0.path().join(format!("{name}.answers"));
        fs::create_dir_all(&answers).unwrap();
        let count = fs::read_dir(&answers).unwrap().count();
        let answer = answers.join(format!("{:04}", 9999 - count));
        fs::create_dir(&answer).unwrap();
        for (file, text) in [
            ("words", words),
            ("out", out),
            ("err", err),
            ("status", &status.to_string()),
        ] {
            fs::write(answer.join(file), text).unwrap();
        }
        answer
    }

    /// What was called, one line each.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.0.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// What was given to standard inputs.
    pub(crate) fn input(&self) -> String {
        fs::read_to_string(self.0.path().join("input")).unwrap_or_default()
    }
}
