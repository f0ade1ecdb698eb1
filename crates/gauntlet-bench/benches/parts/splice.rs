//! The browse reply: spliced into prepared bytes, and serialised from messages for comparison.

use divan::{Bencher, counter::BytesCount};
use gauntlet_proto::service::GetChallengesResponse;
use gauntlet_server::{api::Browse, door::Splice};
use gauntlet_store::Stored;

use crate::rig;

fn browse(goals: usize) -> Browse {
    let catalogue = rig::catalogue(goals, 10);
    let player = rig::player(&catalogue);
    let now = rig::context(&catalogue, 100).now;
    Browse {
        stored: Some(Stored { revision: 6, player }),
        catalogue,
        challenge: None,
        active_only: false,
        now,
        player: "player-00000000".to_owned(),
    }
}

#[divan::bench(args = [50, 500, 5_000])]
fn spliced(bencher: Bencher<'_, '_>, goals: usize) {
    let (browse, splice) = (browse(goals), Splice::default());
    let length = splice.write(&browse).len();
    bencher.counter(BytesCount::new(length)).bench(|| splice.write(divan::black_box(&browse)));
}

#[divan::bench(args = [50, 500])]
fn serialised(bencher: Bencher<'_, '_>, goals: usize) {
    let browse = browse(goals);
    bencher.bench(|| {
        let reply = GetChallengesResponse { challenges: divan::black_box(&browse).messages() };
        serde_json::to_vec(&reply).expect("JSON")
    });
}
