//! docs/PERFORMANCE.md: one section a suite between markers; a run replaces its own section and leaves the others
//! alone.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;

/// Puts `section` into the document at `path`, in place of the last one of this suite; a missing document is begun.
///
/// # Errors
/// The file cannot be read or written.
pub fn write_section(path: &Path, suite: &str, section: &str) -> anyhow::Result<()> {
    let document = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => BEGINNING.to_owned(),
        other => other.with_context(|| format!("cannot read {}", path.display()))?,
    };
    fs::write(path, replace_section(&document, suite, section))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn replace_section(document: &str, suite: &str, section: &str) -> String {
    let (begin, end) =
        (format!("<!-- bench {suite}: written by `cargo xtask bench` -->"), format!("<!-- /bench {suite} -->"));
    let section = format!("{begin}\n## {suite}\n\n{}\n{end}\n", section.trim_end());
    let old = document.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match old {
        Some((before, after)) => format!("{before}{section}{}", after.strip_prefix('\n').unwrap_or(after)),
        None => format!("{}\n\n{section}", document.trim_end()),
    }
}

const BEGINNING: &str = "\
# Performance

Figures of `cargo xtask bench`: our broker and its neighbours, side by side in one run. An absolute figure drifts with
the machine and the hour; a ratio from one run does not, so ratios are what counts here.

How it is measured:
- One generator process, one thread, plays all clients and all workers of every protocol with the same core, so that no
  client library is compared. It shares the machine with the server: its own cost is in the tables, and where it was
  busy all the time the server could do more than the table says.
- Every server runs in a process of its own, on the loopback, started afresh for each round. Rounds are interleaved over
  the peers; a figure is the median of the rounds, a ratio the median of the ratios of each round.
- Every reply is checked: its length, and the sequence number at both ends of its body. A lost, repeated or wrong one is
  an error, and a table with errors does not count.
- Latency is from writing a request to reading its reply. Processor time is user and system time of all of the server's
  threads. Memory is its peak of resident memory in that round.
- The peers do different jobs. gearmand is the nearest to MDP: named functions, a queue in the server, one job at a time
  a worker. NATS keeps no queue, retries nothing, and deals a worker as many requests as come, which saves it system
  calls that one-at-a-time protocols cannot save. The libzmq proxy knows no services, no heartbeats and no expiry.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_its_neighbours_stay() {
        let first = replace_section("# Head\n", "rpc", "one");
        let both = replace_section(&first, "footprint", "two");
        let again = replace_section(&both, "rpc", "three");
        assert!(again.starts_with("# Head\n\n<!-- bench rpc"));
        assert!(again.contains("## rpc\n\nthree\n") && again.contains("## footprint\n\ntwo\n"));
        assert!(!again.contains("one"));
        assert_eq!(replace_section(&again, "rpc", "three"), again);
    }

    #[test]
    fn a_missing_document_is_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("PERFORMANCE.md");
        write_section(&path, "rpc", "text").unwrap();
        let document = fs::read_to_string(&path).unwrap();
        assert!(document.starts_with("# Performance\n") && document.contains("## rpc\n\ntext\n"));
    }

    #[test]
    fn an_unwritable_path_is_an_error_that_names_it() {
        let error = write_section(Path::new("/proc/none/PERFORMANCE.md"), "rpc", "text").unwrap_err();
        assert!(error.to_string().contains("/proc/none"), "{error}");
    }
}
