use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{FutureExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::*;

fn event(sequence: u64) -> Event {
    Event { sequence, event: None }
}

fn ack_of(sequence: u64) -> Ack {
    Ack { sequence, ..Ack::default() }
}

#[tokio::test]
async fn every_event_is_answered_once_and_begun_in_order() {
    let begun = Arc::new(Mutex::new(Vec::new()));
    let list = begun.clone();
    let answer = move |event: Event| {
        let list = list.clone();
        async move {
            list.lock().unwrap().push(event.sequence);
            // Every other one takes longer, so that answers overtake each other.
            for _ in 0..(event.sequence % 2) * 3 {
                tokio::task::yield_now().await;
            }
            ack_of(event.sequence)
        }
    };
    let events = stream::iter((0..10_000).map(|sequence| Ok(event(sequence))));
    let answers: Vec<_> = Answers::new(events, CancellationToken::new(), answer).collect().await;
    let mut answered: Vec<u64> = answers.into_iter().map(|ack| ack.unwrap().sequence).collect();
    assert!(!answered.is_sorted(), "answers come as they are known");
    answered.sort_unstable();
    assert!(answered.into_iter().eq(0..10_000));
    assert!(begun.lock().unwrap().iter().copied().eq(0..10_000), "events keep their order");
}

#[tokio::test]
async fn a_sender_far_ahead_is_held_back() {
    let (release, released) = oneshot::channel::<()>();
    let released = released.shared();
    let answer = move |event: Event| {
        let released = released.clone();
        async move {
            let _ready = released.await;
            ack_of(event.sequence)
        }
    };
    let all = MAX_IN_FLIGHT + 100;
    let read = Arc::new(AtomicUsize::new(0));
    let count = read.clone();
    let events = stream::iter((0..all).map(move |sequence| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(event(sequence as u64))
    }));
    let mut answers = Answers::new(events, CancellationToken::new(), answer);
    assert!(answers.next().now_or_never().is_none(), "nothing is answered yet");
    assert_eq!(read.load(Ordering::Relaxed), MAX_IN_FLIGHT, "the rest was not read");
    release.send(()).unwrap();
    assert_eq!(answers.count().await, all);
}

#[tokio::test]
async fn a_stop_answers_what_was_read_and_tells_the_sender() {
    let (send, events) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let answer = |event: Event| async move { ack_of(event.sequence) };
    let mut answers = Answers::new(UnboundedReceiverStream::new(events), stop.clone(), answer);
    send.send(Ok(event(1))).unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap(), ack_of(1));
    stop.cancel();
    send.send(Ok(event(2))).unwrap();
    let end = answers.next().await.expect("an end that says why").expect_err("not an answer");
    assert_eq!(end.code(), tonic::Code::Unavailable);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_broken_stream_ends_with_its_error_after_the_answers() {
    let events = stream::iter([Ok(event(1)), Err(Status::cancelled("gone"))]);
    let answer = |event: Event| async move { ack_of(event.sequence) };
    let answers: Vec<_> = Answers::new(events, CancellationToken::new(), answer).collect().await;
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].as_ref().unwrap(), &ack_of(1));
    assert_eq!(answers[1].as_ref().unwrap_err().code(), tonic::Code::Cancelled);
}
