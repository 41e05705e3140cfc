//! Stand-ins for the providers: what they send, signed as they sign it, and emulators of their APIs, as strict as
//! they are. For demonstrations, benchmarks and tests.
//!
//! The emulators are a reading of the providers' documentation of their own: they share no code with `providers`, but for
//! the signatures that the gateway verifies. They never reach beyond this machine.
//!
//! A [`Sandbox`] listens at one address. `http://…/meta`, `/twilio`, `/telnyx` and `/waha` are the base URLs of the
//! emulators; [`ENDPOINTS`] lists what `/control` can do. Accounts are those of `fixtures/`, and those that are added.

mod accounts;
mod control;
mod emoji;
mod emulator;
mod exchange;
mod faults;
mod files;
mod heard;
mod journal;
mod limits;
mod meta;
mod post;
mod recordings;
mod schedule;
mod server;
mod telnyx;
mod twilio;
mod waha;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::watch;

pub use accounts::{SandboxAccount, SandboxRoute, Strictness};
pub use control::ENDPOINTS;
pub use emulator::{Inbound, InboundFile};
pub use faults::{Fault, FaultKind, On};
pub use journal::{Counts, SeenMessage, SeenRequest};
pub use post::Posted;
pub use recordings::{Recorded, RecordedAccount, RecordedRoute, accounts, webhooks};

use crate::clock::Clock;
use world::World;

/// What a sandbox is started with.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Where it listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The gateway's public URL: webhooks of the fixtures' accounts go to `{webhooks}/hooks/{provider}`. Without it, only
    /// those are sent whose request or account names a URL.
    pub webhooks: Option<String>,
    /// Whether the accounts of `fixtures/` are there.
    pub fixtures: bool,
    /// How strict the providers are with the fixtures' accounts; `None`: as they are.
    pub limits: Option<Strictness>,
    /// How long after the message, and after each other, statuses follow: between so many and so many milliseconds.
    pub status_delay_ms: (u64, u64),
    /// The first pause before a webhook that was not taken is tried again.
    pub retry_pause: Duration,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            webhooks: None,
            fixtures: true,
            limits: None,
            status_delay_ms: (20, 80),
            retry_pause: Duration::from_millis(200),
            clock: Clock::System,
        }
    }
}

/// A running sandbox. It stops when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    world: Arc<World>,
    stop: watch::Sender<bool>,
}

impl Sandbox {
    /// Starts one.
    ///
    /// # Errors
    /// When the address cannot be taken.
    pub async fn start(options: SandboxOptions) -> std::io::Result<Self> {
        let (listener, file_listener) = server::bind(options.listen).await?;
        let (address, files) = (listener.local_addr()?, file_listener.local_addr()?);
        let world = Arc::new(World::new(&options));
        world.settle_at(format!("http://{address}"), format!("http://{files}"));
        let stop = watch::Sender::new(false);
        tokio::spawn(server::serve(listener, Arc::clone(&world), stop.subscribe()));
        tokio::spawn(server::serve(file_listener, Arc::clone(&world), stop.subscribe()));
        tokio::spawn(schedule::run(Arc::clone(&world), stop.subscribe()));
        Ok(Self { address, world, stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:…`, without a slash at the end.
    pub fn url(&self) -> String {
        self.world.base().to_owned()
    }

    /// The base URL of a provider, for an account's settings.
    pub fn base_url(&self, provider: &str) -> String {
        format!("{}/{provider}", self.world.base())
    }

    /// Adds an account, or replaces the one of that provider and id.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn add_account(&self, account: SandboxAccount) -> Result<(), String> {
        self.world.add_account(account)
    }

    /// Lets something go wrong. `false` if too much waits to go wrong already.
    pub fn fault(&self, fault: Fault) -> bool {
        self.world.faults().arm(fault)
    }

    /// Lets nothing go wrong any more, and lets go what was held.
    pub fn clear(&self) {
        self.world.faults().clear();
        self.world.post.release();
    }

    /// Holds back the status webhooks of a provider, or of one account, until they are released.
    pub fn hold(&self, provider: &str, account: Option<&str>) {
        let account = account.map(ToOwned::to_owned);
        self.world.post.hold(post::Hold { provider: provider.to_owned(), account });
    }

    /// Lets go what was held.
    pub fn release(&self) {
        self.world.post.release();
    }

    /// Lets time pass for windows, rates, links and what is scheduled; webhooks keep the clock's time.
    pub fn advance(&self, by: TimeDelta) {
        self.world.advance(by);
        schedule::launch(&self.world);
    }

    /// Delivers a message of a person, and returns the provider's id of it and how each webhook was answered.
    ///
    /// # Errors
    /// When there is no such account or line.
    pub async fn inbound(&self, inbound: &Inbound) -> Result<(String, Vec<Option<u16>>), String> {
        control::arrive(&self.world, inbound).await
    }

    /// The messages that were accepted, oldest first; at most the last 20,000.
    pub fn messages(&self) -> Vec<SeenMessage> {
        self.world.journal().messages().map(|message| message.seen()).collect()
    }

    /// The requests that were received, oldest first; at most the last 2,000.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.world.journal().requests().cloned().collect()
    }

    /// How often our message `ours` was accepted.
    pub fn count_of(&self, ours: &str) -> u32 {
        self.world.journal().count_of(ours)
    }

    /// How many messages were accepted, and which more than once.
    pub fn counts(&self) -> Counts {
        self.world.journal().counts()
    }

    /// What became of the webhooks.
    pub fn posted(&self) -> Posted {
        self.world.post.posted()
    }

    /// Returns when every webhook was delivered or given up. Held ones are waited for.
    pub async fn settled(&self) {
        self.world.post.settled().await;
    }

    /// Stops listening; connections are cut.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop();
    }
}
