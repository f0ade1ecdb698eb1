//! Floods of HTTP/2 frames, written by hand, against the real binary: its memory stays bounded and
//! other clients are answered.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::process::Process;

/// The client's preface and an empty SETTINGS.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// How much more memory the service may take for one bad peer.
const ROOM_KB: u64 = 64 * 1024;
/// A flood that the service does not end is over then.
const LENGTH: Duration = Duration::from_secs(5);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).expect("short").to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of a request that asks the database: static table entries, then literals.
fn browse(method: u8) -> Vec<u8> {
    let mut block = vec![method, 0x86];
    for (name, value) in
        [(":path", "/challenge/v1/challenges"), (":authority", "x"), ("x-mock-user-id", "flood")]
    {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend(text.as_bytes());
        }
    }
    block
}

fn rss_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn address(url: &str) -> String {
    url.trim_start_matches("http://").split('/').next().expect("an address").to_owned()
}

/// Sends what `next` makes, again and again, and reads nothing, unless `reads`. How many pieces
/// were sent, and whether the service ended the connection.
async fn flood(
    to: &str,
    first: Vec<u8>,
    mut next: impl FnMut(u32) -> Vec<u8> + Send,
    reads: bool,
) -> (u32, bool) {
    let stream = TcpStream::connect(to).await.expect("connects");
    let (mut read, mut write) = stream.into_split();
    write.write_all(HELLO).await.expect("is sent");
    write.write_all(&first).await.expect("is sent");
    let sent = AtomicU32::new(0);
    let end = async {
        let mut buffer = vec![0; 1 << 16];
        while reads && matches!(read.read(&mut buffer).await, Ok(1..)) {}
        if !reads {
            std::future::pending::<()>().await;
        }
    };
    let writes = async {
        while write.write_all(&next(sent.load(Ordering::Relaxed))).await.is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    };
    let closed = timeout(LENGTH, async {
        tokio::select! { () = end => {}, () = writes => {} }
    });
    let closed = closed.await.is_ok();
    (sent.into_inner(), closed)
}

/// Runs a flood while another client asks: every answer is good, and memory stays bounded.
async fn survives<F>(name: &str, server: &Process, attack: F) -> (u32, bool)
where
    F: Future<Output = (u32, bool)>,
{
    let before = rss_kb(server.pid());
    let done = AtomicBool::new(false);
    let other = async {
        let (mut asked, mut most) = (0_u32, 0);
        while !done.load(Ordering::SeqCst) || asked < 5 {
            let http = server.http.clone();
            let answer = tokio::task::spawn_blocking(move || {
                let url = format!("{http}/v1/challenges");
                ureq::get(&url).header("x-mock-user-id", "honest").call().map(|reply| reply.status().as_u16())
            });
            let status = answer.await.expect("no panic").expect("is answered");
            assert_eq!(status, 200, "{name}");
            asked += 1;
            most = most.max(rss_kb(server.pid()));
        }
        (asked, most)
    };
    let attack = async {
        let result = attack.await;
        done.store(true, Ordering::SeqCst);
        result
    };
    let ((sent, closed), (asked, most)) = tokio::join!(attack, other);
    println!("{name}: {sent} sent, closed: {closed}, {asked} good answers, memory {before} -> {most} kB");
    assert!(most < before + ROOM_KB, "{name}: {before} kB before, {most} kB");
    (sent, closed)
}

fn start() -> (tempfile::TempDir, Process) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("sqlite:{}", folder.path().join("gauntlet.db").display());
    (folder, Process::start(&store, &[]))
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_resets_and_stream_errors_end_their_connection_only() {
    let (_folder, server) = start();
    let to = address(&server.http);
    let id = |number: u32| number * 2 + 1;
    let resets = flood(
        &to,
        Vec::new(),
        |number| {
            let mut both = frame(HEADERS, END_HEADERS | END_STREAM, id(number), &browse(0x82));
            both.extend(frame(RST_STREAM, 0, id(number), &8_u32.to_be_bytes()));
            both
        },
        true,
    );
    let (_, closed) = survives("resets", &server, resets).await;
    assert!(closed, "resets without end are not taken");
    // The peer makes the service reset: a window of more than 2^31.
    let provoked = flood(
        &to,
        Vec::new(),
        |number| {
            let mut both = frame(HEADERS, END_HEADERS, id(number), &browse(0x83));
            both.extend(frame(WINDOW_UPDATE, 0, id(number), &0x7fff_ffff_u32.to_be_bytes()));
            both
        },
        true,
    );
    let (_, closed) = survives("provoked resets", &server, provoked).await;
    assert!(closed, "provoked resets without end are not taken");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_an_end_end_their_connection_only() {
    let (_folder, server) = start();
    let to = address(&server.http);
    // A literal header of 16,000 bytes in each frame, then one of a few bytes.
    for (name, length) in [("long continuations", 16_000_usize), ("short continuations", 8)] {
        let mut field = vec![0, 1, b'x', 0x7f];
        if length < 127 {
            field = vec![0, 1, b'x', u8::try_from(length).expect("short")];
        } else {
            let mut rest = length - 127;
            while rest >= 128 {
                field.push(u8::try_from(rest % 128).expect("below 128") | 128);
                rest /= 128;
            }
            field.push(u8::try_from(rest).expect("below 128"));
        }
        field.extend(vec![b'y'; length]);
        let first = frame(HEADERS, END_STREAM, 1, &browse(0x82));
        let attack = flood(&to, first, |_| frame(CONTINUATION, 0, 1, &field), true);
        let (_, closed) = survives(name, &server, attack).await;
        assert!(closed, "{name}");
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_control_frames_stay_cheap() {
    let (_folder, server) = start();
    let to = address(&server.http);
    // They ask for answers that nobody reads: the service must not store them up.
    for (name, one) in [
        ("pings", frame(PING, 0, 0, &[7; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])),
        ("empty data", frame(DATA, 0, 1, &[])),
    ] {
        let many = one.repeat(100);
        let first = frame(HEADERS, END_HEADERS, 1, &browse(0x83));
        survives(name, &server, flood(&to, first, |_| many.clone(), false)).await;
    }
    server.stop();
}
