//! What becomes of unclaimed rewards: the field `unclaimed`.

use serde_json::{Value, json};

use super::fields::{messages, read_goal};
use crate::catalogue::Unclaimed;

#[test]
fn policies_for_unclaimed_rewards() {
    let rotating = |reset: bool| json!({ "type": "global", "schedule": "daily", "onExpiry": { "resetProgress": reset } });
    let read =
        |unclaimed: Value| read_goal(&[("G/rotation", rotating(true)), ("G/unclaimed", unclaimed)]).unclaimed;
    assert_eq!(read_goal(&[]).unclaimed, Unclaimed::Forfeit);
    assert_eq!(read(json!("forfeit")), Unclaimed::Forfeit);
    assert_eq!(read(json!("grant")), Unclaimed::Grant);
    assert_eq!(read(json!({ "grace": "2d" })), Unclaimed::Grace { seconds: 172_800 });
    assert_eq!(read(json!({ "grace": 90 })), Unclaimed::Grace { seconds: 90 });
    let faults = |unclaimed: Value| messages(&[("G/rotation", rotating(true)), ("G/unclaimed", unclaimed)]);
    assert_eq!(
        faults(json!("granted")),
        [
            "challenges[0].goals[0].unclaimed: found \"granted\"; allowed: forfeit, grant; did you mean \"grant\"?"
        ]
    );
    assert!(faults(json!({ "grace": 0 }))[0].contains("unclaimed.grace: found 0; allowed: seconds"));
    assert!(faults(json!({}))[0].contains("unclaimed.grace: missing; required"));
    assert!(
        faults(json!(5))[0].ends_with("unclaimed: found 5; allowed: forfeit, grant, or an object with grace")
    );
    // Where nothing is lost, there is nothing to decide.
    assert_eq!(read_goal(&[("G/unclaimed", json!("forfeit"))]).unclaimed, Unclaimed::Forfeit);
    for (pointer, rotation) in [("G/rotation", rotating(false)), ("C/rotation", rotating(false))] {
        let told = messages(&[(pointer, rotation), ("G/unclaimed", json!("grant"))]);
        assert!(
            told.len() == 1 && told[0].contains("unclaimed: found \"grant\"; allowed only with type daily"),
            "{told:?}"
        );
    }
    assert_eq!(messages(&[("G/unclaimed", json!("grant"))]).len(), 1);
    // A challenge's rotation counts; one that is faulty is told about once.
    let inherited = read_goal(&[("C/rotation", rotating(true)), ("G/unclaimed", json!("grant"))]);
    assert_eq!(inherited.unclaimed, Unclaimed::Grant);
    let faulty = json!({ "type": "global", "schedule": "dayly" });
    assert_eq!(messages(&[("C/rotation", faulty), ("G/unclaimed", json!("grant"))]).len(), 1);
}
