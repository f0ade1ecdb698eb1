//! `gauntlet serve`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gauntlet_server::{
    Addresses, Config, Parts, Roles, Server,
    auth::{AuthMode, Expected, JwtOptions, NamespaceRule, events::EventSecrets},
    catalogue::{Beginning, FileSource, FixedSource, KeepOptions, Source, begin},
    clock::{Clock as _, SystemClock, SystemRandom},
    net::{NetOptions, tls::TlsFiles},
    rewards::{AgsAdapter, LogAdapter, RewardAdapter, SetUpError, WebhookAdapter},
    shards::Limits,
    traces::Traces,
};

use super::{Context, catalogue, catalogue::Checked, signals::StopSignals, store};
use crate::{
    cli::ServeArgs,
    export, logging,
    output::{Failure, chain},
    settings::{Platform, Refused, ServeSettings, Sign, one_process, profiles, sign_in},
};

/// Least time between two fetches of the key set that tokens with unknown keys cause. A key that
/// is used before this service knows it is refused for so long at most.
const MIN_REFRESH: Duration = Duration::from_secs(5);
/// How long the start waits for the first key set.
const KEYS_WAIT: Duration = Duration::from_secs(10);

/// How long the last spans may take to get to the collector.
const FLUSH: Duration = Duration::from_secs(2);

/// Serves until it is told to stop.
pub(super) fn run(context: &Context, args: ServeArgs) -> Result<(), Failure> {
    #[cfg(any(debug_assertions, feature = "crash-points"))]
    if let Some(at) = &args.crash_at {
        gauntlet_store::crash::arm(at).map_err(|error| Failure::new(error.to_string()))?;
    }
    let settings = ServeSettings::read(&context.layers(args.flags.values)?)?;
    let refused = |refused: Refused| Failure::new(refused.message).hint(refused.hint);
    one_process(&settings.store.choice, settings.roles).map_err(refused)?;
    profiles(settings.profiles, settings.ops).map_err(refused)?;
    let sign = sign_in(settings.auth_facts()).map_err(refused)?;
    settings.security.check(settings.roles.events.then_some(settings.events)).map_err(refused)?;
    // Before the store is touched: a catalogue with faults changes nothing.
    let catalogue = catalogue::load(context.output, settings.catalogue.as_deref())?;
    logging::start(&settings.log, context.output)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::caused("cannot start the runtime", &error))?;
    let traces = {
        let _inside = runtime.enter();
        export::traces(&settings.traces)
    };
    let input = Input::watched(args.until_stdin_ends);
    let result = runtime.block_on(serve(&settings, sign, catalogue, traces.clone(), input));
    traces.shut_down(FLUSH);
    // What is still running was told to stop, or was left behind by a second signal.
    runtime.shutdown_background();
    result
}

async fn serve(
    settings: &ServeSettings,
    sign: Sign,
    catalogue: Checked,
    traces: Traces,
    input: Input,
) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    if settings.profiles {
        // First of all: what is allocated before is in no heap profile.
        gauntlet_server::profiles::sample_heap().await;
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), store = settings.store.choice.masked(), "starting");
    let opened = tokio::select! {
        opened = store::open(&settings.store) => opened?,
        () = signals.next() => return Err(Failure::new("stopped while waiting for the store")),
    };
    tracing::info!(migrations = opened.migrations, "the store is ready");
    let Checked { text, name } = &catalogue;
    let begun = begin(&*opened.store, text, SystemClock.now())
        .await
        .map_err(|error| Failure::caused(format_args!("cannot register {name}"), &error))?;
    tell_catalogue(name, &begun);
    let keep = keep(settings, catalogue.text);

    let parts = Parts {
        store: opened.store,
        catalogue: begun.catalogue,
        adapter: adapter(&settings.rewards.platform)?,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    };
    let server = Server::start(Config { traces, catalogue: Some(keep), ..config(settings, sign) }, parts)
        .await
        .map_err(|error| Failure::new(chain(&error)))?;
    tell_start(server.addresses(), settings, sign);
    until_stopped(server, &mut signals, input).await
}

