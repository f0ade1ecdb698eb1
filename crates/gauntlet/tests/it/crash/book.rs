//! What the harness knows: which events and claims it has sent, and which of them were
//! acknowledged. From this alone it says what the service must show.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::LazyLock,
};

use serde_json::Value;

/// How far the times of events may be ahead of the clock; a minute is what the rules believe.
const AHEAD_MS: i64 = 30_000;

/// The goals that a claim can be made for; all of them are completed by one event.
pub(super) const CLAIM_GOALS: [&str; 3] = ["claim-wallet", "claim-item", "claim-daily"];
/// The goal whose reward is granted by itself: every login completes it in its own short cycle.
pub(super) const UNCLAIMED_GOAL: &str = "unclaimed";
/// A goal that counts wins and begins at zero with every catalogue.
pub(super) const ANEW_GOAL: &str = "anew";
/// A target that no run reaches.
pub(super) const NEVER: i64 = 1_000_000_000;
/// How many acknowledged events may come once more.
const RECENT: usize = 400;

/// What happened to a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Login,
    /// So many wins more.
    Wins(i32),
    /// The score is this now; later events have greater scores.
    Score(i32),
    /// What completes the goals to claim.
    Level,
}

/// How an event travels. Its source, which is part of its receipt, depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// A call of its own or a message on a stream.
    Grpc,
    /// A `CloudEvents` event.
    Cloud,
}

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) player: String,
    pub(super) what: What,
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) face: Face,
}

/// How far a claim is, as its player knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Asked at least once; the answer was lost, or "later".
    Asked,
    /// The service has said that the reward was granted.
    Granted,
    /// The service has said that nobody can tell.
    Uncertain,
}

/// The sums of a set of events.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    logins: i64,
    wins: i64,
    score: i64,
    levels: i64,
}

impl Sums {
    fn add(&mut self, what: What) {
        match what {
            What::Login => self.logins += 1,
            What::Wins(wins) => self.wins += i64::from(wins),
            What::Score(score) => self.score = self.score.max(i64::from(score)),
            What::Level => self.levels += 1,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Player {
    /// Initialization was acknowledged.
    pub(super) ready: bool,
    acked: Sums,
    last_at: i64,
    last_score: i32,
    /// By goal.
    pub(super) claims: BTreeMap<&'static str, Claim>,
}

impl Player {
    /// Whether the goals to claim are known to be completed.
    pub(super) fn is_complete(&self) -> bool {
        self.acked.levels > 0
    }
}

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) players: BTreeMap<String, Player>,
    /// Sent and not acknowledged, by id.
    doubt: HashMap<String, Event>,
    /// To be delivered before anything new is.
    again: Vec<Event>,
    recent: VecDeque<Event>,
    numbers: u64,
    pub(super) acked: u64,
    pub(super) redelivered: u64,
    /// What should not be, in words.
    pub(super) faults: Vec<String>,
    /// The newest catalogue in the service's file.
    pub(super) catalogue: i64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
}

impl Book {
    /// Of a service with the first catalogue in its file.
    pub(super) fn new() -> Self {
        Self { catalogue: 1, ..Self::default() }
    }

    /// A new player, to be initialized.
    pub(super) fn new_player(&mut self) -> String {
        self.numbers += 1;
        let name = format!("player-{}", self.numbers);
        self.players.insert(name.clone(), Player::default());
        name
    }

    pub(super) fn new_event(
        &mut self,
        player: &str,
        what: impl FnOnce(&mut Player) -> What,
        face: Face,
    ) -> Event {
        self.numbers += 1;
        let entry = self.players.get_mut(player).expect("a known player");
        let what = what(entry);
        let at = match what {
            // Each needs a millisecond of its own: their order is that of their times.
            What::Score(_) => now().max(entry.last_at + 1),
            _ => now(),
        };
        entry.last_at = entry.last_at.max(at);
        let event = Event { id: format!("e-{}", self.numbers), player: player.to_owned(), what, at, face };
        self.doubt.insert(event.id.clone(), event.clone());
        event
    }

