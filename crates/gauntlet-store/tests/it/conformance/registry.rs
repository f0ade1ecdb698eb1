use std::collections::{HashMap, HashSet};

use gauntlet_domain::GoalNumber;

use crate::{fixture::Fixture, make::at};

fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("goal {number}")).collect()
}

pub(crate) async fn numbers_stay(fixture: &Fixture) {
    let store = fixture.dyn_store();
    assert!(store.intern_goals(&[]).await.expect("interns").is_empty());
    let first = store.intern_goals(&ids([7, 3, 5, 3])).await.expect("interns");
    let numbers = |pairs: &[(u32, u32)]| -> HashMap<String, GoalNumber> {
        pairs.iter().map(|(id, number)| (format!("goal {id}"), GoalNumber(*number))).collect()
    };
    assert_eq!(first, numbers(&[(7, 1), (3, 2), (5, 3)]));
    let second = fixture.other.intern_goals(&ids([1, 5, 2])).await.expect("interns");
    assert_eq!(second, numbers(&[(1, 4), (5, 3), (2, 5)]));
    assert_eq!(store.intern_goals(&ids([3])).await.expect("interns"), numbers(&[(3, 2)]));
}

pub(crate) async fn racing_callers_agree_on_numbers(fixture: &Fixture) {
    let callers = (0..8u32).map(|caller| {
        let store = if caller % 2 == 0 { &fixture.store } else { &fixture.other };
        // Overlapping, each in another order.
        let mut asked = ids((caller * 5)..(caller * 5 + 20));
        if caller % 3 == 0 {
            asked.reverse();
        }
        async move { store.intern_goals(&asked).await.expect("interns") }
    });
    let mut agreed: HashMap<String, GoalNumber> = HashMap::new();
    for answer in futures_util::future::join_all(callers).await {
        assert_eq!(answer.len(), 20);
        for (id, number) in answer {
            assert_eq!(*agreed.entry(id.clone()).or_insert(number), number, "{id}");
        }
    }
    let numbers: HashSet<u32> = agreed.values().map(|number| number.0).collect();
    // Dense: as many as there are ids, from 1.
    assert_eq!(numbers, (1..=55).collect());
}

pub(crate) async fn a_catalogue_that_comes_back_is_a_new_version(fixture: &Fixture) {
    let store = fixture.dyn_store();
    let (one, other) = (fixture.store.clone(), fixture.other.clone());
    let big = "ß\"'".repeat(200_000);
    for (text, version) in [("first", 1), ("first", 1), (&big, 2), (&big, 2), ("first", 3), ("first", 3)] {
        assert_eq!(one.register_catalogue(text, at(0)).await.expect("registers"), version);
        assert_eq!(other.register_catalogue(text, at(1)).await.expect("registers"), version);
    }
    for (version, text) in [(0, None), (1, Some("first")), (2, Some(&*big)), (3, Some("first")), (4, None)] {
        assert_eq!(store.catalogue_text(version).await.expect("reads").as_deref(), text, "{version}");
    }
    assert_eq!(store.catalogue_text(u32::MAX).await.expect("reads"), None);
}

pub(crate) async fn racing_callers_agree_on_versions(fixture: &Fixture) {
    for round in 1..=10 {
        let text = format!("catalogue {round}");
        let callers = (0..4).map(|caller| {
            let store = if caller % 2 == 0 { &fixture.store } else { &fixture.other };
            store.register_catalogue(&text, at(0))
        });
        for version in futures_util::future::join_all(callers).await {
            assert_eq!(version.expect("registers"), round);
        }
    }
}
