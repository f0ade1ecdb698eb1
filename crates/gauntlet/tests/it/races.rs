//! Many clients at once ask for the same player: over HTTP and gRPC, at one process and at two.
//! Whatever the order was, the answers and the end must be those of one order.

use std::{path::Path, sync::Arc};

use gauntlet_testkit::PgCluster;
use serde_json::{Value, json};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    clients::{Answer, Ask, CATALOGUE, Client, figure, one, send},
    process::{Process, channel},
};

/// Processes on one store, and clients of them.
struct Service {
    processes: Vec<Process>,
    _folder: tempfile::TempDir,
}

impl Service {
    async fn on_postgres(replicas: usize) -> Self {
        let database = PgCluster::shared().database().await;
        Self::start(&database.url, replicas, tempfile::tempdir().expect("a folder"))
    }

    fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = format!("sqlite:{}", folder.path().join("g.db").display());
        Self::start(&store, 1, folder)
    }

    fn start(store: &str, replicas: usize, folder: tempfile::TempDir) -> Self {
        let processes = (0..replicas).map(|_| start(store, folder.path())).collect();
        Self { processes, _folder: folder }
    }

    /// `count` clients of a player, spread over processes and faces.
    async fn clients(&self, player: &str, count: usize) -> Vec<Client> {
        let mut channels = Vec::new();
        for process in &self.processes {
            channels.push(channel(&process.grpc).await);
        }
        (0..count)
            .map(|number| {
                let at = number / 2 % self.processes.len();
                let grpc = (number % 2 == 0).then(|| channels[at].clone());
                Client { base: self.processes[at].http.as_str().into(), grpc, player: player.into() }
            })
            .collect()
    }

    fn figure(&self, name: &str) -> f64 {
        self.processes.iter().map(|process| figure(&process.ops, name)).sum()
    }

    fn stop(self) {
        for process in self.processes {
            process.stop();
        }
    }
}

/// A process with the tests' catalogue.
pub(crate) fn start(store: &str, folder: &Path) -> Process {
    let catalogue = folder.join("catalogue.json");
    std::fs::write(&catalogue, CATALOGUE).expect("the catalogue");
    Process::start(store, &["--catalogue", catalogue.to_str().expect("UTF-8")])
}

/// All at the same moment, each its own; the answers in the order of the clients.
async fn at_once(clients: &[Client], asks: &[Ask]) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(asks.len()));
    let mut running = JoinSet::new();
    for (number, (client, ask)) in clients.iter().zip(asks).enumerate() {
        let (client, ask, barrier) = (client.clone(), ask.clone(), barrier.clone());
        running.spawn(async move {
            barrier.wait().await;
            (number, client.ask(ask).await)
        });
    }
    let mut answers = running.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

