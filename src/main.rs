//! The program: parse → settings → log → one front end → exit code. Or else, one
//! picture from standard input: the decoder of another carlens.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use carlens::backend::{self, Backend, CopyHow, Priority, Query};
use carlens::cli::{BackupArgs, Cli, Command, LoadArgs, OutputArgs, StatusArgs, StoredAt};
use carlens::config::{self, Config, Settings};
use carlens::dot_env::DotEnv;
use carlens::headless::{self, Format, Outcome, Output, Style, Unheeded};
use carlens::hub::Hub;
use carlens::picture;
use carlens::secret::{self, Secret};
use carlens::ui::terminal::{EndRequest, Screen};
use carlens::ui::{self, Notes, Preferences, State};
use clap::Parser;

fn main() -> ExitCode {
    // Before anything that takes time or says something.
    if picture::is_asked(std::env::args_os().skip(1)) {
        return decode_a_picture();
    }
    // Where its path is not known, pictures are decoded within it.
    if let Ok(program) = picture::this_program() {
        picture::decode_apart(program);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misread(&error),
    };
    let style = Style::of(cli.settings.progress);
    match run(cli, style) {
        Ok(outcome) => outcome.into(),
        Err(error) if is_closed_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            let advice = error.downcast_ref::<config::Error>().and_then(config::Error::advice);
            let (mut out, mut err) = (io::stdout(), Unheeded(io::stderr()));
            let mut output = Output::new(&mut out, &mut err, style);
            // If even this cannot be printed, the exit code has to do.
            let _ = output.error(&chain(error.as_ref()), advice.as_deref());
            Outcome::Failed.into()
        }
    }
}

