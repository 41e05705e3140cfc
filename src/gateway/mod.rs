//! Everything a flow may touch, in one place.

mod bulks;
mod directory;
mod keyring;
mod looks;
mod proofs;
mod room;
mod shards;
mod snapshot;
mod timekeeper;
mod trial;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use bulks::Bulks;
pub use directory::Directory;
pub(crate) use directory::{build, drop_expired, is_previous, previous};
pub use keyring::{Keyring, KeyringError};
use looks::Looks;
pub use proofs::Proofs;
pub use room::{Held, NoRoom, Room, network};
pub(crate) use snapshot::line_key;
pub use snapshot::{DirectoryAccount, RoutedLine, Snapshot};
pub use timekeeper::{Age, Ages, Look, Standing, Timekeeper};
pub use trial::{Trial, Tried};

use crate::clock::Clock;
use crate::config::Config;
use crate::ids::Ids;
use crate::metrics;
use crate::store::intake::{Batcher, BatcherOptions};
use crate::store::{Engine, PostgresRoles, Store, StoreError, StoreOptions, timekeeping};
use crate::transport::{BlobError, Blobs, S3, Transport, TransportError};
use crate::vault::{MasterKeyError, MasterKeys};

/// The gateway at work.
#[derive(Debug)]
pub struct Gateway {
    /// The database.
    pub store: Store,
    /// Where webhooks are handed in.
    pub batcher: Batcher,
    /// Accounts and routes, in memory.
    pub directory: Directory,
    /// Who proved what before.
    pub proofs: Arc<Proofs>,
    /// What opens credentials.
    pub keys: Keyring,
    /// The way out.
    pub transport: Transport,
    /// Files.
    pub blobs: Blobs,
    /// Where time comes from.
    pub clock: Clock,
    /// How far it may be believed where something is deleted or given up for its age.
    pub time: Timekeeper,
    /// Where ids come from.
    pub ids: Ids,
    /// The settings.
    pub config: Config,
    /// Room in memory for webhooks that are being read or written.
    pub intake_room: Room,
    /// Looks for accounts that are not in memory.
    looks: Looks,
    /// This process, among those that send.
    pub worker: uuid::Uuid,
    /// Requests with an `Idempotency-Key` that are being carried out.
    pub running:
        std::sync::Mutex<std::collections::HashSet<(crate::model::OrganizationId, String)>>,
    /// Whether the database can be written.
    pub trial: Trial,
    /// Requests that bring many messages.
    pub bulks: Bulks,
    /// Wakes those who send: something may be due.
    pub due: Arc<tokio::sync::Notify>,
    /// Wakes those who wait for events: changes whenever this process has written some.
    pub news: watch::Sender<u64>,
}

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file store.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The clients.
    #[error("HTTP client: {0}")]
    Transport(#[from] TransportError),
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The data folder.
    #[error("data.dir: {0}")]
    DataFolder(std::io::Error),
}

impl Gateway {
    /// Opens the database and the keys, and starts the writers. The schema must be up to date.
    pub async fn start(config: Config, clock: Clock) -> Result<Arc<Self>, StartError> {
        let store = open_store(&config).await?;
        let (known, ahead) = timekeeping::read(&store, &clock).await?;
        let time = Timekeeper::start(clock.clone(), known, ahead);
        let ids = Ids::new(clock.clone());
        let writers = match store.engine() {
            Engine::Sqlite => 1,
            Engine::Postgres => config.intake.writers,
        };
        let options = BatcherOptions {
            queue: config.intake.queue_requests,
            batch: config.intake.batch_requests,
            writers,
        };
        let (news, _) = watch::channel(0);
        let wake = news.clone();
        let observe = move |committed: crate::store::intake::Committed| {
            metrics::batch(committed.submissions, committed.took, committed.ok);
            wake.send_modify(|count| *count += 1);
        };
        let batcher = Batcher::start(store.clone(), clock.clone(), ids.clone(), options, observe);
        let keys = Keyring::new(master_keys(&config)?);
        match keys.complete(&store, clock.now()).await {
            Ok(()) => {}
            Err(KeyringError::Store(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "the key that makes fingerprints of keys cannot be made");
            }
        }
        let directory = Directory::load(&store, &keys, time.ages().certain()).await?;
        let worker = ids.next();
        Ok(Arc::new(Self {
            worker,
            due: Arc::default(),
            trial: Trial::default(),
            running: std::sync::Mutex::default(),
            bulks: Bulks::default(),
            store,
            batcher,
            directory,
            proofs: Arc::default(),
            keys,
            transport: Transport::new(&config.outgoing.allow)?,
            blobs: open_blobs(&config)?,
            clock,
            time,
            ids,
            intake_room: Room::new(config.intake.queue_bytes, config.server.webhook_body_bytes),
            looks: Looks::default(),
            config,
            news,
        }))
    }