const GRANTED: &str = r#"gauntlet_grants_total{adapter="log",result="granted"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_claims_at_once_grant_once() {
    for service in [Service::on_sqlite(), Service::on_postgres(1).await, Service::on_postgres(2).await] {
        claim_races(service, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints its figures"]
async fn many_races_of_fifty_claims_grant_once() {
    for service in [Service::on_sqlite(), Service::on_postgres(1).await, Service::on_postgres(2).await] {
        claim_races(service, 200).await;
    }
}

async fn claim_races(service: Service, races: u32) {
    let events = channel(&service.processes[0].events).await;
    let mut words = std::collections::BTreeMap::<String, usize>::new();
    for race in 0..races {
        let player = format!("p{race}");
        let clients = service.clients(&player, 50).await;
        clients[0].ask(Ask::Initialize).await;
        send(&events, one(&player, "wins", "w")).await.expect("OK");
        let answers = at_once(&clients, &vec![Ask::claim("win"); 50]).await;
        for answer in &answers {
            *words.entry(answer.reason.clone()).or_default() += 1;
        }
        claims_agree(&answers);
        assert!((service.figure(GRANTED) - f64::from(race + 1)).abs() < 0.1, "{}", service.figure(GRANTED));
        let goal = clients[1].goal("win").await;
        assert_eq!(goal["status"], "claimed");
        assert_eq!(goal["claimedAt"], claimed_at(&answers[0]).unwrap_or(goal["claimedAt"].clone()));
    }
    println!("{} processes, {races} races of 50 claims: {words:?}", service.processes.len());
    service.stop();
}

/// Each is the one success, or says that it has happened or is happening; all name one time.
fn claims_agree(answers: &[Answer]) {
    assert!(answers.iter().any(Answer::ok), "somebody is told: {answers:?}");
    let mut times: Vec<Value> = answers.iter().filter_map(claimed_at).collect();
    times.dedup();
    assert_eq!(times.len(), 1, "{answers:?}");
    let first = answers.iter().find(|answer| answer.ok()).expect("a success");
    for answer in answers {
        match answer.reason.as_str() {
            "OK" => assert_eq!(answer, first),
            "GOAL_ALREADY_CLAIMED" | "REWARD_PENDING" => {}
            other => panic!("{other}: {answer:?}"),
        }
    }
}

fn claimed_at(answer: &Answer) -> Option<Value> {
    match answer.reason.as_str() {
        "OK" => Some(answer.body["claimedAt"].clone()),
        "GOAL_ALREADY_CLAIMED" => Some(answer.body["claimed_at"].clone()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_clients_that_initialize_at_once_assign_each_goal_once() {
    for service in [Service::on_sqlite(), Service::on_postgres(2).await] {
        for race in 0..5 {
            let clients = service.clients(&format!("p{race}"), 20).await;
            let answers = at_once(&clients, &vec![Ask::Initialize; 20]).await;
            let new: Vec<i64> =
                answers.iter().map(|answer| answer.body["newAssignments"].as_i64().expect("OK")).collect();
            assert_eq!(new.iter().sum::<i64>(), 3, "one of them assigned all: {new:?}");
            assert_eq!(new.iter().filter(|new| **new > 0).count(), 1, "{new:?}");
            for answer in &answers {
                assert_eq!(answer.body["totalActive"], 3);
                assert_eq!(
                    answer.body["assignedGoals"], answers[0].body["assignedGoals"],
                    "one set of times"
                );
            }
        }
        service.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn selections_at_once_end_as_if_one_came_after_the_other() {
    for service in [Service::on_sqlite(), Service::on_postgres(2).await] {
        selection_races(service, 12).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints its figures"]
async fn many_selections_at_once_end_as_if_one_came_after_the_other() {
    for service in [Service::on_sqlite(), Service::on_postgres(2).await] {
        selection_races(service, 400).await;
    }
}

async fn selection_races(service: Service, races: usize) {
    let mut orders_seen = std::collections::BTreeSet::new();
    for race in 0..races {
        let clients = service.clients(&format!("p{race}"), 4).await;
        let draw = |replace| Ask::Draw { challenge: "choice", count: 2, replace, exclude_active: true };
        let off = Ask::Active { challenge: "choice", goal: "b".into(), active: false };
        let asks = match race % 3 {
            0 => [&["a", "b"][..], &["b", "c"], &["c", "d", "e"], &["f"]].map(Ask::select),
            1 => [Ask::select(&["a", "b"]), draw(true), draw(false), off],
            _ => [draw(false), draw(true), Ask::select(&["a"]), draw(false)],
        };
        let answers = at_once(&clients, &asks).await;
        let end = clients[race % 4].active("choice").await;
        let order = permutations(4)
            .into_iter()
            .find(|order| explains(order, &asks, &answers, &end))
            .unwrap_or_else(|| panic!("no order explains {asks:#?}\n{answers:#?}\n{end:?}"));
        orders_seen.insert(order);
    }
    let conflicts = service.figure("gauntlet_conflicts_total");
    println!(
        "{} processes, {races} races of 4 selections: {} orders, {conflicts} conflicts",
        service.processes.len(),
        orders_seen.len()
    );
    assert!(service.processes.len() == 1 || conflicts > 0.0, "two replicas never met");
    service.stop();
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        all = all
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..count)
                    .filter(|at| !order.contains(at))
                    .map(|at| [&order[..], &[at]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    all
}

/// Whether the answers and the end are those of this order, on a challenge of the goals a to f
/// that begins with none of them active and where none gets completed.
fn explains(order: &[usize], asks: &[Ask], answers: &[Answer], end: &[String]) -> bool {
    let mut active: Vec<String> = Vec::new();
    for at in order {
        let body = &answers[*at].body;
        let texts = |field: &str| -> Vec<String> {
            let list = body[field].as_array().into_iter().flatten();
            list.filter_map(|item| item.as_str().or(item["goalId"].as_str())).map(str::to_owned).collect()
        };
        let (selected, replace) = match &asks[*at] {
            Ask::Select { goals, replace, .. } => (goals.clone(), *replace),
            Ask::Draw { count, replace, .. } => {
                let free = 6 - active.len();
                if free == 0 {
                    if answers[*at].reason != "INSUFFICIENT_GOALS" {
                        return false;
                    }
                    continue;
                }
                let drawn = texts("selectedGoals");
                let count = usize::try_from(*count).expect("positive").min(free);
                if drawn.len() != count || drawn.iter().any(|goal| active.contains(goal)) {
                    return false;
                }
                (drawn, *replace)
            }
            Ask::Active { goal, active: false, .. } => {
                active.retain(|other| other != goal);
                continue;
            }
            other => panic!("not in this model: {other:?}"),
        };
        let (gone, stays): (Vec<_>, Vec<_>) =
            active.drain(..).partition(|goal| replace && !selected.contains(goal));
        active = stays;
        active.extend(selected.iter().filter(|goal| !active.contains(goal)).cloned().collect::<Vec<_>>());
        active.sort();
        let total = json!(active.len());
        if texts("selectedGoals") != selected
            || texts("replacedGoals") != gone
            || body["totalActiveGoals"] != total
        {
            return false;
        }
    }
    active == end
}

#[test]
fn the_model_refuses_what_no_order_explains() {
    let asks = [Ask::select(&["a"]), Ask::select(&["b"])];
    let answer = |goal: &str, replaced: &[&str], total: u8| Answer {
        reason: "OK".into(),
        body: json!({ "selectedGoals": [{ "goalId": goal }], "replacedGoals": replaced, "totalActiveGoals": total }),
    };
    let explained = |answers: &[Answer], end: &[&str]| {
        let end: Vec<String> = end.iter().map(|goal| (*goal).to_owned()).collect();
        permutations(2).iter().any(|order| explains(order, &asks, answers, &end))
    };
    let good = [answer("a", &[], 1), answer("b", &["a"], 1)];
    assert!(explained(&good, &["b"]));
    assert!(!explained(&good, &["a"]), "the last one wins");
    assert!(!explained(&good, &["a", "b"]), "both");
    assert!(!explained(&[answer("a", &[], 1), answer("b", &[], 1)], &["b"]), "nobody saw the other");
}
