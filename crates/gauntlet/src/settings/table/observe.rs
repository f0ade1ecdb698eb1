//! Settings of what operators look at beside metrics.

use super::{DATABASE, ROW, Setting};
use crate::settings::setting::Legacy;

/// Whether profiles can be taken.
pub(crate) static PROFILES: Setting = Setting {
    key: "profiles",
    flag: "profiles",
    env: "GAUNTLET_PROFILES",
    default: Some("false"),
    value: "true|false",
    help: "Serve profiles of CPU, memory, tasks and waits on the operations port, which has to be on a loopback address",
    switch: true,
    ..ROW
};

/// Which statements are logged for being slow.
pub(crate) static SLOW_STATEMENT: Setting = Setting {
    key: "slow-statement",
    flag: "slow-statement",
    env: "GAUNTLET_SLOW_STATEMENT",
    default: Some("1s"),
    value: "TIME",
    help: "Log statements of the database that take at least this long, with their operation and without values",
    commands: DATABASE,
    ..ROW
};

/// Where spans go.
pub(crate) static OTLP_ENDPOINT: Setting = Setting {
    key: "otlp-endpoint",
    flag: "otlp-endpoint",
    env: "GAUNTLET_OTLP_ENDPOINT",
    legacy: Legacy::Renamed("OTEL_EXPORTER_OTLP_ENDPOINT"),
    unset: "no traces",
    value: "URL",
    help: "Where spans of requests are sent to: an OpenTelemetry collector that takes OTLP over gRPC, such as \
           http://127.0.0.1:4317; see docs/tracing.md",
    ..ROW
};

/// How many requests are sampled.
pub(crate) static TRACE_RATIO: Setting = Setting {
    key: "trace-ratio",
    flag: "trace-ratio",
    env: "GAUNTLET_TRACE_RATIO",
    legacy: Legacy::Renamed("OTEL_TRACES_SAMPLER_ARG"),
    default: Some("0.01"),
    value: "0..1",
    help: "How many of the requests whose caller has not decided leave spans, from 0 to 1",
    ..ROW
};

/// What this service is called in traces.
pub(crate) static TRACE_SERVICE: Setting = Setting {
    key: "trace-service",
    flag: "trace-service",
    env: "GAUNTLET_TRACE_SERVICE",
    legacy: Legacy::Renamed("OTEL_SERVICE_NAME"),
    default: Some("gauntlet"),
    value: "NAME",
    help: "What this service is called in traces",
    ..ROW
};

/// What else is said of this process in traces.
pub(crate) static TRACE_ATTRIBUTES: Setting = Setting {
    key: "trace-attributes",
    flag: "trace-attributes",
    env: "GAUNTLET_TRACE_ATTRIBUTES",
    legacy: Legacy::Renamed("OTEL_RESOURCE_ATTRIBUTES"),
    unset: "none",
    value: "KEY=VALUE,...",
    help: "What else is said of this process in traces, such as deployment.environment.name=staging",
    ..ROW
};
