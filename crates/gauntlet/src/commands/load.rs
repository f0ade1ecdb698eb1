//! `gauntlet load`: the command line of the load lab.

mod files;
mod private;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc};

use gauntlet_domain::catalogue;
use gauntlet_lab::{
    Algorithm, Authority, BUILT_IN, Compared, Exit, Identity, KeyServer, Plan, ProfilePlan, Progress,
    Receiver, Report, Row, Scenario, Sources, Tokens, compare, find_built_in, parse_scenario, run as run_lab,
    schema,
};
use gauntlet_server::clock::{Random as _, SystemRandom};
use tokio::sync::watch;

use self::private::{Private, SECRET, Wanted};
use super::{Context, signals::StopSignals};
use crate::{
    cli::{LoadArgs, LoadCommand, RunArgs, SignIn},
    output::{Failure, LoadProgress, Output, columns},
};

/// Does what was asked.
pub(super) fn run(context: &Context, args: LoadArgs) -> Result<ExitCode, Failure> {
    let output = context.output;
    match args.command {
        LoadCommand::Run(args) => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(|error| Failure::caused("cannot start the runtime", &error))?;
            runtime.block_on(load(output, *args))
        }
        LoadCommand::Scenarios { scenario } => scenarios(output, scenario.as_deref()),
        LoadCommand::Compare { run, baseline, json } => {
            let now = files::read(&run)?;
            let before = baseline.iter().map(|folder| files::read(folder)).collect::<Result<Vec<_>, _>>()?;
            let comparison = compare(&now, &before);
            if json {
                output.json(&comparison)?;
            } else {
                output.data(&table(&comparison.not_comparable, &comparison.rows))?;
            }
            Ok(code(comparison.exit()))
        }
        LoadCommand::Report { run } => {
            let report = files::read(&run)?;
            files::write(&run, &report)?;
            output.note(&format!("{}: written anew", run.display()));
            Ok(ExitCode::SUCCESS)
        }
        LoadCommand::Schema => {
            output.data(&schema())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit.code())
}

fn scenarios(output: Output, wanted: Option<&str>) -> Result<ExitCode, Failure> {
    let text = match wanted {
        None => {
            let rows = BUILT_IN
                .map(|known| [known.number.to_owned(), known.name.to_owned(), known.about.to_owned()]);
            columns(&rows)
        }
        Some(word) => find_built_in(word).ok_or_else(|| unknown(word))?.text.to_owned(),
    };
    output.data(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn unknown(word: &str) -> Failure {
    Failure::new(format!("{word:?} is neither a built-in scenario nor a file"))
        .hint("`gauntlet load scenarios` lists what there is")
}

/// The scenario, changed as the flags say.
fn scenario(args: &RunArgs) -> Result<Scenario, Failure> {
    let (text, name) = match find_built_in(&args.scenario) {
        Some(known) => (known.text.to_owned(), known.name.to_owned()),
        None => match std::fs::read_to_string(&args.scenario) {
            Ok(text) => (text, args.scenario.clone()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(unknown(&args.scenario));
            }
            Err(error) => {
                return Err(Failure::caused(format_args!("cannot read {}", args.scenario), &error));
            }
        },
    };
    let mut scenario = parse_scenario(&text)
        .map_err(|error| Failure::new(format!("the scenario {name} cannot be used: {error}")))?;
    if let Some(duration) = args.duration {
        scenario.duration = duration;
    }
    if let Some(times) = args.scale {
        scenario.speed_up(times);
    }
    if let Some(users) = args.users {
        match scenario.users.as_mut_slice() {
            [only] => only.count = users,
            _ => {
                return Err(Failure::new(
                    "--users: the scenario has not one group of users, but none or several",
                ));
            }
        }
    }
    if let Some(ramp) = args.ramp {
        scenario.users.iter_mut().for_each(|users| users.ramp = ramp);
    }
    if let Some(sessions) = args.sessions {
        scenario.users.iter_mut().for_each(|users| users.sessions = sessions);
    }
    if let Some(players) = args.players {
        scenario.players.count = players;
    }
    if scenario.players.count < scenario.user_count() {
        let users = scenario.user_count();
        return Err(Failure::new(format!(
            "{} players are too few for {users} users",
            scenario.players.count
        )));
    }
    if let Some(rate) = args.rate {
        set_event_rate(&mut scenario, rate)?;
    }
    Ok(scenario)
}

fn set_event_rate(scenario: &mut Scenario, rate: f64) -> Result<(), Failure> {
    if !rate.is_finite() || !(0.0..=1e6).contains(&rate) {
        return Err(Failure::new("--rate: a number from 0 to 1000000"));
    }
    let sends_events = |arrivals: &&mut gauntlet_lab::Arrivals| {
        let steps = arrivals.mix.iter().flat_map(|(_, steps)| steps);
        steps.flat_map(|step| &step.choices).any(|(_, action)| action.call.is_event())
    };
    let found = scenario.arrivals.iter_mut().find(sends_events);
    let arrivals =
        found.ok_or_else(|| Failure::new("--rate: the scenario sends no events of its own accord"))?;
    arrivals.rate = gauntlet_lab::Rate(vec![(std::time::Duration::ZERO, rate)]);
    Ok(())
}

async fn load(output: Output, args: RunArgs) -> Result<ExitCode, Failure> {
    let scenario = scenario(&args)?;
    let seconds = scenario.duration.as_secs_f64();
    output.note(&format!("{}: {seconds:.0} s, offered: {}", scenario.title, scenario.offer()));
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("load-{}", scenario.name)));
    std::fs::create_dir_all(&out)
        .map_err(|error| Failure::caused(format_args!("cannot make the folder {}", out.display()), &error))?;
    let run = SystemRandom.number();
    let signing = Signing::start(&args).await?;
    let (plan, private) = plan(&args, scenario, &signing, &out, run).await?;
    let (stop, stopped) = watch::channel(false);
    let (tell, progress) = watch::channel(Progress::default());
    let mut stops = StopSignals::listen()?;
    let running = Box::pin(run_lab(plan, stopped, tell));
    let result = show_while(output, running, progress, stop, &mut stops).await;
    if let Some(private) = private {
        private.end().await?;
    }
    let report = result?;
    files::write(&out, &report)?;
    output.data(&summary(&report, &out))?;
    Ok(ExitCode::from(report.verdict.code))
}

