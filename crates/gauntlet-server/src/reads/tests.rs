//! Reads that come together, over a store that counts them.

use futures_util::future::join_all;

use super::*;
use crate::shards::tests::Rig;

async fn ask(reads: &Reads, core: &Core, names: &[&str]) -> Vec<Result<bool, String>> {
    let asked = join_all(names.iter().map(|name| async { reads.read(&core.key(*name)).await }));
    let answers = asked.await.into_iter().map(|answer| answer.expect("there is room"));
    answers.map(|answer| answer.map(|stored| stored.is_some()).map_err(|error| error.message)).collect()
}

#[tokio::test]
async fn they_share_a_statement() {
    let rig = Rig::with_culprit(None).await;
    let stop = CancellationToken::new();
    let reads = Reads::start(&rig.core, &rig.tasks, &stop);
    let names = ["a", "nobody", "b", "a", "c"];
    let found = ask(&reads, &rig.core, &names).await;
    assert_eq!(found, [true, false, true, true, true].map(Ok));
    assert_eq!(rig.loads(), [4], "each player is asked for once");
    assert_eq!(ask(&reads, &rig.core, &["b"]).await, [Ok(true)]);
    assert_eq!(rig.loads(), [1]);
    stop.cancel();
}

#[tokio::test]
async fn one_that_is_refused_does_not_spoil_the_others() {
    let rig = Rig::with_culprit(Some("b")).await;
    let stop = CancellationToken::new();
    let reads = Reads::start(&rig.core, &rig.tasks, &stop);
    let found = ask(&reads, &rig.core, &["a", "b", "c"]).await;
    assert_eq!((&found[0], &found[2]), (&Ok(true), &Ok(true)));
    assert!(found[1].is_err());
    assert_eq!(rig.loads(), [3, 1, 1, 1]);
    stop.cancel();
}

#[tokio::test]
async fn nobody_waits_for_readers_that_have_ended() {
    let rig = Rig::with_culprit(None).await;
    let stop = CancellationToken::new();
    let reads = Reads::start(&rig.core, &rig.tasks, &stop);
    stop.cancel();
    assert!(reads.read(&rig.core.key("a")).await.is_none());
}
