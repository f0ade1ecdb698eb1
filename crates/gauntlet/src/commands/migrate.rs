//! `gauntlet migrate`.

use serde_json::json;

use super::{Context, small_runtime, store};
use crate::{cli::MigrateArgs, logging, output::Failure, settings::MigrateSettings};

/// Applies the migrations that are missing.
pub(super) fn run(context: &Context, args: MigrateArgs) -> Result<(), Failure> {
    let settings = MigrateSettings::read(&context.layers(args.flags.values)?)?;
    logging::start(&settings.log, context.output)?;
    let migrations = small_runtime()?.block_on(async {
        let opened = store::open(&settings.store).await?;
        opened.store.close().await;
        Ok::<_, Failure>(opened.migrations)
    })?;
    let store = settings.store.choice.masked();
    if args.json {
        return context.output.json(&json!({ "store": store, "applied": migrations }));
    }
    context.output.data(&match migrations {
        0 => format!("{store}: up to date\n"),
        1 => format!("{store}: 1 migration applied\n"),
        more => format!("{store}: {more} migrations applied\n"),
    })
}