    /// A greater score, unless the player's are so many already that their times would leave what
    /// the rules believe of the future.
    pub(super) fn next_score(player: &mut Player) -> What {
        if player.last_at > now() + AHEAD_MS {
            return What::Wins(1);
        }
        player.last_score += 1;
        What::Score(player.last_score)
    }

    /// The next event that has to be delivered again, of this face.
    pub(super) fn next_again(&mut self, face: Face) -> Option<Event> {
        let at = self.again.iter().position(|event| event.face == face)?;
        self.redelivered += 1;
        Some(self.again.swap_remove(at))
    }

    /// An acknowledged event, to be delivered once more for nothing.
    pub(super) fn any_recent(&mut self, number: usize, face: Face) -> Option<Event> {
        let event = self.recent.get(number.checked_rem(self.recent.len())?)?.clone();
        if event.face != face {
            return None;
        }
        self.redelivered += 1;
        Some(event)
    }

    /// The service has answered OK.
    pub(super) fn acknowledge(&mut self, id: &str) {
        let Some(event) = self.doubt.remove(id) else { return };
        self.players.get_mut(&event.player).expect("a known player").acked.add(event.what);
        self.acked += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
    }

    /// The service has died: what was not acknowledged is delivered again, as the platform would.
    pub(super) fn deliver_again(&mut self) {
        self.again = self.doubt.values().cloned().collect();
    }

    pub(super) fn in_doubt(&self) -> usize {
        self.doubt.len()
    }

    pub(super) fn fault(&mut self, text: String) {
        if self.faults.len() < 50 {
            self.faults.push(text);
        }
    }

    /// Compares what the goal that begins at zero with every catalogue shows, and what the history says
    /// was lost by that, with the wins that were acknowledged.
    pub(super) fn check_restarts(&mut self, name: &str, seen: &Value, lost: i64) {
        let progress = goal_of(seen, ANEW_GOAL).and_then(|goal| goal["progress"].as_i64()).unwrap_or(-1);
        let wins = self.players[name].acked.wins;
        if progress + lost != wins {
            self.fault(format!(
                "{name} {ANEW_GOAL}: {progress} and {lost} told as lost, and {wins} wins were acknowledged"
            ));
        }
    }

    /// Compares what browsing shows with what was acknowledged, while nothing is under way: at
    /// least all that was acknowledged, at most that and what is in doubt.
    pub(super) fn check_progress(&mut self, name: &str, seen: &Value, when: &str) {
        let player = &self.players[name];
        let low = player.acked;
        let mut high = low;
        for event in self.doubt.values().filter(|event| event.player == name) {
            high.add(event.what);
        }
        let claims = player.claims.clone();
        let expected = [
            ("logins", low.logins, high.logins),
            ("first-login", low.logins, high.logins),
            ("wins", low.wins, high.wins),
            ("score", low.score, high.score),
            ("login-today", low.logins.min(1), high.logins.min(1)),
            ("login-days", low.logins.min(1), high.logins.min(1)),
            ("claim-wallet", low.levels.min(1), high.levels.min(1)),
        ];
        for (goal, low, high) in expected {
            let progress = goal_of(seen, goal).and_then(|goal| goal["progress"].as_i64()).unwrap_or(-1);
            if progress < low {
                self.lost += u64::try_from(low - progress).unwrap_or(1);
            } else if progress > high {
                self.doubled += u64::try_from(progress - high).unwrap_or(1);
            } else {
                continue;
            }
            self.fault(format!("{when}: {name} {goal}: {progress}, must be {low} to {high}"));
        }
        for (goal, claim) in claims {
            let status = goal_of(seen, goal).and_then(|goal| goal["status"].as_str()).unwrap_or_default();
            if claim == Claim::Granted && status != "claimed" {
                self.fault(format!("{when}: {name} {goal}: its claim was answered OK and it is {status:?}"));
            }
        }
    }
}

/// A goal of a reply to browsing.
pub(super) fn goal_of<'a>(seen: &'a Value, goal: &str) -> Option<&'a Value> {
    let challenges = seen["challenges"].as_array()?;
    challenges
        .iter()
        .filter_map(|challenge| challenge["goals"].as_array())
        .flatten()
        .find(|seen| seen["goalId"] == goal)
}

/// The wall clock in milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "events carry the real time, as the server under test reads it"
)]
pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292278994")
}