/// What this program does when it was started by itself.
fn decode_a_picture() -> ExitCode {
    // Whoever reads the answer knows by its end that something went wrong.
    let served = picture::serve(io::stdin().lock(), io::stdout().lock());
    served.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Help, the version, or what is wrong with what was typed.
fn misread(error: &clap::Error) -> ExitCode {
    let said = error.to_string();
    let shown = Secret::hide_tokens(&said);
    if shown == said {
        error.exit();
    }
    // Without colours, and without the token that stands in it.
    let _ = write!(io::stderr(), "{shown}");
    Outcome::Failed.into()
}

type Error = Box<dyn std::error::Error>;

fn run(cli: Cli, style: Style) -> Result<Outcome, Error> {
    let file = cli.settings.config.clone();
    let dot_env = DotEnv::read(Path::new(".env"));
    let lookup = |name: &str| std::env::var_os(name);
    let resolve = |flags| Config::resolve(flags, file.as_deref(), lookup, &dot_env);
    let flags = cli.settings();
    let config = resolve(flags.clone())?;
    let hub = Hub::from_environment(|name| std::env::var_os(name))?;
    log_to_file(&config);
    if config.has_token {
        secret::keep_out_of_core_dumps();
    }
    match cli.command {
        Some(command) => run_command(command, style, config, hub, |at: StoredAt| {
            let collection = at.collection.or_else(|| flags.collection.clone());
            resolve(Settings { store: Some(at.store), collection, ..flags.clone() })
        }),
        None => run_ui(config, hub),
    }
}

/// `at` gives the settings with another collection in use.
fn run_command(
    command: Command,
    style: Style,
    config: Config,
    hub: Hub,
    at: impl Fn(StoredAt) -> Result<Config, config::Error>,
) -> Result<Outcome, Error> {
    let (mut out, mut err) = (io::stdout().lock(), Unheeded(io::stderr()));
    let mut output = Output::new(&mut out, &mut err, style);
    let Config { limit, images, .. } = config;
    let settings = backend::Settings {
        model: config.model,
        arithmetic: config.arithmetic,
        threads: config.threads,
        // One that watches is in nobody's way for as long as it runs.
        priority: match command {
            Command::Load(LoadArgs { watch: true, .. }) => Priority::Low,
            _ => Priority::Usual,
        },
        hub,
        collection: config.collection,
    };
    run_async(async {
        let mut backend = Backend::spawn(settings);
        let ended = match command {
            Command::Load(LoadArgs { folder, watch: true, output: args, .. }) => {
                headless::watch(&mut backend, folder, images, args.json, &mut output).await
            }
            Command::Load(args) => {
                let (prune, json) = (args.prune, args.output.json);
                headless::load(&mut backend, args.folder, images, prune, json, &mut output).await
            }
            Command::Search(args) => {
                let format = match (args.output.json, args.print0) {
                    (true, _) => Format::Json,
                    (false, true) => Format::Print0,
                    (false, false) => Format::Lines,
                };
                let query =
                    args.image.map_or_else(|| Query::Text(args.words.join(" ")), Query::of_picture);
                let within = args.within;
                headless::search(&mut backend, query, limit, within, format, &mut output).await
            }
            Command::Copy(args) => {
                let (from, to) = (at(args.from)?.collection, at(args.to)?.collection);
                let how = CopyHow { adopt: args.adopt, overwrite: args.overwrite };
                headless::copy(&mut backend, from, to, how, args.output.json, &mut output).await
            }
            Command::Backup(args) => {
                let BackupArgs { file, force, output: OutputArgs { json } } = args;
                headless::backup(&mut backend, file, force, json, &mut output).await
            }
            Command::Restore(args) => {
                let BackupArgs { file, force, output: OutputArgs { json } } = args;
                headless::restore(&mut backend, file, force, json, &mut output).await
            }
            Command::Move(args) => {
                let (force, json) = (args.force, args.output.json);
                headless::relocate(&mut backend, args.old, args.new, force, json, &mut output).await
            }
            Command::Check(args) => {
                headless::check(&mut backend, args.repair, args.output.json, &mut output).await
            }
            Command::Status(StatusArgs { follow: true, output: OutputArgs { json }, .. }) => {
                headless::follow_loads(&mut backend, json, &mut output).await
            }
            Command::Status(StatusArgs { failed: true, output: OutputArgs { json }, .. }) => {
                headless::failed(&mut backend, json, &mut output).await
            }
            Command::Status(args) => {
                headless::status(&mut backend, args.output.json, &mut output).await
            }
            Command::Model(command) => headless::model(&mut backend, command, &mut output).await,
        };
        backend.shutdown().await;
        output.out.flush()?;
        Ok(ended?)
    })
}

fn run_ui(config: Config, hub: Hub) -> Result<Outcome, Error> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err("the terminal application needs a terminal. Without one, use the commands \
                    `carlens load DIR`, `carlens search WORDS`, `carlens search --image FILE` and \
                    `carlens status`; `carlens --help` explains them"
            .into());
    }
    let notes = Notes::new(config.state_folder);
    let preferences = Preferences {
        limit: config.limit,
        images: config.images,
        keymap: config.keymap,
        theme: config.theme,
        mouse: config.mouse,
        watch: config.watch,
        home: std::env::home_dir(),
    };
    let mut state = State::new(preferences, notes.history(), notes.was_offered());
    let end_request = EndRequest::watch()?;
    // Before any other thread: it changes the environment for a moment.
    let mut screen = Screen::enter(config.graphics, |frame| ui::draw_first(&mut state, frame))?;
    state.graphics = screen.description();
    state.remote = is_remote(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let settings = backend::Settings {
        model: config.model,
        arithmetic: config.arithmetic,
        threads: config.threads,
        priority: Priority::Low,
        hub,
        collection: config.collection,
    };
    let outcome = run_async(async {
        let mut backend = Backend::spawn(settings);
        let input = screen.events();
        let outcome = tokio::select! {
            ended = ui::run(&mut screen, input, &mut backend, &mut state, &notes) => {
                ended.map(|()| Outcome::Found)
            }
            asked = end_request.arrived() => asked.map(|()| Outcome::Interrupted),
        };
        drop(screen);
        backend.shutdown().await;
        Ok(outcome?)
    })?;
    let mut out = io::stdout().lock();
    for path in state.printed_at_exit() {
        out.write_all(path.as_os_str().as_encoded_bytes())?;
        out.write_all(b"\n")?;
    }
    if outcome == Outcome::Interrupted {
        writeln!(io::stderr(), "carlens was asked to end")?;
    }
    Ok(outcome)
}

/// Whether a viewer started here would open where nobody sits.
fn is_remote(is_set: impl Fn(&str) -> bool) -> bool {
    (is_set("SSH_CONNECTION") || is_set("SSH_TTY"))
        && !is_set("DISPLAY")
        && !is_set("WAYLAND_DISPLAY")
}

/// Runs one front end to its end. The backend has put everything safe by
/// then, so a thread that is still reading some file keeps nobody waiting.
fn run_async<T>(front_end: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(front_end);
    runtime.shutdown_background();
    ended
}

/// Warnings and worse go to a file, as the screen belongs to the application.
/// `CARLENS_LOG` says how much, as in `CARLENS_LOG=debug`.
fn log_to_file(config: &Config) {
    let path = config.state_folder.join("carlens.log");
    let file = fs::create_dir_all(&config.state_folder)
        .and_then(|()| fs::OpenOptions::new().create(true).append(true).open(path));
    // Without a place for a log there is none.
    let Ok(file) = file else { return };
    let filter = tracing_subscriber::EnvFilter::try_from_env("CARLENS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("carlens=warn"));
    let log = tracing_subscriber::fmt().with_writer(file).with_ansi(false).with_env_filter(filter);
    log.init();
}

fn is_closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// An error and its causes on one line. A token may stand wherever something
/// else was meant to.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    Secret::hide_tokens(&causes.join(": "))
}
