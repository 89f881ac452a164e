//! `majordomo worker exec`: any program as a worker, one process a request.
//!
//! The body goes to its standard input, frames separated by line ends when there are several; its standard output is
//! the reply, one frame. A program that fails is answered with `500` and the last line of its standard error.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use worker::{Frames, Request};

use crate::args::Exec;
use crate::usage::Unsuccessful;

pub(super) async fn run(settings: Exec) -> Result<(), Unsuccessful> {
    let command: Arc<[OsString]> = settings.command.into();
    let worker = super::worker(&settings.session, &settings.service, settings.credit).await?;
    super::serve(worker, move |request: Request| {
        let command = Arc::clone(&command);
        async move { answer(&command, &request.body).await }
    })
    .await
}

async fn answer(command: &[OsString], body: &Frames) -> Result<Frames, String> {
    let (program, arguments) = command.split_first().ok_or("no program")?;
    let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
    let output = execute(program, arguments, body).await.map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let reason =
            complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing on standard error");
        return Err(format!("{name} ended with {}: {reason}", output.status));
    }
    Ok(Frames::from([output.stdout]))
}

async fn execute(program: &OsString, arguments: &[OsString], body: &Frames) -> std::io::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A worker that ends does not leave its programs behind.
        .kill_on_drop(true)
        .spawn()?;
    let input = child.stdin.take();
    let body = body.join(&b"\n"[..]);
    // Written beside the reading, or a program that answers while it reads would block both of us.
    let write = async move {
        if let Some(mut input) = input {
            // A program need not read all of its input.
            let _ = input.write_all(&body).await;
        }
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    output
}
