//! `gauntlet export`, `gauntlet import` and `gauntlet audit`: a whole store, from beginning to end.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write as _},
    path::Path,
};

use gauntlet_server::clock::{Clock as _, SystemClock};
use gauntlet_store::{
    Error, PgOptions, PgStore, SqliteSource, SqliteTarget, Store as _,
    archive::{self, ArchiveError, AuditReport, Counts, Source, Summary, Table, Target},
};
use serde_json::json;

use super::{
    Context, small_runtime,
    store::{advised, patiently},
};
use crate::{
    cli::{AuditArgs, ExportArgs, ImportArgs},
    logging,
    output::{Failure, RowsProgress},
    settings::{ArchiveSettings, StoreChoice},
};

/// Writes everything that a store keeps into a file.
pub(super) fn export(context: &Context, args: ExportArgs) -> Result<(), Failure> {
    let settings = ArchiveSettings::read(&context.layers(args.flags.values)?)?;
    logging::start(&settings.log, context.output)?;
    let store = settings.choice.masked();
    let failed = |error: ArchiveError| Failure::caused(format_args!("cannot export {store}"), &error);
    let summary = small_runtime()?.block_on(async {
        let mut source = source(&settings).await.map_err(|error| away(&settings, error, failed))?;
        warn_of_use(context, &mut *source).await.map_err(failed)?;
        let mut progress = RowsProgress::new(context.output, "rows written");
        let mut tell = |done, of| progress.show(done, Some(of));
        let done = match &args.out {
            Some(path) => write_file(&mut *source, path, &mut tell).await,
            None => archive::export(&mut *source, &mut io::stdout(), &mut tell).await,
        };
        progress.end();
        done.map_err(failed)
    })?;
    // Standard output may be the file.
    context.output.note(&told(&format!("{store} exported"), &summary));
    Ok(())
}

/// Makes the file under another name first, so that what has the name is whole.
async fn write_file(
    source: &mut dyn Source,
    path: &Path,
    tell: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Summary, ArchiveError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    let mut out = BufWriter::new(File::create(part)?);
    let summary = archive::export(source, &mut out, tell).await?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(part, path)?;
    Ok(summary)
}

/// Fills an empty store from a file, and reads it back.
pub(super) fn import(context: &Context, args: ImportArgs) -> Result<(), Failure> {
    let settings = ArchiveSettings::read(&context.layers(args.flags.values)?)?;
    logging::start(&settings.log, context.output)?;
    let store = settings.choice.masked();
    let failed = |error: ArchiveError| {
        let failure = Failure::caused(format_args!("cannot import into {store}"), &error);
        match error {
            ArchiveError::NotEmpty(_) => failure.hint(
                "make a new database or name a new file; a service that has started on it once has written its \
                 catalogue there",
            ),
            _ => failure.hint("nothing was added to the store"),
        }
    };
    let summary = small_runtime()?.block_on(async {
        let target = target(&settings).await.map_err(|error| away(&settings, error, failed))?;
        let mut progress = RowsProgress::new(context.output, "rows read");
        let mut tell = |done| progress.show(done, None);
        let done = if args.file.as_os_str() == "-" {
            archive::import(target, &mut BufReader::new(io::stdin()), &mut tell).await
        } else {
            match File::open(&args.file) {
                Ok(file) => archive::import(target, &mut BufReader::new(file), &mut tell).await,
                Err(error) => Err(error.into()),
            }
        };
        progress.end();
        let summary = done.map_err(failed)?;
        let back = read_back(context, &settings).await;
        let back =
            back.map_err(|error| Failure::caused(format_args!("{store} cannot be read back"), &error))?;
        if back == summary {
            return Ok(summary);
        }
        let failure = Failure::new(format!(
            "{store} was filled, and what is read back differs: {back:?} and not {summary:?}"
        ));
        Err(failure
            .hint("do not use it: make a new database and import again, with no service running on it"))
    })?;
    context.output.data(&(told(&format!("{store} filled and read back"), &summary) + "\n"))
}

async fn read_back(context: &Context, settings: &ArchiveSettings) -> Result<Summary, ArchiveError> {
    let mut source = source(settings).await?;
    let mut progress = RowsProgress::new(context.output, "rows read back");
    let mut tell = |done, of| progress.show(done, Some(of));
    let summary = archive::export(&mut *source, &mut io::sink(), &mut tell).await;
    progress.end();
    summary
}