/// Runs until the first signal or the end of a watched input, then stops in order; a second signal,
/// or the death of a part of the server, ends with a failure.
async fn until_stopped(server: Server, signals: &mut Signals, input: Input) -> Result<(), Failure> {
    let mut input = std::pin::pin!(input.ended());
    let failed = loop {
        tokio::select! {
            biased;
            asked = signals.next_of_all() => match asked {
                Asked::Stop => break None,
                Asked::Reload => server.reload_catalogue().await,
            },
            () = &mut input => break None,
            why = server.failed() => break Some(why),
        }
    };
    tokio::select! {
        () = server.stop() => {}
        () = signals.next() => return Err(Failure::new("stopped at once by a second signal")),
    }
    failed.map_or(Ok(()), |why| Err(Failure::new(format!("the server failed: {why}"))))
}

fn config(settings: &ServeSettings, sign: Sign) -> Config {
    let security = &settings.security;
    let auth = match sign {
        Sign::MockImplied | Sign::MockNamed => AuthMode::Mock,
        Sign::Jwt => AuthMode::Jwt(jwt(settings)),
    };
    let tls = |client_ca: &Option<PathBuf>| {
        let (certificate, key) = (security.tls_cert.clone()?, security.tls_key.clone()?);
        Some(TlsFiles { certificate, key, client_ca: client_ca.clone() })
    };
    let crate::settings::Roles { api, events, worker } = settings.roles;
    Config {
        http: settings.http,
        grpc: settings.grpc,
        events: settings.events,
        ops: settings.ops,
        base_path: settings.base_path.clone(),
        namespace: settings.namespace.clone(),
        roles: Roles { api, events, worker },
        auth,
        event_secrets: EventSecrets::new(security.events_secrets.0.iter().map(String::as_str)),
        api_tls: tls(&security.api_client_ca),
        events_tls: tls(&security.events_client_ca),
        cors_origins: security.origins.iter().filter_map(|origin| origin.parse().ok()).collect(),
        player_rate: security.player_rate,
        late_window: settings.late_window,
        grant_deadline: settings.rewards.deadline,
        grant_takeover: settings.grant_takeover,
        recovery_interval: settings.recovery_interval,
        journal_retention: settings.journal_retention,
        drain_delay: settings.drain_delay,
        limits: Limits::default(),
        admission: settings.admission,
        net: NetOptions { drain: settings.drain, ..NetOptions::default() },
        profiles: settings.profiles,
        traces: Traces::default(),
        catalogue: None,
    }
}

/// How the catalogue is kept. The sample does not change.
fn keep(settings: &ServeSettings, text: String) -> KeepOptions {
    let source: Arc<dyn Source> = match &settings.catalogue {
        // Standard input was read to its end.
        Some(file) if file != Path::new("-") => Arc::new(FileSource(file.clone())),
        _ => Arc::new(FixedSource(text)),
    };
    let watch = Some(settings.catalogue_watch).filter(|every| !every.is_zero());
    KeepOptions { source, watch, deadline: settings.catalogue_deadline }
}

fn jwt(settings: &ServeSettings) -> JwtOptions {
    let security = &settings.security;
    let namespace = match &security.namespace_claim {
        Some(name) => NamespaceRule::Claim { name: name.clone(), namespace: settings.namespace.clone() },
        None => NamespaceRule::None,
    };
    JwtOptions {
        // Checked before: without it the service does not start.
        jwks_url: security.jwks_url.clone().unwrap_or_default(),
        expected: Expected {
            issuer: security.issuer.clone(),
            audience: security.audience.clone(),
            namespace,
            skew: security.skew,
        },
        refresh: security.refresh,
        max_age: security.max_age,
        min_refresh: MIN_REFRESH,
        start_wait: KEYS_WAIT,
    }
}

fn adapter(platform: &Platform) -> Result<Arc<dyn RewardAdapter>, Failure> {
    let failed = |error: SetUpError| Failure::caused("cannot set up the reward client", &error);
    Ok(match platform {
        Platform::Log => Arc::new(LogAdapter),
        Platform::Webhook(config) => {
            Arc::new(WebhookAdapter::new(config.clone(), Arc::new(SystemClock)).map_err(failed)?)
        }
        Platform::Ags(config) => {
            Arc::new(AgsAdapter::new(config.clone(), Arc::new(SystemClock)).map_err(failed)?)
        }
    })
}

