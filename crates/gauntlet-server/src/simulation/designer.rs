//! Who changes the catalogue: a designer with a file at one replica, while the others lag.

use std::{sync::PoisonError, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    ground::Dice,
    players::{DRAWS, MENU, ONCE, TURN, TURN_SECONDS},
    world::{Missing, World},
};

/// A goal whose target every catalogue raises, and whose players keep what they were promised.
pub(super) const KEPT: &str = "kept";
/// A goal that every catalogue makes begin at zero.
pub(super) const ANEW: &str = "anew";

/// The goal that comes with a catalogue, which every player gets.
pub(super) fn news(catalogue: usize) -> String {
    format!("news{catalogue}")
}

/// Puts one catalogue after the other into use, each at some replica.
pub(super) async fn design(world: &World) {
    let dice = Dice::new(world.profile.seed, "designer");
    for number in 2..=world.profile.catalogues {
        sleep(dice.millis(200..6_000)).await;
        let at = dice.index(world.replicas.len());
        *world.replicas[at].file.0.lock().unwrap_or_else(PoisonError::into_inner) = catalogue(number);
        world.trace.note(format_args!("r{at} has catalogue {number} in its file"));
        // Until it is told that the file was read.
        loop {
            let told = world.ask_at(at, None, |running| {
                let api = running.api.clone();
                async move { api.reload_catalogue().await }
            });
            match told.await {
                Ok(Ok(status)) => {
                    world.trace.note(format_args!("catalogue {number} is told: {status:?}"));
                    break;
                }
                Ok(Err(error)) if world.profile.quiet => {
                    world.trace.fault(format_args!("catalogue {number}: {error:?}"));
                }
                Ok(Err(_)) | Err(Missing::Refused | Missing::Lost) => {}
            }
            sleep(Duration::from_millis(300)).await;
        }
    }
}

/// A goal that begins anew every few seconds, whose unclaimed reward is granted by itself.
fn turning(mut goal: Value) -> Value {
    goal["rotation"] = json!({
        "type": "per_user", "duration": TURN_SECONDS,
        "onExpiry": {"resetProgress": true, "allowReselection": true},
    });
    goal["unclaimed"] = "grant".into();
    goal
}

/// One of the catalogues of the world: each has what the one before had, and a goal more.
pub(super) fn catalogue(number: usize) -> String {
    let goal = |id: &str, kind: &str, source: &str, default: bool, target: usize| {
        json!({
            "goalId": id, "name": id, "type": kind, "eventSource": source, "defaultAssigned": default,
            "requirement": {"statCode": if source == "login" { "login" } else { id }, "operator": ">=", "targetValue": target},
            "reward": {"type": "ITEM", "rewardId": id, "quantity": 1},
        })
    };
    let far = 1_000_000_000;
    let many = |name: &str, count: u64| -> Vec<_> {
        (0..count).map(|n| goal(&format!("{name}{n}"), "absolute", "statistic", false, far)).collect()
    };
    let once: Vec<_> = ONCE.iter().map(|id| goal(id, "absolute", "statistic", true, 1)).collect();
    let mut anew = goal(ANEW, "increment", "statistic", true, far + number);
    anew["onChange"] = "restart".into();
    let mut main = vec![
        goal("wins", "increment", "statistic", true, far),
        goal("side", "increment", "statistic", false, far),
        goal("score", "absolute", "statistic", true, far),
        goal("logins", "increment", "login", true, far),
        goal("day", "daily", "login", true, 1),
        turning(goal(TURN, "absolute", "login", true, 1)),
        goal(KEPT, "increment", "statistic", true, far + number),
        anew,
    ];
    main.extend((2..=number).map(|number| goal(&news(number), "increment", "statistic", true, far)));
    let challenge = |id: &str, goals: &[Value]| json!({"challengeId": id, "name": id, "goals": goals});
    json!({"challenges": [
        challenge("main", &main),
        challenge("once", &once),
        challenge("draw", &many("draw", DRAWS + 2)),
        challenge("menu", &many("menu", MENU)),
    ]})
    .to_string()
}
