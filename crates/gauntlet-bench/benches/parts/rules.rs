//! The rules: counting one event for a player in memory.

use divan::Bencher;
use gauntlet_domain::{Effects, count_event};

use crate::rig;

/// Ten active goals; the catalogue's size must not matter.
#[divan::bench(args = [50, 500, 5_000])]
fn event_by_goals_in_the_catalogue(bencher: Bencher<'_, '_>, goals: usize) {
    events(bencher, goals, 10);
}

/// A catalogue of 500 goals.
#[divan::bench(args = [10, 50, 200, 500])]
fn event_by_active_goals(bencher: Bencher<'_, '_>, active: usize) {
    events(bencher, 500, active);
}

fn events(bencher: Bencher<'_, '_>, goals: usize, active: usize) {
    let catalogue = rig::catalogue(goals, active);
    let mut player = rig::player(&catalogue);
    let mut seconds = 10;
    bencher
        .with_inputs(|| {
            seconds += 1;
            (rig::event(seconds), rig::context(&catalogue, seconds))
        })
        .bench_local_values(|(event, context)| {
            let mut effects = Effects::default();
            (count_event(&mut player, &event, &[], &context, &mut effects), effects)
        });
}
