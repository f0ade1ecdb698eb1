//! `gauntlet export`, `gauntlet import` and `gauntlet audit`.

use std::path::PathBuf;

use clap::Args;

use crate::settings::{Flags, ForArchive};

/// `gauntlet export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Players, receipts, grants, journal, goal numbers and catalogue versions, one row a line, as they are at
one moment; docs/operations.md describes the file. A service may go on meanwhile, and then the file is a
backup. To move players to another store, stop the service first.

Examples:
  gauntlet export --store sqlite:gauntlet.db --out players.jsonl
  gauntlet export --store postgres://reader@db/game | zstd > players.jsonl.zst

From SQLite to PostgreSQL:
  gauntlet export --store sqlite:gauntlet.db --out players.jsonl
  gauntlet import --store postgres://gauntlet:secret@db/game players.jsonl
  gauntlet serve --store postgres://gauntlet:secret@db/game ...")]
pub(crate) struct ExportArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) flags: Flags<ForArchive>,
    /// Where to write it [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `gauntlet import`.
#[derive(Debug, Args)]
#[command(after_help = "\
All rows are added in one transaction, or none. The store has to be empty: a service that has started on
it once has written its catalogue there. A file that was cut off or changed is refused. In the end
everything is read back and compared by counts and checksum.

Examples:
  gauntlet import --store postgres://gauntlet:secret@db/game players.jsonl
  zstd -d < players.jsonl.zst | gauntlet import --store sqlite:new.db -")]
pub(crate) struct ImportArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) flags: Flags<ForArchive>,
    /// The file; `-` for standard input.
    pub(crate) file: PathBuf,
}

/// `gauntlet audit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the whole store as it is at one moment, and says where a player's document and the grants that were
ordered for the player differ: a claim without a grant, a reward that was handed out and can be claimed
again, and so on; also documents that cannot be read. It changes nothing, and a service may go on. Run it
every night, and after each restore. It ends with 1 when there is a difference.

Examples:
  gauntlet audit --store postgres://reader@db/game
  gauntlet audit --store postgres://reader@db/game --metrics /var/lib/node_exporter/gauntlet.prom
      For the textfile collector of node_exporter, and the alert GauntletLedgerMismatch.")]
pub(crate) struct AuditArgs {
    /// Settings.
    #[command(flatten)]
    pub(crate) flags: Flags<ForArchive>,
    /// Write the result as metrics, for the textfile collector of `node_exporter`.
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long, display_order = 901)]
    pub(crate) json: bool,
}
