//! An acknowledged write to a SQLite file survives `kill -9` of the process that made it.
//!
//! The test starts itself again as the writer, which writes for ever and says what was acknowledged until it is killed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{ask, handler};

#[tokio::test]
async fn an_acknowledged_write_survives_kill_9() {
    if let Some(file) = std::env::var_os(FILE) {
        return write_for_ever(Path::new(&file)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.db");
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let mut writer = Writer::start(&file);
        let mut lines = BufReader::new(writer.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        let ids = |line: String| line.strip_prefix(ACKNOWLEDGED).map(str::to_owned);
        acknowledged.extend(lines.by_ref().filter_map(ids).take(40));
        writer.kill();
        // What it said before it died counts too.
        acknowledged.extend(lines.filter_map(ids));
        assert!(acknowledged.len() >= 40 * (round + 1));
    }
    let handler = handler(&format!("sqlite:{}", file.display()), "none").await;
    let found = ask(&handler, &["mydb", "orders", "RETRIEVE", "{}"]).await;
    for id in &acknowledged {
        assert!(found.contains(id), "{id} was acknowledged");
    }
}

/// A writer process, killed when dropped.
struct Writer(Child);

impl Writer {
    fn start(file: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "an_acknowledged_write_survives_kill_9", "--nocapture"]).env(FILE, file);
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It is dead already unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn write_for_ever(file: &Path) {
    let handler = handler(&format!("sqlite:{}", file.display()), "none").await;
    // Fewer than an answer may have, should nobody kill us.
    for _ in 0..250 {
        let reply = ask(&handler, &["mydb", "orders", "CREATE", "{}"]).await;
        assert_eq!(reply[0], "200");
        let mut output = std::io::stdout();
        writeln!(output, "\n{ACKNOWLEDGED}{}", reply[1]).unwrap();
        output.flush().unwrap();
    }
    // All is written; wait to be killed, or for the end of whoever should have done it.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

const FILE: &str = "MAJORDOMO_TEST_WRITE_TO";
const ACKNOWLEDGED: &str = "acknowledged ";
