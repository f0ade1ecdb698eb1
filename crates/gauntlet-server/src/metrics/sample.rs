//! Figures that are read only when somebody asks: of the store, the process and the runtime.

use std::fmt;

use gauntlet_store::{Figures, PoolStatus, Times};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::Registry,
};
use tokio::runtime::Handle;

use super::{
    process::Process,
    table::{self, Row},
};

/// What is read when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Operations of calls that wait in the shards.
    pub calls: usize,
    /// Events that wait in the shards.
    pub events: usize,
    /// How the store's connections are used.
    pub pool: PoolStatus,
    /// What the store has measured.
    pub store: Figures,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
    profile: &'static str,
    target: String,
}

/// A registry of what is true now.
pub(super) fn registry(sample: Sample) -> Registry {
    let mut registry = Registry::default();
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    table::BUILD
        .register(&mut registry, Info::new(Build { version: env!("CARGO_PKG_VERSION"), profile, target }));
    if let Some(process) = Process::read() {
        of_process(&mut registry, process);
    }
    if let Ok(runtime) = Handle::try_current() {
        of_runtime(&mut registry, &runtime);
    }
    of_store(&mut registry, sample);
    registry
}

fn of_process(registry: &mut Registry, process: Process) {
    table::CPU.register(registry, ConstCounter::new(process.cpu_seconds));
    table::MEMORY.register(registry, number(process.resident_bytes));
    table::START.register(registry, ConstGauge::new(process.started_at));
    table::THREADS.register(registry, number(process.threads));
    table::OPEN_FILES.register(registry, number(process.open_files));
    table::MAX_FILES.register(registry, number(process.max_files));
}

fn of_runtime(registry: &mut Registry, runtime: &Handle) {
    let figures = runtime.metrics();
    table::WORKERS.register(registry, number(figures.num_workers() as u64));
    table::TASKS.register(registry, number(figures.num_alive_tasks() as u64));
    table::RUNTIME_QUEUE.register(registry, number(figures.global_queue_depth() as u64));
    #[cfg(target_has_atomic = "64")]
    {
        let busy = (0..figures.num_workers()).map(|worker| figures.worker_total_busy_duration(worker));
        table::BUSY.register(registry, ConstCounter::new(busy.sum::<std::time::Duration>().as_secs_f64()));
    }
}

fn of_store(registry: &mut Registry, sample: Sample) {
    let Sample { calls, events, pool, store } = sample;
    let queues = [("calls", calls), ("events", events)];
    registry.register_collector(Box::new(Gauges(&table::QUEUE, queues.into())));
    let uses = [
        ("limit", pool.limit),
        ("open", pool.open),
        ("idle", pool.idle),
        ("in_use", pool.open.saturating_sub(pool.idle)),
        ("waiting", pool.waiting),
    ];
    registry.register_collector(Box::new(Gauges(&table::POOL, uses.into())));
    table::POOL_TIMEOUTS.register(registry, ConstCounter::new(store.pool_timeouts));
    table::POOL_WAIT.register(registry, Taken(store.pool_wait));
    registry.register_collector(Box::new(Statements(store.statements)));
    // Only SQLite has a log.
    if let Some(bytes) = store.log_bytes {
        table::WRITER_WAIT.register(registry, Taken(store.writer_wait));
        table::CHECKPOINTS.register(registry, Taken(store.checkpoints));
        table::MOVES.register(registry, Taken(store.moves));
        table::LOG_BYTES.register(registry, number(bytes));
    }
}

fn number(value: u64) -> ConstGauge<u64> {
    ConstGauge::new(value)
}

/// Times that the store has gathered, as a histogram.
#[derive(Debug)]
struct Taken(Times);

impl EncodeMetric for Taken {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        times(&self.0, encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn times(times: &Times, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    if times.buckets.is_empty() {
        // A store that does not measure.
        return encoder.encode_histogram::<NoLabelSet>(0.0, 0, &[(f64::INFINITY, 0)], None);
    }
    encoder.encode_histogram::<NoLabelSet>(times.sum, times.count, &times.buckets, None)
}

/// Numbers with a label each.
#[derive(Debug)]
struct Gauges(&'static Row, Vec<(&'static str, usize)>);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Self(row, values) = self;
        let help = format!("{}.", row.help);
        let unit = row.unit();
        let mut family = encoder.encode_descriptor(row.name, &help, unit.as_ref(), MetricType::Gauge)?;
        for (kind, value) in values {
            let labels = [("kind", *kind)];
            family.encode_family(&labels)?.encode_gauge(value)?;
        }
        Ok(())
    }
}

/// Times of statements by operation.
#[derive(Debug)]
struct Statements(Vec<(&'static str, Times)>);

impl Collector for Statements {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let row = &table::STATEMENTS;
        let help = format!("{}.", row.help);
        let unit = row.unit();
        let mut family = encoder.encode_descriptor(row.name, &help, unit.as_ref(), MetricType::Histogram)?;
        for (operation, taken) in &self.0 {
            times(taken, family.encode_family(&[("operation", *operation)])?)?;
        }
        Ok(())
    }
}