/// A zone whose days begin and end far from now.
static ZONE: LazyLock<&str> = LazyLock::new(|| {
    let hour = now() / 3_600_000 % 24;
    if (6..18).contains(&hour) { "UTC" } else { "Etc/GMT-12" }
});

/// One of the catalogues of the harness, which come one after the other.
pub(super) fn catalogue(number: i64) -> String {
    let zone = *ZONE;
    let zone = format!(r#""timeZone":"{zone}","#);
    let goal = |id: &str, kind: &str, source: &str, stat: &str, target: i64, more: &str| {
        format!(
            r#"{{"goalId":"{id}","name":"{id}","type":"{kind}","eventSource":"{source}","defaultAssigned":true,
                {more}
                "requirement":{{"statCode":"{stat}","operator":">=","targetValue":{target}}},
                "reward":{{"type":"WALLET","rewardId":"GOLD","quantity":1}}}}"#
        )
    };
    let turns = r#""rotation":{"type":"per_user","duration":2,
        "onExpiry":{"resetProgress":true,"allowReselection":true}},"unclaimed":"grant","#;
    let goals = [
        goal(UNCLAIMED_GOAL, "absolute", "login", "login", 1, turns),
        goal("logins", "increment", "login", "login", NEVER, ""),
        goal("first-login", "absolute", "login", "login", NEVER, ""),
        goal("wins", "increment", "statistic", "wins", NEVER, ""),
        goal(ANEW_GOAL, "increment", "statistic", "wins", NEVER + number, r#""onChange":"restart","#),
        goal("score", "absolute", "statistic", "score", NEVER, ""),
        goal("login-today", "daily", "login", "login", 1, &zone),
        goal("login-days", "increment", "login", "login", 1_000, &format!(r#""daily":true,{zone}"#)),
        goal("claim-wallet", "absolute", "statistic", "level", 1, ""),
        goal("claim-item", "absolute", "statistic", "level", 1, ""),
        goal("claim-daily", "daily", "statistic", "level", 1, &zone),
    ];
    format!(r#"{{"challenges":[{{"challengeId":"crash","name":"Crash","goals":[{}]}}]}}"#, goals.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What browsing shows to a player with so many wins, whose wallet claim stands so.
    fn shown(wins: i64, wallet: &str) -> Value {
        let progress = |id: &str, progress: i64, status: &str| json!({"goalId": id, "progress": progress, "status": status});
        let zero = ["logins", "first-login", "score", "login-today", "login-days"];
        let mut goals: Vec<Value> = zero.iter().map(|id| progress(id, 0, "")).collect();
        goals.extend([progress("wins", wins, ""), progress("claim-wallet", 1, wallet)]);
        json!({"challenges": [{"goals": goals}]})
    }

    #[test]
    fn what_is_lost_and_what_is_counted_twice_is_noticed() {
        let mut book = Book::default();
        let ann = book.new_player();
        let acked = book.new_event(&ann, |_| What::Wins(2), Face::Grpc);
        book.acknowledge(&acked.id);
        let level = book.new_event(&ann, |_| What::Level, Face::Grpc);
        book.acknowledge(&level.id);
        book.new_event(&ann, |_| What::Wins(3), Face::Cloud);
        for wins in [2, 5] {
            book.check_progress(&ann, &shown(wins, "completed"), "in doubt");
        }
        assert_eq!((book.lost, book.doubled, book.faults.len()), (0, 0, 0), "{:?}", book.faults);
        book.check_progress(&ann, &shown(1, "completed"), "a loss");
        assert_eq!((book.lost, book.doubled), (1, 0));
        book.check_progress(&ann, &shown(7, "completed"), "counted twice");
        assert_eq!((book.lost, book.doubled), (1, 2));
        book.players.get_mut(&ann).unwrap().claims.insert("claim-wallet", Claim::Granted);
        book.check_progress(&ann, &shown(2, "completed"), "a lost claim");
        assert_eq!(book.faults.len(), 3, "{:?}", book.faults);
        book.check_progress(&ann, &shown(2, "claimed"), "fine");
        assert_eq!(book.faults.len(), 3, "{:?}", book.faults);
    }
}
