//! One snapshot of each of several databases, in all of which the same transactions are visible.
//!
//! PostgreSQL numbers the transactions of all databases of a server together. A snapshot says which of
//! them have ended. So snapshots of different databases can be compared, and two in which the same
//! transactions have ended show the same instant.

use std::{
    collections::BTreeSet,
    process::Stdio,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use super::programs::Programs;

/// How long such an instant is looked for. Each try takes a few milliseconds, and fails only when a
/// transaction ends meanwhile.
const LIMIT: Duration = Duration::from_secs(60);

/// One message to the server, so that all snapshots are taken as close together as can be.
const TAKE: &str = "ROLLBACK\\; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY\\; \
    SELECT pg_export_snapshot() || ' ' || pg_current_snapshot() || ' ' || \
    to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"');\n";

/// Sessions that hold one snapshot each, all of the same instant.
pub(super) struct Instants {
    sessions: Vec<Session>,
    /// The name under which another session can take up the snapshot, for each database.
    pub(super) ids: Vec<String>,
    /// The time, RFC 3339.
    pub(super) taken_at: String,
}

impl Instants {
    /// Looks for an instant that can be seen in all databases.
    pub(super) async fn find(programs: &Programs, databases: &[String]) -> Result<Self> {
        let sessions = databases
            .iter()
            .map(|database| Session::open(programs, database));
        let mut sessions = sessions.collect::<Result<Vec<_>>>()?;
        // The first answers are those of connections that were just made.
        let began = Instant::now();
        loop {
            let taken = try_join_all(sessions.iter_mut().map(Session::take)).await?;
            if let [(first, _, taken_at), rest @ ..] = &taken[..]
                && rest
                    .iter()
                    .all(|(other, ..)| first.shows_the_same_as(other))
            {
                return Ok(Self {
                    taken_at: taken_at.clone(),
                    ids: taken.into_iter().map(|(_, id, _)| id).collect(),
                    sessions,
                });
            }
            if began.elapsed() > LIMIT {
                bail!(
                    "the system is too busy: for {} s, there was no instant in which no transaction \
                     ended. Make the backup at a quieter time",
                    LIMIT.as_secs()
                );
            }
        }
    }

    /// Lets the snapshots go.
    pub(super) async fn end(self) {
        for mut session in self.sessions {
            drop(session.stdin);
            session.child.wait().await.ok();
        }
    }
}

/// psql in one database.
struct Session {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Session {
    fn open(programs: &Programs, database: &str) -> Result<Self> {
        let mut psql = programs.psql(database);
        let mut child = psql
            .stderr(Stdio::piped())
            .spawn()
            .context(programs.cure("psql"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        Ok(Self {
            child,
            stdin: stdin.context("psql has no standard input")?,
            lines: BufReader::new(stdout.context("psql has no standard output")?).lines(),
        })
    }

    /// A new snapshot, its name, and the time.
    async fn take(&mut self) -> Result<(Snapshot, String, String)> {
        // If psql has ended, what it said is of interest.
        self.stdin.write_all(TAKE.as_bytes()).await.ok();
        let Some(line) = self.lines.next_line().await? else {
            let mut said = String::new();
            if let Some(stderr) = &mut self.child.stderr {
                stderr.read_to_string(&mut said).await.ok();
            }
            bail!("psql failed:\n{}", said.trim());
        };
        let mut words = line.split(' ');
        let (Some(id), Some(snapshot), Some(at)) = (words.next(), words.next(), words.next())
        else {
            bail!("psql answered `{line}` instead of a snapshot");
        };
        let parsed = snapshot.parse();
        let parsed =
            parsed.with_context(|| format!("the server gave the snapshot `{snapshot}`"))?;
        Ok((parsed, id.to_owned(), at.to_owned()))
    }
}

/// Which transactions have ended: those below `next`, but for `running`.
#[derive(Debug, PartialEq, Eq)]
struct Snapshot {
    next: u64,
    running: BTreeSet<u64>,
}

impl FromStr for Snapshot {
    type Err = anyhow::Error;

    /// PostgreSQL's own form, `xmin:xmax:xip,xip`.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(':').skip(1);
        let next = parts.next().context("it has no second part")?.parse()?;
        let running = parts.next().context("it has no third part")?;
        let running = running.split(',').filter(|id| !id.is_empty());
        Ok(Self {
            next,
            running: running.map(str::parse).collect::<Result<_, _>>()?,
        })
    }
}

impl Snapshot {
    fn shows_the_same_as(&self, other: &Self) -> bool {
        let (early, late) = if self.next <= other.next {
            (self, other)
        } else {
            (other, self)
        };
        // What began in between must still run.
        let mut began = early.next..late.next;
        let in_both = late.running.range(..early.next);
        // Not one by one where far more began than run.
        late.next - early.next <= late.running.len() as u64
            && began.all(|id| late.running.contains(&id))
            && early.running.iter().eq(in_both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_show_the_same_if_the_same_transactions_have_ended() {
        let same = |one: &str, other: &str| {
            let (one, other): (Snapshot, Snapshot) = (one.parse().unwrap(), other.parse().unwrap());
            let same = one.shows_the_same_as(&other);
            assert_eq!(same, other.shows_the_same_as(&one));
            same
        };
        assert!(same("10:10:", "10:10:"));
        assert!(same("7:10:7,9", "7:10:7,9"));
        // 10 and 11 began, and run.
        assert!(same("10:10:", "10:12:10,11"));
        assert!(same("7:10:7", "7:11:7,10"));
        // 10 began and ended.
        assert!(!same("10:10:", "11:11:"));
        assert!(!same("10:10:", "11:12:11"));
        // 7 ended.
        assert!(!same("7:10:7,9", "9:10:9"));
        assert!(!same("7:10:7", "10:11:10"));
        assert!(!same("7:10:7", "1000000:90000000:"));
        for bad in ["", "7", "7:10", "7:x:", "7:10:a"] {
            assert!(bad.parse::<Snapshot>().is_err(), "{bad}");
        }
    }
}