/// Awaits the run. Ctrl-C asks it to end early; a second one does not wait for it.
async fn show_while(
    output: Output,
    running: impl Future<Output = Result<Report, gauntlet_lab::Error>>,
    mut progress: watch::Receiver<Progress>,
    stop: watch::Sender<bool>,
    stops: &mut StopSignals,
) -> Result<Report, Failure> {
    let mut shown = LoadProgress::new(output);
    let mut running = std::pin::pin!(running);
    let mut asked = false;
    let result = loop {
        tokio::select! {
            result = &mut running => break result,
            Ok(()) = progress.changed() => {
                let now = progress.borrow_and_update().clone();
                shown.show(&now);
            }
            () = stops.next() => {
                if asked {
                    shown.end();
                    let failure = Failure::new("ended at once by a second signal");
                    return Err(failure.hint("report.json has what was known up to ten seconds before"));
                }
                asked = true;
                stop.send_replace(true);
                output.note(
                    "ending early: waiting for what is under way, then checking the ledger; a second signal ends at once",
                );
            }
        }
    };
    shown.end();
    result.map_err(|error| Failure::caused("the run could not be made", &error))
}

/// What to run, and the private server if there is one.
async fn plan(
    args: &RunArgs,
    scenario: Scenario,
    signing: &Signing,
    out: &std::path::Path,
    run: u64,
) -> Result<(Plan, Option<Private>), Failure> {
    let listen = args.receiver.or_else(|| args.start_server.then(|| ([127, 0, 0, 1], 0).into()));
    let receiver = match listen {
        Some(address) => Some(
            Receiver::start(
                address,
                if args.start_server { Some(SECRET) } else { args.webhook_secret.as_deref() },
            )
            .await
            .map_err(|error| Failure::caused("the lab cannot count grants", &error))?,
        ),
        None => None,
    };
    let mut configuration = BTreeMap::from([("run".to_owned(), format!("{run:016x}"))]);
    if let Some(rate) = args.rate {
        configuration.insert("rate".to_owned(), rate.to_string());
    }
    if args.sign_in != SignIn::Mock {
        configuration.insert("sign-in".to_owned(), format!("tokens, {:?}", args.sign_in).to_uppercase());
    }
    if args.retries > 0 {
        configuration.insert("retries".to_owned(), args.retries.to_string());
    }
    let mut plan = Plan {
        speed: args.scale.unwrap_or(1.0),
        events: args.events.clone(),
        namespace: args.namespace.clone(),
        token: args.events_token.clone(),
        sources: Sources {
            ops: args.ops.clone(),
            processes: args.pids.clone(),
            cgroups: args.cgroups.clone(),
            postgres: args.postgres.clone(),
            postgres_is_own: false,
            profiles: args.profiles.then_some(ProfilePlan { at: args.profile_at }),
        },
        seed: args.seed,
        run,
        partial: Some(out.join(files::JSON)),
        identity: signing.identity.clone(),
        authority: args.ca.as_deref().map(authority).transpose()?,
        retries: args.retries,
        drift_fails: args.fail_on_drift,
        configuration,
        ..Plan::new(scenario, args.target.clone().unwrap_or_default())
    };
    if !args.start_server {
        plan.catalogue = args.catalogue.as_deref().map(files::read_text).transpose()?;
        plan.receiver = receiver;
        plan.configuration.insert("target".to_owned(), plan.target.clone());
        return Ok((plan, None));
    }
    let definition = catalogue::generate(&plan.scenario.catalogue)
        .map_err(|error| Failure::new(format!("the scenario's catalogue cannot be made: {error}")))?;
    let text = catalogue::to_json(&definition);
    let url = receiver.as_ref().map(Receiver::url).unwrap_or_default();
    let keys = signing.keys.as_ref().map(KeyServer::url);
    let wanted = Wanted { catalogue: &text, webhook: &url, keys: keys.as_deref() };
    let private = Private::start(args, out, &wanted, run).await?;
    (plan.target, plan.events) = (private.http.clone(), Some(private.events.clone()));
    plan.sources.ops = vec![("server".to_owned(), private.ops.clone())];
    plan.sources.processes.push(("server".to_owned(), private.pid()));
    if plan.sources.postgres.is_none() {
        plan.sources.postgres = private.database();
        plan.sources.postgres_is_own = true;
    }
    plan.configuration.extend(private.configuration());
    (plan.catalogue, plan.receiver) = (Some(text), receiver);
    Ok((plan, Some(private)))
}

