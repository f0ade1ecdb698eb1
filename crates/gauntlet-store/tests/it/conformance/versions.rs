use gauntlet_domain::Timestamp;
use gauntlet_store::{FORGET_REPLICA_MILLIS, Meeting, Replica};

use crate::{fixture::Fixture, make::at};

fn replica(instance: &str, loaded: u32, seen_at: Timestamp) -> Replica {
    Replica { instance: instance.to_owned(), loaded, seen_at }
}

pub(crate) async fn come_into_use_for_good_when_they_are_the_newest(fixture: &Fixture) {
    let (one, other) = (&fixture.store, &fixture.other);
    assert!(!one.activate_catalogue(0, at(0)).await.expect("answers"));
    assert!(!one.activate_catalogue(1, at(0)).await.expect("answers"), "nobody has registered it");
    assert!(!one.activate_catalogue(u32::MAX, at(0)).await.expect("answers"));
    for text in ["a", "b", "c"] {
        one.register_catalogue(text, at(1)).await.expect("registers");
    }
    assert!(!other.activate_catalogue(2, at(2)).await.expect("answers"), "a later one came first");
    assert!(one.used_catalogues(0).await.expect("reads").is_empty());
    assert!(other.activate_catalogue(3, at(2)).await.expect("activates"));
    one.register_catalogue("d", at(3)).await.expect("registers");
    assert!(one.activate_catalogue(3, at(4)).await.expect("answers"), "it is in use still");
    assert_eq!(other.used_catalogues(0).await.expect("reads"), [(3, at(2))], "since the first time");
    assert!(one.activate_catalogue(4, at(4)).await.expect("activates"));
    let used = [(3, at(2)), (4, at(4))];
    for (after, used) in [(0, &used[..]), (2, &used), (3, &used[1..]), (4, &[]), (u32::MAX, &[])] {
        assert_eq!(other.used_catalogues(after).await.expect("reads"), used, "{after}");
    }
}

pub(crate) async fn are_found_by_their_text(fixture: &Fixture) {
    let store = fixture.dyn_store();
    assert_eq!(store.find_catalogue("a").await.expect("reads"), None);
    for text in ["a", "b", "a", "ü\"'"] {
        store.register_catalogue(text, at(0)).await.expect("registers");
    }
    for (text, version) in [("a", Some(3)), ("b", Some(2)), ("ü\"'", Some(4)), ("A", None), ("", None)] {
        assert_eq!(fixture.other.find_catalogue(text).await.expect("reads"), version, "{text}");
    }
}

pub(crate) async fn and_replicas_are_told_to_all(fixture: &Fixture) {
    let (one, other) = (&fixture.store, &fixture.other);
    let nothing = Meeting {
        newest: 0,
        registered_at: Timestamp::default(),
        in_use: 0,
        replicas: vec![replica("b", 0, at(0))],
    };
    assert_eq!(one.meet(&replica("b", 0, at(0))).await.expect("meets"), nothing);
    one.register_catalogue("1", at(1)).await.expect("registers");
    one.activate_catalogue(1, at(1)).await.expect("activates");
    one.register_catalogue("2", at(2)).await.expect("registers");
    let met = other.meet(&replica("a", 2, at(3))).await.expect("meets");
    let replicas = vec![replica("a", 2, at(3)), replica("b", 0, at(0))];
    assert_eq!(met, Meeting { newest: 2, registered_at: at(2), in_use: 1, replicas });
    let met = one.meet(&replica("b", 2, at(4))).await.expect("meets");
    assert_eq!(met.replicas, [replica("a", 2, at(3)), replica("b", 2, at(4))]);
    // One says good-bye, once or twice, and one is forgotten.
    for _ in 0..2 {
        other.leave("a").await.expect("leaves");
    }
    let met = one.meet(&replica("c", 0, at(4).plus_millis(FORGET_REPLICA_MILLIS))).await.expect("meets");
    assert_eq!(met.replicas.len(), 2, "an hour is not over: {met:?}");
    let later = at(4).plus_millis(FORGET_REPLICA_MILLIS + 1);
    let met = one.meet(&replica("c", 0, later)).await.expect("meets");
    assert_eq!(met.replicas, [replica("c", 0, later)]);
}

/// Of any number that meet at once, none misses one that has ended before it began.
pub(crate) async fn and_replicas_that_meet_at_once_see_each_other(fixture: &Fixture) {
    let names: Vec<String> = (0..6).map(|number| format!("r{number}")).collect();
    for loaded in 1..=5 {
        let meetings = names.iter().enumerate().map(|(number, name)| {
            let store = if number % 2 == 0 { &fixture.store } else { &fixture.other };
            let replica = replica(name, loaded, at(loaded.into()));
            async move { store.meet(&replica).await.expect("meets") }
        });
        let meetings = futures_util::future::join_all(meetings).await;
        let all_up_to_date =
            |met: &Meeting| met.replicas.iter().filter(|other| other.loaded == loaded).count() == 6;
        assert!(meetings.iter().any(all_up_to_date), "somebody was last: {meetings:?}");
    }
}
