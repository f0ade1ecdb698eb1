//! A shard's task: gathers a batch, reads, applies the rules, commits, answers.

use std::{sync::Arc, time::Instant};

use gauntlet_domain::Catalogue;
use gauntlet_store::{
    Error as StoreError, Load, Loaded, Write, Written,
    crash::{self, Point},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    MAX_BATCH, Operation, Pace, Work,
    group::{Answer, Group, Plan, Recall, unknown, update_locked},
};
use crate::{admission::too_late, core::Core, lifecycle::at};

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
}

/// A group with the write that it wants, on its way into a commit.
struct Ready {
    group: Group,
    write: Write,
    answers: Vec<Answer>,
}

impl Worker {
    pub(super) fn new(core: Arc<Core>, queues: Waiting, pace: Arc<Pace>, closing: CancellationToken) -> Self {
        let Waiting { calls, events } = queues;
        Self { core, calls, events, pace, closing }
    }

    /// Works until it was told to close and both queues are empty.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while self.gather(&mut batch).await {
            crash::point(Point::Gathered);
            let batch = self.in_time(std::mem::take(&mut batch));
            if batch.is_empty() {
                continue;
            }
            let (size, began) = (batch.len(), tokio::time::Instant::now());
            self.carry_out(batch).await;
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

    async fn carry_out(&self, batch: Vec<Operation>) {
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
    async fn round(&self, groups: Vec<Group>) -> Vec<Group> {
        let catalogue = self.core.catalogue();
        let mut open = vec![groups];
        let mut ready = Vec::new();
        // A read that is refused for another reason than availability is split like a commit.
        while let Some(mut groups) = open.pop() {
            let loads: Vec<Load> = groups.iter().map(|group| group.load(&catalogue)).collect();
            at("reading players");
            match self.core.store().load(&loads).await {
                Ok(loaded) => self.plan(groups, &loads, loaded, &catalogue, &mut ready),
                Err(error) if !error.is_transient() && groups.len() > 1 => {
                    let rest = groups.split_off(groups.len() / 2);
                    open.extend([groups, rest]);
                }
                Err(error) => self.fail_all(groups, &error),
            }
        }
        ready.sort_by(|a: &Ready, b: &Ready| a.group.key.cmp(&b.group.key));
        if ready.is_empty() { Vec::new() } else { self.commit(ready).await }
    }

    /// Applies the rules to what was read. Groups without a write are answered: their read was
    /// true.
    fn plan(
        &self,
        groups: Vec<Group>,
        loads: &[Load],
        loaded: Vec<Loaded>,
        catalogue: &Arc<Catalogue>,
        ready: &mut Vec<Ready>,
    ) {
        for ((mut group, load), loaded) in groups.into_iter().zip(loads).zip(loaded) {
            let stored = match loaded.stored {
                Ok(stored) => stored,
                Err(error) => {
                    group.fail(&self.core.failed(&error));
                    continue;
                }
            };
            match group.recall(stored.as_ref()) {
                Recall::Done(answers) => group.answer(answers),
                Recall::Unknown => group.fail(&unknown()),
                Recall::NotDone => {
                    let planner = group.planner(self.core.clone(), catalogue.clone(), load);
                    let fence = group.may_land(stored.as_ref());
                    let Plan { answers, write } = planner.plan(stored, &loaded.receipts, fence);
                    match write {
                        None => group.answer(answers),
                        Some(write) => ready.push(Ready { group, write, answers }),
                    }
                }
            }
        }
    }

    /// Commits; a batch that is refused for another reason than availability is split until the
    /// culprit stands alone. Answers the groups that have to be tried again.
    async fn commit(&self, ready: Vec<Ready>) -> Vec<Group> {
        let mut again = Vec::new();
        let mut open = vec![ready];
        while let Some(batch) = open.pop() {
            let (writes, mut waiting): (Vec<Write>, Vec<(Group, Vec<Answer>)>) =
                batch.into_iter().map(|ready| (ready.write, (ready.group, ready.answers))).unzip();
            pass_before(&writes);
            at("committing");
            let started = Instant::now();
            match self.core.store().commit(&writes).await {
                Ok(written) => {
                    self.core.metrics().commit(started.elapsed());
                    crash::point(Point::AfterCommit);
                    self.conclude(waiting, &written, &mut again);
                }
                Err(StoreError::Unknown { .. }) => {
                    for ((mut group, answers), write) in waiting.into_iter().zip(&writes) {
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
                    self.fail_all(waiting.into_iter().map(|(group, _)| group).collect(), &error);
                }
            }
        }
        again
    }

    fn conclude(&self, waiting: Vec<(Group, Vec<Answer>)>, written: &[Written], again: &mut Vec<Group>) {
        for ((group, answers), written) in waiting.into_iter().zip(written) {
            match written {
                // The one place where a change is acknowledged.
                Written::Done { .. } => group.answer(answers),
                Written::Conflict => {
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

fn rejoin(writes: Vec<Write>, waiting: Vec<(Group, Vec<Answer>)>) -> Vec<Ready> {
    writes.into_iter().zip(waiting).map(|(write, (group, answers))| Ready { group, write, answers }).collect()
}
