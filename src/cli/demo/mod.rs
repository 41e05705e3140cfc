//! `switchboard demo`: the gateway's main job, over real HTTP, with real signatures: recorded webhooks come in, and
//! messages go out through the sandbox.

mod client;
mod journey;
mod replies;
mod show;
mod story;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;

use super::{SettingArgs, logging, serve};
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::{Gateway, open_store};
use crate::ids;
use crate::jobs::Jobs;
use crate::metrics;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::web::{App, Server};

/// How long statuses take to come back from the sandbox, in milliseconds: long enough to be told apart.
const STATUS_DELAY_MS: (u64, u64) = (120, 320);

/// Show what it does.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct DemoArgs {
    /// Exit after the demonstration instead of serving on.
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(args: DemoArgs, settings: SettingArgs) -> anyhow::Result<()> {
    refuse_other_databases(&settings)?;
    let folder = Folder::fresh()?;
    let (config, base) = settings_of(&settings, &folder)?;
    logging::start(&config.log.level, &config.log.format)?;
    let recorder = metrics::install().context("metrics cannot be recorded")?;
    let sandbox = Sandbox::start(SandboxOptions {
        webhooks: Some(base.clone()),
        status_delay_ms: STATUS_DELAY_MS,
        ..SandboxOptions::default()
    });
    let sandbox = sandbox.await.context("the sandbox cannot listen")?;
    let store = open_store(&config).await?;
    super::make_tables(&store).await?;
    store.close().await;
    let gateway = Gateway::start(config, Clock::System).await?;
    let app = App::new(gateway.clone(), Some(recorder));
    let jobs = Jobs::start(&gateway, &app.keys);
    let server = Server::bind(app).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        tokio::select! {
            () = serve::told_to_stop() => {}
            _ = stopped => {}
        }
    }));
    say!("Switchboard serves on {base}, with SQLite in {}\n", folder.path.display());
    story::tell(&gateway, &sandbox, &base, !args.once).await?;
    if args.once {
        let _ = stop.send(());
    } else {
        say!("\nThe gateway keeps serving. Stop it with Ctrl-C; its data is deleted then.");
    }
    serving.await.context("the server failed")?;
    jobs.stop().await;
    gateway.stop().await;
    sandbox.stop();
    Ok(())
}

/// The demonstration deletes its data in the end: nobody may think that it runs on theirs.
fn refuse_other_databases(settings: &SettingArgs) -> anyhow::Result<()> {
    let theirs = ["data.", "database.url", "database.api_url", "database.intake_url"];
    let set = |text: &String| theirs.iter().any(|name| text.trim_start().starts_with(name));
    let named = settings.data_dir.is_some() || settings.database_url.is_some();
    ensure!(
        !named && !settings.set.iter().any(set),
        "the demonstration has a database of its own, which is deleted in the end: leave out --data-dir, \
         --database-url and their settings, or run `switchboard serve`"
    );
    Ok(())
}

/// The given settings, but for the database, which is always a fresh one, and a port that is free; and the URL that this
/// makes. Providers are told it, and sign it. The sandbox is on this machine, so requests to this machine are allowed.
fn settings_of(settings: &SettingArgs, folder: &Folder) -> anyhow::Result<(Config, String)> {
    let mut settings = settings.clone();
    settings.data_dir = Some(folder.path.display().to_string());
    settings.database_url =
        Some(format!("sqlite:{}", folder.path.join("switchboard.db").display()));
    settings.set.insert(0, "log.level=error".to_owned());
    let secret = ids::random().context("the operating system gave no random bytes")?;
    settings.set.insert(0, format!("metrics.token={secret}"));
    settings.set.push("sending.enabled=true".to_owned());
    settings.set.push("outgoing.allow=127.0.0.1".to_owned());
    let wanted = settings.load()?.server.listen;
    let given = settings.listen.is_some() && wanted.port() != 0;
    let listener = match TcpListener::bind(wanted) {
        Err(_) if !given => TcpListener::bind("127.0.0.1:0"),
        taken => taken,
    };
    let listener = listener.with_context(|| format!("cannot listen on {wanted}"))?;
    let mut address = listener.local_addr().context("the listener has no address")?;
    settings.listen = Some(address.to_string());
    if address.ip().is_unspecified() {
        address = SocketAddr::from(([127, 0, 0, 1], address.port()));
    }
    let base = format!("http://{address}");
    settings.set.push(format!("server.public_url={base}"));
    Ok((settings.load()?, base))
}

/// A folder that is deleted in the end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn fresh() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("switchboard-demo-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
