//! How a challenge rotates: the cycle that is running, and the one after it.

use gauntlet_domain::{
    Catalogue, ChallengeIndex, Goal, Player, Timestamp,
    catalogue::{Rotation, RotationKind, Schedule},
    cycle::{Cycles, Span},
    view_goal,
};
use gauntlet_proto::service as proto;

use super::seconds_until;

/// The goal that stands for the challenge's rotation: the first one whose rotation is on, else the
/// first one that has one.
fn rotating(catalogue: &Catalogue, challenge: ChallengeIndex) -> Option<(&Goal, &Rotation)> {
    let all = || {
        let goals = catalogue.goals_of(challenge).map(|(_, goal)| goal);
        goals.filter_map(|goal| Some((goal, goal.definition.rotation.as_ref()?)))
    };
    all().find(|(_, rotation)| rotation.enabled).or_else(|| all().next())
}

/// Whether the answer is each player's own.
pub(super) fn is_personal(catalogue: &Catalogue, challenge: ChallengeIndex) -> bool {
    rotating(catalogue, challenge).is_some_and(|(goal, _)| matches!(goal.cycles, Cycles::PerUser { .. }))
}

/// The rotation of a challenge at a time. `player` matters for cycles of the player's own: they
/// begin when the first goal was assigned, and are empty before.
pub(super) fn status(
    catalogue: &Catalogue,
    challenge: ChallengeIndex,
    player: Option<&Player>,
    now: Timestamp,
) -> proto::GetRotationStatusResponse {
    let rotation = rotating(catalogue, challenge).map(|(goal, rotation)| {
        let (current, next) = match &goal.cycles {
            Cycles::One => (None, None),
            Cycles::Global(calendar) => {
                let current = calendar.span_at(now);
                (Some(current), current.end.map(|end| calendar.span_at(end)))
            }
            Cycles::PerUser { length_ms } => of_player(catalogue, challenge, player, *length_ms, now),
        };
        info(rotation, current, next, now)
    });
    proto::GetRotationStatusResponse {
        challenge_id: catalogue.challenge(challenge).id.clone(),
        rotation: Some(rotation.unwrap_or_default()),
    }
}

/// The player's own cycle, of the first goal of the challenge whose cycle is running.
fn of_player(
    catalogue: &Catalogue,
    challenge: ChallengeIndex,
    player: Option<&Player>,
    length_ms: i64,
    now: Timestamp,
) -> (Option<Span>, Option<Span>) {
    let mut own = catalogue.goals_of(challenge).filter(
        |(_, goal)| matches!(goal.cycles, Cycles::PerUser { length_ms: other } if other == length_ms),
    );
    let end = own.find_map(|(index, _)| view_goal(player, catalogue, index, now).expires_at);
    let span =
        |end: Timestamp| Span { start: end.plus_millis(-length_ms), end: Some(end), number: 0, open: true };
    (end.map(span), end.map(|end| span(end.plus_millis(length_ms))))
}

fn info(
    rotation: &Rotation,
    current: Option<Span>,
    next: Option<Span>,
    now: Timestamp,
) -> proto::RotationInfo {
    let (kind, schedule) = match &rotation.kind {
        RotationKind::Global(schedule) => ("global", schedule_text(schedule)),
        RotationKind::PerUser { duration_seconds } => ("per_user", format!("{duration_seconds}s")),
    };
    proto::RotationInfo {
        enabled: rotation.enabled,
        r#type: kind.into(),
        schedule,
        current_period: Some(period(current, now)),
        next_period: Some(period(next, now)),
    }
}

/// Empty where there is no cycle: before and after a schedule with a start and an end.
fn period(span: Option<Span>, now: Timestamp) -> proto::RotationPeriod {
    let Some(span) = span.filter(|span| span.open) else { return proto::RotationPeriod::default() };
    proto::RotationPeriod {
        start_time: span.start.to_rfc3339(),
        end_time: span.end.map(Timestamp::to_rfc3339).unwrap_or_default(),
        expires_in_seconds: seconds_until(span.end, now),
    }
}

fn schedule_text(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Daily => "daily".into(),
        Schedule::Weekly => "weekly".into(),
        Schedule::Monthly => "monthly".into(),
        Schedule::Cron(line) => line.clone(),
        Schedule::Window { start, end } => format!("{start}/{end}"),
    }
}