/// How the players of the run sign in, and where the server finds the key for it.
struct Signing {
    identity: Identity,
    keys: Option<KeyServer>,
}

impl Signing {
    async fn start(args: &RunArgs) -> Result<Self, Failure> {
        let algorithm = match args.sign_in {
            SignIn::Mock if args.keys.is_some() || args.claims.is_some() => {
                return Err(Failure::new("--keys and --claims are about tokens").hint("add --sign-in es256"));
            }
            SignIn::Mock => return Ok(Self { identity: Identity::Mock, keys: None }),
            SignIn::Es256 => Algorithm::Es256,
            SignIn::Rs256 => Algorithm::Rs256,
        };
        let claims = args.claims.as_deref().map(serde_json::from_str).transpose();
        let claims = claims.map_err(|error| Failure::caused("--claims has to be a JSON object", &error))?;
        let failed = |error: gauntlet_lab::Error| Failure::caused("the lab cannot sign tokens", &error);
        let tokens = Tokens::new(algorithm, &args.namespace, claims.unwrap_or_default()).map_err(failed)?;
        let listen = args.keys.or_else(|| args.start_server.then(|| ([127, 0, 0, 1], 0).into()));
        let Some(address) = listen else {
            return Err(Failure::new("a server that runs already needs the key of the tokens")
                .hint("add --keys ADDRESS, and give the server --jwks-url http://ADDRESS/keys"));
        };
        let keys = KeyServer::start(address, &tokens).await.map_err(failed)?;
        Ok(Self { identity: Identity::Tokens(Arc::new(tokens)), keys: Some(keys) })
    }
}

fn authority(path: &std::path::Path) -> Result<Authority, Failure> {
    let pem = files::read_text(path)?.into_bytes();
    Authority::from_pem(pem)
        .map_err(|problem| Failure::new(format!("--ca: {} cannot be used: {problem}", path.display())))
}

/// What is said in the terminal.
fn summary(report: &Report, out: &std::path::Path) -> String {
    let mut lines = vec![format!("{}: {}", report.scenario.title, report.verdict.headline)];
    let causes = report.causes.iter().map(|cause| &cause.sentence);
    lines.extend(report.verdict.sentences.iter().chain(causes).map(|sentence| format!("- {sentence}")));
    for line in &report.arithmetic {
        let offered = line.offered.map_or_else(String::new, |offered| format!(" of {offered:.1} offered"));
        let text = format!("{}: {:.1}{offered} {}", line.what, line.achieved, line.unit);
        lines.push(text.trim_end().to_owned());
    }
    lines.push(out.join("report.html").display().to_string());
    lines.join("\n") + "\n"
}

fn table(not_comparable: &[String], rows: &[Row]) -> String {
    if !not_comparable.is_empty() {
        return format!("the runs cannot be compared:\n- {}\n", not_comparable.join("\n- "));
    }
    let word = |verdict: Compared| match verdict {
        Compared::Better => "better",
        Compared::Worse => "WORSE",
        Compared::Noise => "noise",
        Compared::Unsure => "cannot tell",
    };
    let rows: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            let before = format!("{:.2} to {:.2} ms", row.before_low, row.before_high);
            let now = format!("{:.2} ms", row.now);
            [row.endpoint.clone(), row.figure.clone(), before, now, word(row.verdict).to_owned()]
        })
        .collect();
    columns(&rows)
}