fn tell_catalogue(name: &str, begun: &Beginning) {
    let Beginning { catalogue, outdated, waits } = begun;
    let (version, challenges, goals) =
        (catalogue.version(), catalogue.challenges().len(), catalogue.goals().len());
    if let Some(before) = outdated {
        tracing::warn!(
            name,
            is_version = before,
            in_use = version,
            "this catalogue was replaced by a later one, which stays in use; to go back to it, reload it: \
             SIGHUP, or POST /v1/admin/catalogue/reload"
        );
    }
    // The name is that of the text given now, which need not be the one in use.
    if let Some(newer) = waits {
        tracing::info!(version, challenges, goals, "the catalogue of the last run is ready");
        tracing::info!(
            name,
            version = newer,
            "a new catalogue waits for every replica at work to have loaded it"
        );
    } else if outdated.is_some() {
        tracing::info!(version, challenges, goals, "the catalogue in use is ready");
    } else {
        tracing::info!(name, version, challenges, goals, "the catalogue is ready");
    }
}

/// Says that the service is ready, and where: whoever started it may wait for this line.
fn tell_start(addresses: Addresses, settings: &ServeSettings, sign: Sign) {
    match sign {
        Sign::MockNamed => tracing::warn!("mock sign-in: whoever reaches this service can be any player"),
        Sign::MockImplied => tracing::warn!(
            "mock sign-in, because this is the bare default: whoever is on this machine can be any player"
        ),
        Sign::Jwt => tracing::info!(jwks_url = settings.security.jwks_url, "sign-in by token"),
    }
    if settings.security.events_open {
        tracing::warn!("the events port is open: whoever reaches it can make progress for any player");
    }
    if !settings.ops.ip().is_loopback() {
        tracing::warn!(
            ops = %settings.ops,
            "the operations port is reachable from other machines, and asks nobody who they are"
        );
    }
    if settings.profiles {
        tracing::info!("profiles can be taken: /debug/pprof/ on the operations port");
    }
    let tls = if settings.security.tls_cert.is_some() { "s" } else { "" };
    // A role that is off has no address.
    let url = |address: Option<SocketAddr>, tls: &str, path: &str| {
        address.map(|address| format!("http{tls}://{address}{path}"))
    };
    tracing::info!(
        http = url(addresses.http, tls, &settings.base_path),
        grpc = url(addresses.grpc, tls, ""),
        events = url(addresses.events, tls, ""),
        ops = url(Some(addresses.ops), "", ""),
        "ready"
    );
}

/// Standard input, if its end asks the service to stop: a pipe ends with the process that holds it.
struct Input(Option<tokio::sync::oneshot::Receiver<()>>);

impl Input {
    fn watched(wanted: bool) -> Self {
        Self(wanted.then(|| {
            let (tell, ended) = tokio::sync::oneshot::channel();
            // A thread of its own: a read that waits would keep the runtime from ending.
            std::thread::spawn(move || {
                // An input that cannot be read has ended, too.
                let _ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
                // Nobody listens any more when the service has stopped already.
                let _stopped = tell.send(());
            });
            ended
        }))
    }

    /// Waits for its end; for ever if it is not watched.
    async fn ended(self) {
        match self.0 {
            Some(ended) => {
                let _ended = ended.await;
            }
            None => std::future::pending().await,
        }
    }
}

/// What a signal asks for.
enum Asked {
    Stop,
    /// The catalogue shall be read again.
    Reload,
}

/// The signals that ask for something.
struct Signals {
    stops: StopSignals,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
    /// A file reached the limit that the system sets for its size. Unheard, this signal ends the
    /// process, at every start again; heard, the write fails like one on a full disk.
    #[cfg(unix)]
    _file_size: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen: from now on a signal does not end the process by itself.
    fn listen() -> Result<Self, Failure> {
        #[cfg(unix)]
        use {super::signals::listen, tokio::signal::unix::SignalKind};
        Ok(Self {
            stops: StopSignals::listen()?,
            #[cfg(unix)]
            hang_up: listen(SignalKind::hangup())?,
            #[cfg(unix)]
            _file_size: listen(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    /// Waits for the next signal that asks the service to stop.
    async fn next(&mut self) {
        self.stops.next().await;
    }

    /// The same, with the signal that asks for the catalogue to be read again.
    async fn next_of_all(&mut self) -> Asked {
        #[cfg(unix)]
        let hang_up = self.hang_up.recv();
        #[cfg(not(unix))]
        let hang_up = std::future::pending::<Option<()>>();
        tokio::select! {
            () = self.stops.next() => Asked::Stop,
            _ = hang_up => Asked::Reload,
        }
    }
}
