//! Peers who send or read slowly, and who are many.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::rig::Rig;

/// Longer than any limit here, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the server has closed the connection; what it sent before.
async fn closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut text = Vec::new();
    // A reset is an end, too.
    let _end = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("the server closes it");
    text
}

async fn connect(rig: &Rig) -> TcpStream {
    TcpStream::connect(rig.http()).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_in_is_not_waited_for() {
    let rig = Rig::start(|config| config.net.first_request = Duration::from_millis(300)).await;
    for begin in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n"] {
        let (mut read, mut write) = connect(&rig).await.into_split();
        let drip = async {
            if write.write_all(begin.as_bytes()).await.is_err() {
                return;
            }
            // Every byte is in time, the whole is not.
            while !begin.is_empty() && write.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut text = Vec::new();
        let end = async {
            let _end = timeout(PATIENCE, read.read_to_end(&mut text)).await.expect("the server closes it");
        };
        tokio::select! { () = end => {}, () = drip => {} }
        assert!(!String::from_utf8_lossy(&text).contains("200 OK"), "{begin:?}");
    }
    assert_eq!(rig.browse("a").await.status, 200);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_holds_no_place_and_is_not_waited_for() {
    let rig = Rig::start(|config| {
        config.admission.writes = 1;
        config.admission.write_time = Duration::from_secs(3);
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(&rig).await;
        let head = "POST /challenge/v1/challenges/initialize HTTP/1.1\r\nhost: x\r\n\
                    x-mock-user-id: slow\r\ncontent-length: 1000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.expect("is sent");
        slow.push(stream);
    }
    for _ in 0..5 {
        assert_eq!(rig.initialize("quick", "").await.status, 200);
    }
    let (mut late, mut full) = (0, 0);
    for mut stream in slow {
        let text = closed(&mut stream).await;
        let text = String::from_utf8_lossy(&text);
        late += usize::from(text.contains("DEADLINE_EXCEEDED"));
        // Its head came just when a quick one had the place.
        full += usize::from(text.contains("OVERLOADED"));
    }
    assert!(late > 0 && late + full == 20, "{late} late, {full} refused");
    assert!(!rig.store.asked().contains(&"slow".to_owned()));
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_wait_and_are_served_when_silent_ones_are_gone() {
    let rig = Rig::start(|config| {
        config.net.max_connections = 4;
        config.net.first_request = Duration::from_millis(300);
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(connect(&rig).await);
    }
    assert_eq!(timeout(PATIENCE, rig.browse("a")).await.expect("is served").status, 200);
    for stream in &mut silent {
        assert!(closed(stream).await.is_empty());
    }
    rig.server.stop().await;
}

/// A request over HTTP/2 by hand, from a peer who lets no byte of a body through.
const WINDOWLESS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00";

fn browse(stream: u32) -> Vec<u8> {
    // GET and http from the static table, then literals: path, authority, who asks.
    let mut block = vec![0x82, 0x86];
    for (name, value) in
        [(":path", "/challenge/v1/challenges"), (":authority", "x"), ("x-mock-user-id", "slow")]
    {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    let mut frame = u32::try_from(block.len()).unwrap().to_be_bytes()[1..].to_vec();
    // HEADERS, with the end of the headers and of the stream.
    frame.extend([1, 5]);
    frame.extend(stream.to_be_bytes());
    frame.extend(block);
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_nobody_reads_holds_its_place_until_its_reader_is_let_go() {
    let rig = Rig::start(|config| {
        config.admission.reads = 2;
        config.net.reply = Duration::from_secs(2);
    })
    .await;
    let mut reader = connect(&rig).await;
    reader.write_all(WINDOWLESS).await.expect("is sent");
    for stream in [1, 3] {
        reader.write_all(&browse(stream)).await.expect("is sent");
    }
    super::rig::until(|| rig.store.asked().iter().filter(|player| *player == "slow").count() == 2).await;
    let refused = rig.browse("a").await;
    assert!(refused.is(429, "OVERLOADED"), "{refused:?}");
    closed(&mut reader).await;
    let served = timeout(PATIENCE, async { while rig.browse("a").await.status != 200 {} });
    served.await.expect("the places are free again");
    rig.server.stop().await;
}
