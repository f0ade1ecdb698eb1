//! Limits of one player: a token bucket for what costs the most or is worth farming.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::error::{ApiError, Reason};

/// Most players that are remembered in a generation; there are two. Some 10 MB.
const MAX_PLAYERS: usize = 50_000;

/// How much one player may do, in this process: replicas count apart.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// Calls a minute, and at once after a pause; `None`: any number.
    per_minute: Option<f64>,
    max_players: usize,
    buckets: Mutex<Buckets>,
}

/// Buckets in two generations. One that was not touched for a minute is full again, so a
/// generation of that age can be forgotten whole. When there are too many players it is forgotten
/// earlier, to the players' advantage: memory stays bounded.
#[derive(Debug)]
struct Buckets {
    current: HashMap<String, Bucket>,
    before: HashMap<String, Bucket>,
    began: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl RateLimit {
    /// A limit of so many calls a minute; 0: no limit.
    pub(crate) fn per_minute(calls: u32) -> Self {
        let buckets = Buckets { current: HashMap::new(), before: HashMap::new(), began: Instant::now() };
        Self {
            per_minute: (calls > 0).then(|| f64::from(calls)),
            max_players: MAX_PLAYERS,
            buckets: Mutex::new(buckets),
        }
    }

    /// Takes one call of the player's.
    ///
    /// # Errors
    /// `RATE_LIMITED` with the time until the next call is free.
    pub(crate) fn take(&self, player: &str) -> Result<(), ApiError> {
        self.take_at(player, Instant::now())
    }

    fn take_at(&self, player: &str, now: Instant) -> Result<(), ApiError> {
        let Some(limit) = self.per_minute else { return Ok(()) };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.age(now, self.max_players);
        let mut bucket = buckets.find(player).unwrap_or(Bucket { left: limit, at: now });
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket = Bucket { left: (bucket.left + since * limit / 60.0).min(limit), at: now };
        let taken = bucket.left >= 1.0;
        if taken {
            bucket.left -= 1.0;
        }
        buckets.current.insert(player.to_owned(), bucket);
        drop(buckets);
        if taken {
            return Ok(());
        }
        let wait = Duration::from_secs_f64((1.0 - bucket.left) * 60.0 / limit);
        Err(ApiError::new(Reason::RateLimited, "this player has called too often; nothing was done")
            .with("limit_per_minute", limit.to_string())
            .after(wait))
    }
}

impl Buckets {
    fn age(&mut self, now: Instant, max_players: usize) {
        let minute = Duration::from_secs(60);
        if self.current.len() >= max_players || now.saturating_duration_since(self.began) >= minute {
            self.before = std::mem::take(&mut self.current);
            self.began = now;
        }
    }

    fn find(&self, player: &str) -> Option<Bucket> {
        self.current.get(player).or_else(|| self.before.get(player)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(limit: &RateLimit, player: &str, times: usize, now: Instant) -> usize {
        (0..times).filter(|_| limit.take_at(player, now).is_ok()).count()
    }

    #[test]
    fn a_burst_then_a_steady_rate_each_player_alone() {
        let limit = RateLimit::per_minute(30);
        let mut now = Instant::now();
        assert_eq!(take(&limit, "ann", 100, now), 30);
        assert_eq!(take(&limit, "bob", 10, now), 10);
        let refused = limit.take_at("ann", now).unwrap_err();
        assert_eq!(refused.reason, Reason::RateLimited);
        assert_eq!(refused.retry_after().map(|wait| wait.as_millis().div_ceil(1000)), Some(2));
        // Half a minute refills half, over the change of generations too.
        for _ in 0..5 {
            now += Duration::from_secs(30);
            assert_eq!(take(&limit, "ann", 100, now), 15);
        }
        now += Duration::from_secs(3600);
        assert_eq!(take(&limit, "ann", 100, now), 30);
    }

    #[test]
    fn memory_is_bounded() {
        let limit = RateLimit { max_players: 100, ..RateLimit::per_minute(1) };
        for player in 0..10_000 {
            assert!(limit.take(&player.to_string()).is_ok());
        }
        let buckets = limit.buckets.lock().unwrap();
        assert!(buckets.current.len() <= 100 && buckets.before.len() <= 100);
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(take(&RateLimit::per_minute(0), "ann", 1000, Instant::now()), 1000);
    }
}
