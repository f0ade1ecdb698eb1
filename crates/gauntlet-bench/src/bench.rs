//! What all measurements share.

use std::{cell::OnceCell, path::PathBuf, time::Duration};

use gauntlet_testkit::PgCluster;
use tokio::runtime::Runtime;

use crate::{
    Result,
    figures::{Sample, Usage},
    generator::{self, Plan, Pressure, Protocol, Source},
    machine,
    process::Floor,
};

/// What a server of our own is set to; the rest are PostgreSQL's defaults. It is what we recommend
/// to operators (long checkpoints, compressed pages in the log) and room in memory for a million
/// players.
const POSTGRES: &[(&str, &str)] = &[
    ("shared_buffers", "'768MB'"),
    ("wal_compression", "lz4"),
    ("max_wal_size", "'16GB'"),
    ("checkpoint_timeout", "'1h'"),
];

/// Loads that saturate: 500 calls in flight.
pub(crate) const CONNECTIONS: usize = 4;
/// Of each connection.
pub(crate) const STREAMS: usize = 125;

/// The tools of a run.
pub(crate) struct Bench {
    pub(crate) binary: PathBuf,
    pub(crate) length: Duration,
    pub(crate) turns: u32,
    pub(crate) runtime: Runtime,
    cluster: OnceCell<PgCluster>,
}

impl Bench {
    pub(crate) fn new(binary: PathBuf, length: Duration, turns: u32) -> Result<Self> {
        // Only for what happens between loads.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { binary, length, turns, runtime, cluster: OnceCell::new() })
    }

    /// The PostgreSQL server of this run, started by the first that asks.
    pub(crate) fn cluster(&self) -> &PgCluster {
        self.cluster.get_or_init(|| PgCluster::private_with(POSTGRES))
    }

    /// A plan for calls of this protocol.
    pub(crate) fn plan(&self, address: std::net::SocketAddr, protocol: Protocol, pressure: Pressure) -> Plan {
        Plan {
            address,
            protocol,
            connections: CONNECTIONS,
            pressure,
            warm_up: Duration::from_millis(500).max(self.length / 8),
            length: self.length,
            kinds: 1,
        }
    }

    /// Measures product and floor in turns, floor first.
    pub(crate) fn turns(
        &self,
        mut floor: impl FnMut() -> Result<Sample>,
        mut product: impl FnMut() -> Result<Sample>,
    ) -> Result<Pair> {
        let mut pair = Pair::default();
        for _ in 0..self.turns {
            pair.floor.push(floor()?);
            pair.product.push(product()?);
        }
        Ok(pair)
    }
}

/// Loads of product and floor, turn by turn.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    pub(crate) product: Vec<Sample>,
    pub(crate) floor: Vec<Sample>,
}

impl Pair {
    /// One figure of the product's loads.
    pub(crate) fn product(&self, of: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.product.iter().map(of).collect()
    }

    /// One figure of the floor's loads.
    pub(crate) fn floor(&self, of: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.floor.iter().map(of).collect()
    }

    /// Calls behind the product's figures.
    pub(crate) fn calls(&self) -> u64 {
        self.product.iter().map(|sample| sample.calls).sum()
    }
}

/// Runs a load and asks what it cost.
pub(crate) fn load(
    plan: &Plan,
    source: &mut dyn Source,
    usage: &mut dyn FnMut() -> Result<Usage>,
) -> Result<Sample> {
    Sample::new(&generator::run(plan, source, usage)?)
}

/// CPU of this process, which is the generator while a load runs.
pub(crate) fn own_cpu() -> Result<f64> {
    machine::cpu(std::process::id())
}

impl Floor {
    /// What it has used.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Ok(Usage { server: machine::cpu(self.pid())?, generator: own_cpu()?, ..Usage::default() })
    }
}