/// Compares documents with grants; a failure when they differ.
pub(super) fn audit(context: &Context, args: AuditArgs) -> Result<(), Failure> {
    let settings = ArchiveSettings::read(&context.layers(args.flags.values)?)?;
    logging::start(&settings.log, context.output)?;
    let store = settings.choice.masked();
    let failed = |error: &Error| Failure::caused(format_args!("cannot read {store}"), error);
    let report = small_runtime()?.block_on(async {
        let source = source(&settings).await;
        let mut source =
            source.map_err(|error| advised(failed(&error), &settings.choice, error.is_transient()))?;
        let found = source.schema().await.map_err(|error| failed(&error))?;
        if found != archive::schema() {
            let error = ArchiveError::Schema { found, wanted: archive::schema() };
            return Err(Failure::caused(format_args!("cannot audit {store}"), &error));
        }
        let mut progress = RowsProgress::new(context.output, "players compared");
        let mut tell = |done, of| progress.show(done, Some(of));
        let report = archive::audit(&mut *source, &mut tell).await;
        progress.end();
        report.map_err(|error| failed(&error))
    })?;
    if let Some(path) = &args.metrics {
        let written = write_metrics(path, &report);
        written.map_err(|error| Failure::caused(format_args!("cannot write {}", path.display()), &error))?;
    }
    let AuditReport { players, grants, mismatches, first } = &report;
    if args.json {
        context.output.json(&json!({
            "store": store, "players": players, "grants": grants, "mismatches": mismatches, "first": first,
        }))?;
    } else {
        let mut lines = first.join("\n");
        lines.push_str(if first.is_empty() { "" } else { "\n" });
        context.output.data(&format!(
            "{lines}{store}: {players} players, {grants} grants, {mismatches} mismatches\n"
        ))?;
    }
    if *mismatches == 0 {
        return Ok(());
    }
    let failure = Failure::new(format!("{mismatches} mismatches between players and their grants"));
    Err(failure.hint("docs/runbook.md, GauntletLedgerMismatch, says what they mean and how to end them"))
}

/// For the textfile collector of `node_exporter`, which must not see half a file.
fn write_metrics(path: &Path, report: &AuditReport) -> io::Result<()> {
    let mut text = String::new();
    let now = SystemClock.now().seconds();
    for (name, help, value) in [
        (
            "gauntlet_audit_mismatches",
            "Differences between players and their grants.",
            report.mismatches.to_string(),
        ),
        ("gauntlet_audit_players", "Players that were compared.", report.players.to_string()),
        ("gauntlet_audit_grants", "Grants that were compared.", report.grants.to_string()),
        (
            "gauntlet_audit_finished_timestamp_seconds",
            "When the last audit ended, since 1970.",
            now.to_string(),
        ),
    ] {
        // Writing into a string cannot fail.
        let _written = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let mut file = File::create(&name)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&name, path)
}

async fn warn_of_use(context: &Context, source: &mut dyn Source) -> Result<(), ArchiveError> {
    if source.schema().await? == archive::schema() && source.in_use().await? {
        context.output.warning(
            "a service is at work on this store: the file holds what there is now. To move players, stop the service first",
        );
    }
    Ok(())
}

/// A store that could not be opened.
fn away(settings: &ArchiveSettings, error: Error, failed: impl Fn(ArchiveError) -> Failure) -> Failure {
    let transient = error.is_transient();
    advised(failed(error.into()), &settings.choice, transient)
}

/// The store to read, which has to be there.
async fn source(settings: &ArchiveSettings) -> Result<Box<dyn Source>, Error> {
    let open = async |url: &str| PgStore::connect(&one_connection(url))?.source().await;
    Ok(match &settings.choice {
        StoreChoice::Sqlite(path) => {
            if let Err(error) = fs::metadata(path) {
                return Err(Error::Unavailable { operation: "open", source: error.into() });
            }
            Box::new(SqliteSource::open(path)?)
        }
        choice @ StoreChoice::Postgres(url) => {
            Box::new(patiently(choice, settings.wait, async || open(url).await).await?)
        }
    })
}

/// The store to fill, with its schema up to date.
async fn target(settings: &ArchiveSettings) -> Result<Box<dyn Target>, Error> {
    let open = async |url: &str| {
        let store = PgStore::connect(&one_connection(url))?;
        store.migrate().await?;
        store.target().await
    };
    Ok(match &settings.choice {
        StoreChoice::Sqlite(path) => Box::new(SqliteTarget::open(path)?),
        choice @ StoreChoice::Postgres(url) => {
            Box::new(patiently(choice, settings.wait, async || open(url).await).await?)
        }
    })
}

fn one_connection(url: &str) -> PgOptions {
    PgOptions { max_connections: 1, ..PgOptions::new(url) }
}

fn told(done: &str, summary: &Summary) -> String {
    let Summary { mut rows, sha256 } = summary.clone();
    let counts: Vec<String> = Table::ALL.into_iter().map(|table| of_table(&mut rows, table)).collect();
    format!("{done}: {}\nsha256 {sha256}", counts.join(", "))
}

fn of_table(rows: &mut Counts, table: Table) -> String {
    format!("{} {}", rows.of(table), table.as_str())
}
