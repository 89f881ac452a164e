//! What goes to standard output: lines for people, JSON objects for scripts.
//!
//! A reader that has seen enough closes the pipe; that ends the program quietly, as it does other tools.

use std::io::{ErrorKind, Write};

use bytes::Bytes;

/// Prints one line.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    bytes(text.as_bytes())
}

/// Prints one JSON object as a line.
pub(crate) fn json(object: &serde_json::Value) -> anyhow::Result<()> {
    line(&object.to_string())
}

/// Prints what a server has to tell whoever started it. A reader that has hung up by then does not end the server.
pub(crate) fn announce(lines: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
        tracing::debug!("nobody reads standard output: {error}");
    }
}

/// Prints bytes as they are, and a line end.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}

/// A frame as a JSON value: text when it is UTF-8, else its bytes in hexadecimal under `hex`.
pub(crate) fn frame(frame: &Bytes) -> serde_json::Value {
    match std::str::from_utf8(frame) {
        Ok(text) => serde_json::Value::from(text),
        Err(_) => {
            let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
            serde_json::json!({ "hex": hex })
        }
    }
}
