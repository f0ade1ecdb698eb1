//! The byte form of the live document.

use divan::{Bencher, counter::BytesCount};
use gauntlet_domain::Player;

use crate::rig;

#[divan::bench(args = [10, 50, 200, 500])]
fn read(bencher: Bencher<'_, '_>, active: usize) {
    let bytes = rig::player(&rig::catalogue(500, active)).encode_live();
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| Player::decode(divan::black_box(&bytes), None));
}

#[divan::bench(args = [10, 50, 200, 500])]
fn write(bencher: Bencher<'_, '_>, active: usize) {
    let player = rig::player(&rig::catalogue(500, active));
    bencher
        .counter(BytesCount::of_slice(&player.encode_live()))
        .bench(|| divan::black_box(&player).encode_live());
}
