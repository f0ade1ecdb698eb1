//! Logs: to standard error, text for people, JSON for machines.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    output::{Failure, Output},
    settings::{LogFormat, LogSettings},
};

/// Starts logging, once per process.
pub(crate) fn start(settings: &LogSettings, output: Output) -> Result<(), Failure> {
    // `parse` of a builder takes the text as it is; RUST_LOG is not one of our settings.
    let filter = EnvFilter::builder()
        .parse(&settings.filter)
        .map_err(|error| Failure::caused("the log level cannot be used", &error))?;
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry.with(fmt::layer().json().with_writer(io::stderr)).try_init()
    } else {
        registry.with(fmt::layer().with_ansi(output.colour()).with_writer(io::stderr)).try_init()
    };
    started.map_err(|error| Failure::caused("cannot start logging", &error))
}
