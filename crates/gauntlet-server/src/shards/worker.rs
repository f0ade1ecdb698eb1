//! A shard's task: gathers a batch, reads, applies the rules, commits, answers.

use std::{sync::Arc, time::Instant};

use gauntlet_domain::{Catalogue, Receipt};
use gauntlet_store::{
    Error as StoreError, Load, Loaded, Stored, Write, Written,
    crash::{self, Point},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    MAX_BATCH, Operation, Pace, Work,
    group::{Answer, Group, Plan, Recall, unknown, update_locked},
    memory::Memory,
};
use crate::{admission::too_late, core::Core, lifecycle::at, traces};

/// How often a group that lost a race is tried again before it takes the row lock.
const RACES: usize = 3;

/// The ends of a shard's queues.
pub(super) struct Waiting {
    pub(super) calls: mpsc::Receiver<Operation>,
    pub(super) events: mpsc::Receiver<Operation>,
}

pub(super) struct Worker {
    core: Arc<Core>,
    calls: mpsc::Receiver<Operation>,
    events: mpsc::Receiver<Operation>,
    pace: Arc<Pace>,
    closing: CancellationToken,
    memory: Memory,
}

/// A group with the write that it wants, on its way into a commit.
struct Ready {
    group: Group,
    write: Write,
    answers: Vec<Answer>,
    source: Source,
}

/// A group whose write is in a commit.
struct Waits {
    group: Group,
    answers: Vec<Answer>,
    source: Source,
}

/// Where the player of a plan came from.
enum Source {
    Memory,
    /// From the store, with the receipts that have left the document, if they were asked for.
    Store(Option<Vec<Receipt>>),
}

impl Worker {
    pub(super) fn new(core: Arc<Core>, queues: Waiting, pace: Arc<Pace>, closing: CancellationToken) -> Self {
        let Waiting { calls, events } = queues;
        Self { core, calls, events, pace, closing, memory: Memory::default() }
    }