    /// Reads accounts and routes anew, if they have changed since.
    pub async fn refresh_directory(&self) -> Result<(), StoreError> {
        // A secret that was replaced is still good as long as its time is not certainly over.
        self.directory.refresh(&self.store, &self.keys, self.time.ages().certain()).await
    }

    /// Tells those who wait for events to look.
    pub fn wake_readers(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// The URL at which an account's webhooks reach us, where the gateway knows its public URL.
    pub fn hook_url(&self, provider: &str, account: crate::model::AccountId) -> Option<String> {
        let base = self.config.server.public_url.trim_end_matches('/');
        (!base.is_empty()).then(|| format!("{base}/hooks/{provider}/{account}"))
    }

    /// A number between 0 and 1 that differs every time: spreads what would otherwise happen together.
    pub fn chance(&self) -> f64 {
        let mut bytes = [0; 4];
        let _ = getrandom::fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    }

    /// Writes everything that was accepted, and closes the database.
    pub async fn stop(&self) {
        self.batcher.close().await;
        self.store.close().await;
    }
}

/// Opens the database of the settings. The data folder and SQLite's file are made if they do not exist, for nobody's eyes
/// but ours.
pub async fn open_store(config: &Config) -> Result<Store, StartError> {
    make_folder(&config.data.dir).map_err(StartError::DataFolder)?;
    if let Some(file) = Store::file(&config.database_url())
        && !file.exists()
    {
        // Where it cannot be made, opening it says why.
        let _ = make_file(&file);
    }
    Ok(Store::open(&store_options(config)).await?)
}

/// Where files are kept by the settings. The folder is made if it does not exist.
fn open_blobs(config: &Config) -> Result<Blobs, StartError> {
    let media = &config.media;
    if media.s3_bucket.trim().is_empty() {
        let folder = config.data.dir.join("media");
        make_folder(&folder).map_err(StartError::DataFolder)?;
        return Ok(Blobs::folder(&folder)?);
    }
    Ok(Blobs::s3(&S3 {
        bucket: media.s3_bucket.trim().to_owned(),
        endpoint: media.s3_endpoint.trim().to_owned(),
        region: media.s3_region.trim().to_owned(),
        access_key: media.s3_access_key.clone(),
        secret_key: media.s3_secret_key.clone(),
    })?)
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// SQLite gives the files it makes beside this one the same mode.
fn make_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path).map(drop)
}

/// How to reach the database of the settings.
pub fn store_options(config: &Config) -> StoreOptions {
    let own = |url: &secrecy::SecretString| {
        use secrecy::ExposeSecret;
        (!url.expose_secret().trim().is_empty()).then(|| url.clone())
    };
    StoreOptions {
        url: config.database_url(),
        roles: PostgresRoles {
            api_url: own(&config.database.api_url),
            intake_url: own(&config.database.intake_url),
        },
        connections: match config.database.connections {
            // More than these only take turns on the same processors.
            0 => std::thread::available_parallelism()
                .map_or(4, |count| u32::try_from(2 * count.get()).unwrap_or(16).clamp(4, 16)),
            count => count,
        },
        // Each writer, the batches it has yet to finish, those who wait for a head, and whoever reads across organizations.
        intake_connections: u32::try_from(config.intake.writers).unwrap_or(1) * 2
            + 3
            + crate::store::intake::WAITERS,
        statement_timeout: Duration::from_millis(config.database.statement_timeout_ms),
        sqlite_full_sync: config.database.sqlite_synchronous == "full",
    }
}

/// The master keys of the settings: from the environment, or from the file, which is made if it does not exist.
pub fn master_keys(config: &Config) -> Result<MasterKeys, MasterKeyError> {
    use secrecy::ExposeSecret;
    if config.keys.master_key.expose_secret().trim().is_empty() {
        MasterKeys::file(&config.master_key_file())
    } else {
        MasterKeys::given(&config.keys.master_key)
    }
}
