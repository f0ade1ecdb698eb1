use gauntlet_store::{Error, GrantFilter, Load, PlayerKey, Store, Write};

use crate::{
    fixture::Fixture,
    make::{at, commit_one, create, done, lease, order, player, receipt, small, stored, write},
};

/// A write that has the same text in every place that takes one.
fn all_over(text: &str, mark: u64) -> Write {
    let mut new = write(text, None, player(mark));
    new.key = PlayerKey { player: text.to_owned(), namespace: text.into() };
    new.receipts = vec![receipt(text)];
    let mut claim = order(1);
    text.clone_into(&mut claim.challenge_id);
    text.clone_into(&mut claim.goal_id);
    text.clone_into(&mut claim.reward.id);
    new.orders = vec![claim];
    new.lease = Some(lease(text, 0));
    new
}

pub(crate) async fn of_any_script_and_length_are_apart(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let texts = [
        "it's".to_owned(),
        "a\"b\\c".to_owned(),
        "a:b::c/d".to_owned(),
        "{1,2}".to_owned(),
        "NULL".to_owned(),
        " ".to_owned(),
        "%_$1;--".to_owned(),
        "case".to_owned(),
        "CASE".to_owned(),
        // Equal to a reader, not by bytes.
        "\u{e9}".to_owned(),
        "e\u{301}".to_owned(),
        "玩家🎮".to_owned(),
        "🎮".repeat(100),
        "ß".repeat(100),
    ];
    let batch: Vec<_> = texts.iter().zip(1..).map(|(text, mark)| all_over(text, mark)).collect();
    assert!(store.commit(&batch).await.expect("commits").iter().all(|written| *written == done(1)));
    let asked: Vec<_> =
        batch.iter().map(|write| Load { key: write.key.clone(), settled: true, receipts: true }).collect();
    for (write, loaded) in batch.iter().zip(store.load(&asked).await.expect("loads")) {
        assert_eq!(loaded.stored.expect("readable").expect("there").player, write.player);
        assert_eq!(loaded.receipts, write.receipts);
        let filter = GrantFilter { player: Some(write.key.clone()), state: None };
        let grants = store.list_grants(&filter, 10).await.expect("lists");
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0].goal_id, write.key.player);
        assert_eq!(grants[0].lease, write.lease);
    }
    let numbers = store.intern_goals(&texts).await.expect("interns");
    assert_eq!(numbers.len(), texts.len());
    assert_eq!(store.take_due_grants(at(0), &lease("me", 1), 100).await.expect("takes").len(), texts.len());
}

/// The domain refuses such ids long before; a store must not be harmed by one.
pub(crate) async fn with_a_zero_byte_do_no_harm(fixture: &Fixture) {
    let store = fixture.dyn_store();
    create(store, "good").await;
    let batch = [write("good", Some(1), small(2)), all_over("a\0b", 1)];
    let answer = store.commit(&batch).await;
    if fixture.is_postgres() {
        let error = answer.expect_err("PostgreSQL has no zero bytes in text");
        assert!(matches!(error, Error::Rejected { .. }), "{error:?}");
        assert_eq!(stored(store, "good").await.expect("there").revision, 1);
        let error = load_key(store, "a\0b").await.expect_err("refused");
        assert!(matches!(error, Error::Rejected { .. }), "{error:?}");
    } else {
        assert_eq!(answer.expect("commits"), [done(2), done(1)]);
        assert!(load_key(store, "a\0b").await.expect("loads"));
        assert_eq!(stored(store, "good").await.expect("there").revision, 2);
    }
    // Never taken for the text in front of the zero byte.
    assert!(!load_key(store, "a").await.expect("loads"));
    assert_eq!(commit_one(store, all_over("a", 3)).await, done(1));
}

async fn load_key(store: &dyn Store, text: &str) -> Result<bool, Error> {
    let key = PlayerKey { player: text.to_owned(), namespace: text.into() };
    let mut loaded = store.load(&[Load { key, settled: true, receipts: false }]).await?;
    Ok(loaded.remove(0).stored.expect("readable").is_some())
}