    /// Works until it was told to close and both queues are empty.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while self.gather(&mut batch).await {
            crash::point(Point::Gathered);
            let mut batch = self.in_time(std::mem::take(&mut batch));
            if batch.is_empty() {
                continue;
            }
            let (size, began) = (batch.len(), tokio::time::Instant::now());
            let waited = batch.iter_mut().filter_map(|operation| operation.queued.take());
            let (here, _spans) = traces::batch(size, waited);
            traces::within(here, self.carry_out(batch)).await;
            self.pace.learn(size, began.elapsed());
        }
    }

    /// Waits for an operation and takes all that wait with it, calls first. False: closed and
    /// empty.
    async fn gather(&mut self, batch: &mut Vec<Operation>) -> bool {
        at("operations to come");
        loop {
            tokio::select! {
                biased;
                Some(operation) = self.calls.recv() => batch.push(operation),
                Some(operation) = self.events.recv() => batch.push(operation),
                () = self.closing.cancelled(), if !self.calls.is_closed() => {
                    self.calls.close();
                    self.events.close();
                    continue;
                }
                else => return false,
            }
            break;
        }
        for queue in [&mut self.calls, &mut self.events] {
            while batch.len() < MAX_BATCH
                && let Ok(operation) = queue.try_recv()
            {
                batch.push(operation);
            }
        }
        true
    }

    /// What its callers still wait for. The rest is answered without work.
    fn in_time(&self, batch: Vec<Operation>) -> Vec<Operation> {
        let now = tokio::time::Instant::now();
        if !batch.iter().any(|operation| operation.is_late(now)) {
            return batch;
        }
        let (late, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(|operation| operation.is_late(now));
        for operation in late {
            self.core.metrics().shed("late");
            operation.refuse(too_late());
        }
        batch
    }

    async fn carry_out(&mut self, batch: Vec<Operation>) {
        self.measure(&batch);
        let mut groups = Group::gather(batch);
        for _ in 0..RACES {
            groups = self.round(groups).await;
            if groups.is_empty() {
                return;
            }
        }
        at("writing under row locks");
        for group in groups {
            self.memory.forget(&group.key);
            update_locked(&self.core, group).await;
        }
    }

    fn measure(&self, batch: &[Operation]) {
        let (metrics, now) = (self.core.metrics(), tokio::time::Instant::now());
        metrics.batch(batch.len());
        for operation in batch {
            match operation.work {
                Work::Call(_) => metrics.call_waited(now - operation.asked),
                Work::Event(_) => metrics.event_waited(now - operation.asked),
            }
        }
    }

    /// Reads, plans and commits; answers the groups that have to be tried again.
    async fn round(&mut self, groups: Vec<Group>) -> Vec<Group> {
        let catalogue = self.core.catalogue();
        let mut ready = Vec::with_capacity(groups.len());
        let groups = self.recollect(groups, &catalogue, &mut ready);
        // Remembered groups are in order as they came.
        let was_read = !groups.is_empty();
        let mut open = if was_read { vec![groups] } else { Vec::new() };
        let mut newer = Vec::new();
        // A read that is refused for another reason than availability is split like a commit.
        while let Some(mut groups) = open.pop() {
            let loads: Vec<Load> = groups.iter().map(|group| group.load(&catalogue)).collect();
            at("reading players");
            match self.core.store().load(&loads).await {
                Ok(loaded) => newer.extend(self.plan(groups, &loads, loaded, &catalogue, &mut ready)),
                Err(error) if !error.is_transient() && groups.len() > 1 => {
                    let rest = groups.split_off(groups.len() / 2);
                    open.extend([groups, rest]);
                }
                Err(error) => self.fail_all(groups, &error),
            }
        }
        if was_read {
            ready.sort_by(|a: &Ready, b: &Ready| a.group.key.cmp(&b.group.key));
        }
        let mut again = if ready.is_empty() { Vec::new() } else { self.commit(ready).await };
        again.extend(self.catch_up(newer).await);
        again
    }

    /// Groups whose players were written with newer catalogues: tried again once this replica has
    /// those, and refused when it cannot have them.
    async fn catch_up(&self, newer: Vec<(u32, Group)>) -> Vec<Group> {
        let Some(version) = newer.iter().map(|(version, _)| *version).max() else { return Vec::new() };
        at("loading a newer catalogue");
        let caught_up = self.core.catch_up(version).await;
        let mut again = Vec::with_capacity(newer.len());
        for (_, group) in newer {
            match &caught_up {
                Ok(_) => again.push(group),
                Err(error) => group.fail(error),
            }
        }
        again
    }

    /// Plans the writes of players that the shard remembers; answers the groups that have to be
    /// read. That a remembered document is the newest is for the write to find out, so a plan
    /// without a write is worth nothing: its answers would be promises about a player whom nobody
    /// has looked at.
    fn recollect(
        &mut self,
        groups: Vec<Group>,
        catalogue: &Arc<Catalogue>,
        ready: &mut Vec<Ready>,
    ) -> Vec<Group> {
        if !self.memory.is_trusted() {
            return groups;
        }
        let mut unknown = Vec::new();
        for group in groups {
            let lent = if group.may_remember() {
                self.memory.lend(&group.key, group.needs_receipts(catalogue))
            } else {
                None
            };
            let Some((stored, receipts)) = lent else {
                unknown.push(group);
                continue;
            };
            let plan = group.plan(&self.core, catalogue, Some(stored), receipts, false);
            match (plan.write, plan.unchanged) {
                (Some(write), _) => {
                    ready.push(Ready { group, write, answers: plan.answers, source: Source::Memory });
                    continue;
                }
                (None, Some(stored)) => self.memory.give_back(&group.key, stored),
                (None, None) => self.memory.forget(&group.key),
            }
            unknown.push(group);
        }
        unknown
    }

    /// Applies the rules to what was read. Groups without a write are answered: their read was
    /// true. Answers those whose players were written with a newer catalogue, and with which.
    fn plan(
        &mut self,
        groups: Vec<Group>,
        loads: &[Load],
        loaded: Vec<Loaded>,
        catalogue: &Arc<Catalogue>,
        ready: &mut Vec<Ready>,
    ) -> Vec<(u32, Group)> {
        let mut newer = Vec::new();
        for ((mut group, load), loaded) in groups.into_iter().zip(loads).zip(loaded) {
            let stored = match loaded.stored {
                Ok(stored) => stored,
                Err(error) => {
                    group.fail(&self.core.failed(&error));
                    continue;
                }
            };
            self.memory.compare(&group.key, stored.as_ref());
            match group.recall(stored.as_ref()) {
                Recall::Done(answers) => group.answer(answers),
                Recall::Unknown => group.fail(&unknown()),
                Recall::NotDone if version_of(stored.as_ref()) > catalogue.version() => {
                    newer.push((version_of(stored.as_ref()), group));
                }
                Recall::NotDone => {
                    let fence = group.may_land(stored.as_ref());
                    let Plan { answers, write, .. } =
                        group.plan(&self.core, catalogue, stored, &loaded.receipts, fence);
                    let source = Source::Store(load.receipts.then_some(loaded.receipts));
                    match write {
                        None => group.answer(answers),
                        Some(write) => ready.push(Ready { group, write, answers, source }),
                    }
                }
            }
        }
        newer
    }

    /// Commits; a batch that is refused for another reason than availability is split until the
    /// culprit stands alone. Answers the groups that have to be tried again.
    async fn commit(&mut self, ready: Vec<Ready>) -> Vec<Group> {
        let mut again = Vec::new();
        let mut open = vec![ready];
        while let Some(batch) = open.pop() {
            let (writes, mut waiting): (Vec<Write>, Vec<Waits>) = batch
                .into_iter()
                .map(|Ready { group, write, answers, source }| (write, Waits { group, answers, source }))
                .unzip();
            pass_before(&writes);
            at("committing");
            let started = Instant::now();
            match self.core.store().commit(&writes).await {
                Ok(written) => {
                    self.core.metrics().commit(started.elapsed());
                    crash::point(Point::AfterCommit);
                    self.conclude(waiting, writes, &written, &mut again);
                }
                Err(StoreError::Unknown { .. }) => {
                    for (Waits { mut group, answers, .. }, write) in waiting.into_iter().zip(&writes) {
                        self.memory.forget(&group.key);
                        group.remember(write, answers);
                        again.push(group);
                    }
                }
                Err(error) if !error.is_transient() && writes.len() > 1 => {
                    let mut writes = writes;
                    let middle = writes.len() / 2;
                    for (writes, waiting) in
                        [(writes.split_off(middle), waiting.split_off(middle)), (writes, waiting)]
                    {
                        open.push(rejoin(writes, waiting));
                    }
                }
                Err(error) => {
                    // What was lent for these writes does not come back.
                    for write in &writes {
                        self.memory.forget(&write.key);
                    }
                    self.fail_all(waiting.into_iter().map(|waits| waits.group).collect(), &error);
                }
            }
        }
        again
    }

    fn conclude(
        &mut self,
        waiting: Vec<Waits>,
        writes: Vec<Write>,
        written: &[Written],
        again: &mut Vec<Group>,
    ) {
        for ((Waits { group, answers, source }, write), written) in
            waiting.into_iter().zip(writes).zip(written)
        {
            if matches!(source, Source::Memory) {
                self.memory.learn(matches!(written, Written::Done { .. }));
            }
            match written {
                // The one place where a change is acknowledged.
                Written::Done { revision } => {
                    group.answer(answers);
                    let receipts = match source {
                        Source::Memory => None,
                        // Nothing can have left a document that did not exist.
                        Source::Store(receipts) => {
                            receipts.or_else(|| write.expected.is_none().then(Vec::new))
                        }
                    };
                    let stored = Stored { revision: *revision, player: write.player };
                    self.memory.keep(write.key, stored, receipts, &write.receipts);
                }
                Written::Conflict => {
                    self.memory.forget(&group.key);
                    self.core.metrics().conflict();
                    again.push(group);
                }
            }
        }
    }

    fn fail_all(&self, groups: Vec<Group>, error: &StoreError) {
        let told = self.core.failed(error);
        for group in groups {
            group.fail(&told);
        }
    }
}

/// Passes the points in front of a commit: of any, of one with a new claim, of one that ends a claim.
fn pass_before(writes: &[Write]) {
    crash::point(Point::BeforeCommit);
    crash::point_if(Point::BeforeBegin, || writes.iter().any(|write| !write.orders.is_empty()));
    crash::point_if(Point::BeforeSettle, || writes.iter().any(|write| !write.results.is_empty()));
}

/// The catalogue version that wrote a document; 0: there is none.
fn version_of(stored: Option<&Stored>) -> u32 {
    stored.map_or(0, |stored| stored.player.head.catalogue_version)
}

fn rejoin(writes: Vec<Write>, waiting: Vec<Waits>) -> Vec<Ready> {
    let join = |(write, Waits { group, answers, source })| Ready { group, write, answers, source };
    writes.into_iter().zip(waiting).map(join).collect()
}
