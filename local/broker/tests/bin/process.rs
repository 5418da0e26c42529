//! What the tests start: a broker, or with `engine` an engine that keeps one and does nothing else.
//!
//! An engine reads the options of its broker from standard input, and says there the broker's process id and
//! folder.

use std::{io::Write, process::Command};

use zerocart_broker::{Event, Keeper, Options, Socket, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    if std::env::args().nth(1).as_deref() != Some("engine") {
        return run().await;
    }
    let options: Options = serde_json::from_reader(std::io::stdin().lock())?;
    let socket = Socket::temporary()?;
    let folder = socket.folder().display().to_string();
    let this = std::env::current_exe()?;
    let command = move || Command::new(&this);
    let _keeper = Keeper::start(socket.listener()?, options, command, move |event| {
        if let Event::Started { pid } = event {
            // The reader may have gone.
            let _ = writeln!(std::io::stdout(), "{pid} {folder}");
        }
    });
    std::future::pending().await
}
