//! How a challenge rotates, as far as the catalogue tells.

use gauntlet_domain::{
    Catalogue, ChallengeIndex,
    catalogue::{Rotation, RotationKind, Schedule},
};
use gauntlet_proto::service as proto;

/// The rotation of a challenge: that of its first goal that has one. The periods are empty until
/// the cycles of rotations are worked out.
pub(super) fn status(catalogue: &Catalogue, challenge: ChallengeIndex) -> proto::GetRotationStatusResponse {
    let rotation = catalogue.goals_of(challenge).find_map(|(_, goal)| goal.definition.rotation.as_ref());
    proto::GetRotationStatusResponse {
        challenge_id: catalogue.challenge(challenge).id.clone(),
        rotation: Some(rotation.map(info).unwrap_or_default()),
    }
}

fn info(rotation: &Rotation) -> proto::RotationInfo {
    let (kind, schedule) = match &rotation.kind {
        RotationKind::Global(schedule) => ("global", schedule_text(schedule)),
        RotationKind::PerUser { duration_seconds } => ("per_user", format!("{duration_seconds}s")),
    };
    proto::RotationInfo {
        enabled: rotation.enabled,
        r#type: kind.into(),
        schedule,
        current_period: Some(proto::RotationPeriod::default()),
        next_period: Some(proto::RotationPeriod::default()),
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
