//! How webhooks leave: in order for each message, after a short while, signed when they are sent, and again when they
//! were not taken, as often as the provider would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use super::SandboxOptions;
use super::accounts::SandboxAccount;
use super::emulator::{self, Letter, Status};
use super::journal::Accepted;
use super::world::World;
use crate::transport::Courier;

/// How many webhooks are on their way at once.
const AT_ONCE: usize = 64;

/// How many messages may have statuses to come. Those of further ones are lost, and counted.
const PENDING: usize = 100_000;

/// How large a file may be that a message links to.
const LINKED_BYTES: usize = 100 << 20;

/// The webhooks that are to be sent.
#[derive(Debug)]
pub(super) struct Post {
    courier: Courier,
    room: Semaphore,
    pending: watch::Sender<usize>,
    held: watch::Sender<Vec<Hold>>,
    delay_ms: (u64, u64),
    retry: Duration,
    dice: AtomicU64,
    delivered: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

/// Whose status webhooks wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) provider: String,
    pub(super) account: Option<String>,
}

/// What became of webhooks so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Posted {
    /// Taken with 2xx.
    pub delivered: u64,
    /// Attempts that were not taken.
    pub refused: u64,
    /// Given up, or never tried because too many were waiting.
    pub lost: u64,
    /// Messages whose statuses are still to come, and webhooks to be tried again.
    pub pending: usize,
}

/// What a message's way shall be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) statuses: Vec<Status>,
    pub(super) twice: bool,
    pub(super) lost: bool,
    pub(super) links: Vec<String>,
    pub(super) link_code: u32,
}

