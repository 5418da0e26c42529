//! The programs that a deployment calls: kubectl, helm, kind, docker and others.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{Problem, Result};

/// How long a program may take unless its call says otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// How many lines of a program's errors are shown.
const SHOWN_LINES: usize = 6;

/// How much of an argument is shown, in characters.
const SHOWN_CHARACTERS: usize = 200;

/// Where each program comes from.
const SOURCES: &[(&str, &str)] = &[
    ("kubectl", "https://kubernetes.io/docs/tasks/tools"),
    ("helm", "https://helm.sh/docs/intro/install"),
    (
        "kind",
        "https://kind.sigs.k8s.io/docs/user/quick-start#installation",
    ),
    (
        "docker",
        "https://docs.docker.com/engine/install, or podman: https://podman.io/docs/installation",
    ),
];

/// Finds programs and runs them.
#[derive(Clone, Debug)]
pub struct Programs {
    path: OsString,
}

impl Programs {
    /// Those of this process's `PATH`.
    #[expect(
        clippy::disallowed_methods,
        reason = "not configuration: where this machine keeps its programs"
    )]
    pub fn of_machine() -> Self {
        Self::at(env::var_os("PATH").unwrap_or_default())
    }

    /// Those of another search path.
    pub fn at(path: impl Into<OsString>) -> Self {
        Self { path: path.into() }
    }

    /// The file of a program; none where it is not installed.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let mut files = env::split_paths(&self.path).map(|folder| folder.join(name));
        files.find(|file| is_program(file))
    }

    /// A call of a program.
    ///
    /// # Errors
    ///
    /// When it is not installed; the cure says where it comes from.
    pub fn call(&self, name: &str) -> Result<Call> {
        let Some(file) = self.find(name) else {
            let source = SOURCES.iter().find(|(program, _)| *program == name);
            let problem = Problem::new(format!("{name} is not installed"));
            return Err(match source {
                Some((_, source)) => problem.cure(format!("install {name}: {source}")),
                None => problem.cure(format!("install {name}")),
            });
        };
        Ok(Call {
            name: name.to_owned(),
            command: {
                let mut command = Command::new(file);
                command.env("PATH", &self.path).kill_on_drop(true);
                command
            },
            input: None,
            limit: LIMIT,
        })
    }
}

fn is_program(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// A call of a program that has not begun.
pub struct Call {
    name: String,
    command: Command,
    input: Option<Vec<u8>>,
    limit: Duration,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Call {
    /// Adds an argument. It must not be a secret: every user of a machine can read arguments.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Lets it run for so long.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The command, for who talks with it while it runs.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// The command line as a person would type it.
    pub fn shown(&self) -> String {
        let args = self.command.as_std().get_args();
        let args = args.map(|arg| quoted(&short(&arg.to_string_lossy())));
        let words: Vec<_> = std::iter::once(self.name.clone()).chain(args).collect();
        words.join(" ")
    }

    /// Runs it to its end with the terminal of this process, but for the lines of its standard output that are not
    /// wanted.
    ///
    /// # Errors
    ///
    /// When it cannot be started or fails.
    pub async fn attached_lines(mut self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let shown = self.shown();
        let problem = |error: &dyn fmt::Display| failed(&shown).because(error);
        self.command.stdout(Stdio::piped());
        let mut child = self.command.spawn().map_err(|error| problem(&error))?;
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).split(b'\n');
            let mut out = io::stdout();
            while let Some(line) = lines.next_segment().await.map_err(|e| problem(&e))? {
                let text = String::from_utf8_lossy(&line);
                // Nobody may read any more, as behind `head`.
                if wanted(&text) && writeln!(out, "{text}").is_err() {
                    return Ok(());
                }
            }
        }
        let status = child.wait().await.map_err(|error| problem(&error))?;
        match status.success() {
            true => Ok(()),
            false => Err(problem(&status)),
        }
    }

    /// Runs it to its end, and returns its standard output.
    ///
    /// # Errors
    ///
    /// When it cannot be started, does not end in time, or fails: the cause has the last lines of its
    /// errors.
    pub async fn output(self) -> Result<String> {
        let shown = self.shown();
        let done = self.done().await?;
        match done.success {
            true => Ok(done.out),
            false => Err(failed(&shown).because(done.last_lines())),
        }
    }

    /// Runs it to its end, with success or without.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or does not end in time.
    pub async fn done(mut self) -> Result<Done> {
        let shown = self.shown();
        let problem = |error: &dyn fmt::Display| failed(&shown).because(error);
        self.command
            .stdin(match self.input {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|error| problem(&error))?;
        let (stdin, input) = (child.stdin.take(), self.input.take());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let writing = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A program that ends before it has read everything says why by its status.
                let _ = stdin.write_all(&input).await;
            }
        };
        let work = async {
            let ((), out, err) = tokio::join!(writing, all(stdout), all(stderr));
            Ok::<_, std::io::Error>((child.wait().await?, out?, err?))
        };
        match timeout(self.limit, work).await {
            Err(_) => Err(problem(&format!(
                "it did not end within {} s",
                self.limit.as_secs()
            ))),
            Ok(Err(error)) => Err(problem(&error)),
            Ok(Ok((status, out, err))) => Ok(Done {
                success: status.success(),
                out: String::from_utf8_lossy(&out).into_owned(),
                err: String::from_utf8_lossy(&err).into_owned(),
                status: status.to_string(),
            }),
        }
    }
}

async fn all(pipe: Option<impl AsyncReadExt + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut text).await?;
    }
    Ok(text)
}

fn failed(shown: &str) -> Problem {
    Problem::new(format!("`{shown}` failed"))
}

/// A long argument is shown by its beginning.
fn short(arg: &str) -> String {
    match arg.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &arg[..end]),
        None => arg.to_owned(),
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+{}".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct Done {
    /// Whether it ended with 0.
    pub success: bool,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    status: String,
}

impl Done {
    /// The last lines of its errors, or else of its output, or else its status.
    pub fn last_lines(&self) -> String {
        let tail = |text: &str| {
            let lines: Vec<_> = text
                .lines()
                .filter(|line| !line.trim().is_empty())
                .collect();
            lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
        };
        [tail(&self.err), tail(&self.out), self.status.clone()]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    }
}
