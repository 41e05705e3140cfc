//! The command line: it starts what the other parts are made of, and is the only place that prints.

#[macro_use]
mod output;

mod config;
mod demo;
mod doctor;
mod key;
mod lines;
mod logging;
mod org;
mod queue;
mod replay;
mod sandbox;
mod serve;
mod suppression;
mod table;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::clock::Clock;
use crate::config::{Config, Setting};
use crate::gateway::Gateway;
use crate::store::Store;

/// A self-hosted, multi-tenant communications gateway with two providers for every channel.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    settings: SettingArgs,
    #[command(subcommand)]
    command: Command,
}

/// Settings that are given on the command line win over the environment, which wins over the file.
#[derive(Debug, Clone, Args)]
struct SettingArgs {
    /// The settings file. Without it, switchboard.toml is read if it exists.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, for example --set `server.public_url=https://gateway.example.com`. See `switchboard config --explain`.
    #[arg(long = "set", global = true, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// The address and port to listen on (server.listen).
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The folder of the embedded database and the master key file (data.dir).
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// sqlite:PATH or <postgres://USER:PASSWORD@HOST/DATABASE> (database.url).
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve,
    /// Show what it does, receiving and sending: two organizations, real signatures, on a database of its own.
    Demo(demo::DemoArgs),
    /// Run emulators of the providers, with a control API to script them.
    Sandbox(sandbox::SandboxArgs),
    /// Bring the database's schema up to date (`serve` does so too).
    Migrate,
    /// Check settings, database, keys and clock, and say how to mend what is wrong.
    Doctor(doctor::DoctorArgs),
    /// Show the settings.
    Config(config::ConfigArgs),
    /// Organizations.
    #[command(subcommand)]
    Org(org::OrgCommand),
    /// Users, who sign in through the CRM's identity provider.
    #[command(subcommand)]
    User(user::UserCommand),
    /// API keys, and the master key.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// What waits to be sent, what holds it back, and what was given up.
    Queue(queue::QueueArgs),
    /// Whom an organization does not write to, or sends no marketing.
    #[command(subcommand)]
    Suppression(suppression::SuppressionCommand),
    /// Read kept webhooks again.
    Replay(replay::ReplayArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    logging::catch_panics();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::failure(format_args!("the runtime cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(run(cli));
    logging::finish();
    match done {
        Ok(code) => code,
        Err(error) => {
            output::failure(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Command::Config(args) = &cli.command {
        return config::run(args, &cli.settings);
    }
    if let Command::Demo(args) = cli.command {
        return demo::run(args, cli.settings).await.map(|()| ExitCode::SUCCESS);
    }
    if let Command::Sandbox(args) = cli.command {
        let listen = cli.settings.listen.as_deref();
        return sandbox::run(args, listen).await.map(|()| ExitCode::SUCCESS);
    }
    let config = cli.settings.load()?;
    match cli.command {
        Command::Doctor(args) => return doctor::run(config, args).await,
        Command::Serve => serve::run(config).await?,
        Command::Migrate => migrate(&config).await?,
        Command::Org(command) => org::run(&*open(config).await?, command).await?,
        Command::User(command) => user::run(&*open(config).await?, command).await?,
        Command::Key(command) => key::run(&*open(config).await?, command).await?,
        Command::Queue(args) => queue::run(&*open(config).await?, args).await?,
        Command::Suppression(command) => suppression::run(&*open(config).await?, command).await?,
        Command::Replay(args) => replay::run(&*open(config).await?, args).await?,
        Command::Config(_) | Command::Demo(_) | Command::Sandbox(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

impl SettingArgs {
    /// All settings: file, environment, and what was given here.
    fn load(&self) -> anyhow::Result<Config> {
        let loaded = Config::load(self.config.as_deref(), &self.overrides());
        loaded.context("the settings cannot be used")
    }

    /// The same for people to read.
    fn show(&self) -> anyhow::Result<Vec<(Setting, String)>> {
        let shown = Config::show(self.config.as_deref(), &self.overrides());
        shown.context("the settings cannot be used")
    }

    fn overrides(&self) -> Vec<String> {
        let mut overrides = Vec::new();
        let named = [
            ("server.listen", &self.listen),
            ("data.dir", &self.data_dir),
            ("database.url", &self.database_url),
        ];
        for (name, value) in named {
            overrides.extend(value.iter().map(|value| format!("{name}={value}")));
        }
        overrides.extend(self.set.iter().cloned());
        overrides
    }
}

/// A gateway for one command, its schema up to date.
async fn open(config: Config) -> anyhow::Result<Arc<Gateway>> {
    logging::start(&config.log.level, &config.log.format)?;
    bring_up_to_date(&config).await?;
    Ok(Gateway::start(config, Clock::System).await?)
}

/// Brings the schema up to date, and says why if the database is not to be reached at all.
async fn bring_up_to_date(config: &Config) -> anyhow::Result<()> {
    Store::reach(&config.database_url()).await.context("the database cannot be reached")?;
    let store = crate::gateway::open_store(config).await?;
    make_tables(&store).await?;
    store.close().await;
    Ok(())
}

/// The gateway's tables, and the job queue's.
async fn make_tables(store: &Store) -> anyhow::Result<()> {
    store.migrate().await.context("the schema cannot be brought up to date")?;
    crate::jobs::migrate(store).await.context("the job queue's tables cannot be brought up to date")
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    Store::reach(&config.database_url()).await.context("the database cannot be reached")?;
    let store = crate::gateway::open_store(config).await?;
    let (before, _) = store.schema_version().await?;
    make_tables(&store).await?;
    let (after, _) = store.schema_version().await?;
    let show =
        |version: Option<i64>| version.map_or("none".to_owned(), |version| version.to_string());
    say!("schema: {} -> {}", show(before), show(after));
    store.close().await;
    Ok(())
}