impl Post {
    pub(super) fn new(options: &SandboxOptions) -> Self {
        Self {
            courier: Courier::new(),
            room: Semaphore::new(AT_ONCE),
            pending: watch::Sender::new(0),
            held: watch::Sender::new(Vec::new()),
            delay_ms: options.status_delay_ms,
            retry: options.retry_pause,
            dice: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    pub(super) fn posted(&self) -> Posted {
        Posted {
            delivered: self.delivered.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            pending: *self.pending.borrow(),
        }
    }

    /// Returns when nothing is left to be sent.
    pub(super) async fn settled(&self) {
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    /// Counts a message whose statuses will never come.
    pub(super) fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Holds status webhooks back.
    pub(super) fn hold(&self, hold: Hold) {
        self.held.send_modify(|held| held.push(hold));
    }

    /// Lets all held webhooks go.
    pub(super) fn release(&self) {
        self.held.send_modify(Vec::clear);
    }

    async fn released(&self, account: &SandboxAccount) {
        let mut held = self.held.subscribe();
        let free = |held: &Vec<Hold>| !held.iter().any(|hold| hold.is_for(account));
        let _ = held.wait_for(free).await;
    }

    /// Lets the statuses of a message follow.
    pub(super) fn tell(world: &Arc<World>, message: Arc<Accepted>, plan: Plan) {
        if *world.post.pending.borrow() >= PENDING {
            world.post.lose();
            return;
        }
        let pending = Pending::new(world);
        tokio::spawn(async move {
            let world = &pending.0;
            let statuses = match world.post.look(&message, &plan).await {
                true => plan.statuses,
                false => emulator::failing(&message.account.provider, plan.link_code),
            };
            for status in statuses {
                world.post.pause().await;
                world.post.released(&message.account).await;
                message.with(|seen| {
                    status.word.clone_into(&mut seen.status);
                    if !matches!(status.word, "canceled" | "cancelled") {
                        seen.sent_at = seen.sent_at.or_else(|| Some(world.now()));
                    }
                    seen.code = status.code;
                    seen.told.push(status.word.to_owned());
                });
                if plan.lost {
                    continue;
                }
                let Some(emulator) = emulator::of(&message.account.provider) else { continue };
                for letter in (emulator.letters)(world, &message, &status) {
                    for _ in 0..=usize::from(plan.twice) {
                        Self::send(world, &message.account, letter.clone()).await;
                    }
                }
            }
        });
    }

    /// Tries to deliver a webhook, and if it is not taken, again later. Returns the first answer's status.
    pub(super) async fn send(
        world: &Arc<World>,
        account: &Arc<SandboxAccount>,
        letter: Letter,
    ) -> Option<u16> {
        let answer = world.post.attempt(world, account, &letter).await;
        if let Some(pause) = world.post.again(account, answer, 1) {
            let (pending, account) = (Pending::new(world), Arc::clone(account));
            tokio::spawn(async move {
                let (world, mut pause) = (&pending.0, Some(pause));
                let mut attempts = 1;
                while let Some(wait) = pause {
                    tokio::time::sleep(wait).await;
                    attempts += 1;
                    let answer = world.post.attempt(world, &account, &letter).await;
                    pause = world.post.again(&account, answer, attempts);
                }
            });
        }
        answer
    }

    async fn attempt(
        &self,
        world: &World,
        account: &SandboxAccount,
        letter: &Letter,
    ) -> Option<u16> {
        let _place = self.room.acquire().await.ok()?;
        let request = build(world, account, letter)?;
        let patience = match account.provider.as_str() {
            "telnyx" => Duration::from_secs(2),
            _ => Duration::from_secs(15),
        };
        self.courier.deliver(request, patience).await.ok()
    }

    /// Counts an answer and says when to try again, if the provider would.
    fn again(
        &self,
        account: &SandboxAccount,
        answer: Option<u16>,
        so_far: u32,
    ) -> Option<Duration> {
        if answer.is_some_and(|status| (200..300).contains(&status)) {
            self.delivered.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let passes = answer.is_none_or(|status| matches!(status, 408 | 429 | 500..));
        let (may, factor) = match account.provider.as_str() {
            "meta" => (so_far < 8, 1 << so_far.min(6)),
            "twilio" => (answer.is_none() && so_far < 2, 1),
            "telnyx" => (passes && so_far < 3, so_far),
            _ => (so_far < 15, 1),
        };
        if !may {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        may.then(|| self.retry * factor)
    }

    /// Fetches the files a message links to, where they are on this machine: the sandbox never reaches beyond it.
    async fn look(&self, message: &Accepted, plan: &Plan) -> bool {
        for link in plan.links.iter().filter(|link| is_local(link)) {
            let Ok(file) = self.courier.fetch(link, LINKED_BYTES).await else { return false };
            message.with(|seen| seen.fetched.push((link.clone(), file.bytes.len())));
        }
        true
    }

    /// Does something on the side that is waited for like webhooks are.
    pub(super) fn spawn(world: &Arc<World>, work: impl Future<Output = ()> + Send + 'static) {
        let pending = Pending::new(world);
        tokio::spawn(async move {
            work.await;
            drop(pending);
        });
    }

    /// As long as providers take to send the next status.
    pub(super) async fn pause(&self) {
        let (least, most) = self.delay_ms;
        let number = self.dice.fetch_add(1, Ordering::Relaxed);
        let mixed = (number.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let ms = least + mixed % (most.saturating_sub(least) + 1);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// Counts as long as it lives.
struct Pending(Arc<World>);

impl Pending {
    fn new(world: &Arc<World>) -> Self {
        world.post.pending.send_modify(|pending| *pending += 1);
        Self(Arc::clone(world))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.post.pending.send_modify(|pending| *pending -= 1);
    }
}

impl Hold {
    fn is_for(&self, account: &SandboxAccount) -> bool {
        self.provider == account.provider
            && self.account.as_ref().is_none_or(|name| account.is_named(name))
    }
}

/// The signed request. A fragment of the URL is for the provider (Twilio) and is neither sent nor signed.
fn build(world: &World, account: &SandboxAccount, letter: &Letter) -> Option<http::Request<Bytes>> {
    let url = letter.url.split('#').next().unwrap_or_default();
    let mut request = http::Request::post(url).header("content-type", letter.content_type);
    for (name, value) in &letter.headers {
        request = request.header(*name, value);
    }
    let request = request.body(letter.body.clone()).ok()?;
    let emulator = emulator::of(&account.provider)?;
    match &letter.key {
        Some(key) => {
            let signing = SandboxAccount { signing_secret: key.clone(), ..account.clone() };
            Some((emulator.sign)(&signing, world.now(), request))
        }
        None => Some((emulator.sign)(account, world.now(), request)),
    }
}

fn is_local(link: &str) -> bool {
    let host = url::Url::parse(link).ok().and_then(|url| url.host_str().map(ToOwned::to_owned));
    host.is_some_and(|host| matches!(host.as_str(), "127.0.0.1" | "localhost" | "[::1]"))
}
