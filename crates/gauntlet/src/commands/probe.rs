//! `gauntlet probe`: the health check of containers, which have no other program to ask with.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::Context;
use crate::{cli::ProbeArgs, output::Failure};

/// Who asks waits no longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks whether a service is ready.
pub(super) fn run(context: &Context, args: &ProbeArgs) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::caused(format_args!("cannot ask {}", args.ops), &error);
    let answer = ask(args.ops).map_err(failed)?;
    // The first line of HTTP/1: version, status, word.
    let line = answer.lines().next().unwrap_or_default();
    if line.split(' ').nth(1) == Some("200") {
        return context.output.data("ready\n");
    }
    Err(Failure::new(format!("{} is not ready: {line:?}", args.ops)))
}

fn ask(ops: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&ops, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: {ops}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    // Enough for the first line; a peer that never ends must not fill the memory.
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
