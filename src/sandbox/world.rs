//! What all emulators share: time, accounts, what was received and accepted, what shall go wrong.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use chrono::TimeDelta;
use serde_json::Value;

use super::accounts::{self, SandboxAccount};
use super::emulator::{self, Status};
use super::faults::{FaultKind, Faults, Occasion, On};
use super::files::Files;
use super::heard::Inbox;
use super::journal::{Accepted, Journal, SeenMessage};
use super::limits::Limits;
use super::post::{Plan, Post};
use super::schedule::{self, Judge, Schedule};
use super::{SandboxOptions, meta, twilio, waha};
use crate::clock::{Clock, Timestamp};
use crate::ids::Ids;

/// How many accounts there may be.
const ACCOUNTS: usize = 10_000;

/// The state of a sandbox.
#[derive(Debug)]
pub(super) struct World {
    clock: Clock,
    /// Microseconds by which windows, limits and links are ahead of the clock.
    shift: AtomicI64,
    ids: Ids,
    base: OnceLock<String>,
    cdn: OnceLock<String>,
    accounts: RwLock<Vec<Arc<SandboxAccount>>>,
    journal: Mutex<Journal>,
    faults: Mutex<Faults>,
    limits: Mutex<Limits>,
    files: Mutex<Files>,
    heard: Mutex<Inbox>,
    schedule: Mutex<Schedule>,
    templates: Mutex<meta::Templates>,
    people: Mutex<meta::People>,
    contents: Mutex<twilio::Contents>,
    sessions: Mutex<waha::Sessions>,
    pub(super) post: Post,
}

/// A message that passed all checks.
#[derive(Debug)]
pub(super) struct NewMessage {
    pub(super) account: Arc<SandboxAccount>,
    pub(super) id: String,
    pub(super) ours: Option<String>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) kind: String,
    pub(super) body: Value,
    /// The word for a message that was only taken.
    pub(super) status: &'static str,
    pub(super) status_url: Option<String>,
    /// The statuses to come.
    pub(super) statuses: Vec<Status>,
    /// The files it links to.
    pub(super) links: Vec<String>,
    /// The provider's code for a file that cannot be fetched.
    pub(super) link_code: u32,
}

impl World {
    pub(super) fn new(options: &SandboxOptions) -> Self {
        let mut known = Vec::new();
        if options.fixtures {
            known = accounts::recorded(options.webhooks.as_deref());
        }
        for account in &mut known {
            account.limits = account.limits.or(options.limits);
        }
        let known: Vec<_> = known.into_iter().map(Arc::new).collect();
        let mut sessions = waha::Sessions::default();
        for account in &known {
            sessions.adopt(account);
        }
        Self {
            clock: options.clock.clone(),
            shift: AtomicI64::new(0),
            ids: Ids::new(options.clock.clone()),
            base: OnceLock::new(),
            cdn: OnceLock::new(),
            accounts: RwLock::new(known),
            journal: Mutex::default(),
            faults: Mutex::default(),
            limits: Mutex::default(),
            files: Mutex::default(),
            heard: Mutex::default(),
            schedule: Mutex::default(),
            templates: Mutex::default(),
            people: Mutex::default(),
            contents: Mutex::default(),
            sessions: Mutex::new(sessions),
            post: Post::new(options),
        }
    }

    /// Where the sandbox listens, and where the second listener does, which stands for the providers' file servers.
    pub(super) fn settle_at(&self, base: String, cdn: String) {
        let _ = self.base.set(base);
        let _ = self.cdn.set(cdn);
    }

    pub(super) fn base(&self) -> &str {
        self.base.get().map_or("", String::as_str)
    }

    pub(super) fn cdn(&self) -> &str {
        self.cdn.get().map_or("", String::as_str)
    }

    /// The time that signatures and timestamps have.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time by which windows close, limits recover and links expire.
    pub(super) fn later(&self) -> Timestamp {
        self.now() + TimeDelta::microseconds(self.shift.load(Ordering::SeqCst))
    }

    /// Lets time pass for windows, limits and links.
    pub(super) fn advance(&self, by: TimeDelta) {
        let by = by.num_microseconds().unwrap_or_default();
        self.shift.fetch_add(by, Ordering::SeqCst);
    }

    /// A new id of 32 hexadecimal digits.
    pub(super) fn new_id(&self) -> String {
        // The ids' leading bits are the time: turned round, so that they look as random as the providers' do.
        let id = self.ids.next().as_u128();
        format!("{:032x}", id.swap_bytes())
    }

    /// A new UUID, as text.
    pub(super) fn new_uuid(&self) -> String {
        self.ids.next().to_string()
    }

    /// The accounts of a provider.
    pub(super) fn accounts_of(&self, provider: &str) -> Vec<Arc<SandboxAccount>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.iter().filter(|account| account.provider == provider).cloned().collect()
    }

    /// The first account of a provider that `fits`.
    pub(super) fn find_account(
        &self,
        provider: &str,
        fits: impl Fn(&SandboxAccount) -> bool,
    ) -> Option<Arc<SandboxAccount>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.iter().find(|account| account.provider == provider && fits(account)).cloned()
    }

    /// Adds an account, or replaces the one of that provider and name.
    pub(super) fn add_account(&self, account: SandboxAccount) -> Result<(), String> {
        if emulator::of(&account.provider).is_none() {
            return Err(format!("there is no emulator of `{}`", account.provider));
        }
        let account = Arc::new(account);
        self.sessions().adopt(&account);
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let same = |other: &Arc<SandboxAccount>| {
            other.provider == account.provider && other.name() == account.name()
        };
        match accounts.iter().position(same) {
            Some(index) => accounts[index] = account,
            None if accounts.len() < ACCOUNTS => accounts.push(account),
            None => return Err(format!("there are {ACCOUNTS} accounts already")),
        }
        Ok(())
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn heard(&self) -> MutexGuard<'_, Inbox> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn templates(&self) -> MutexGuard<'_, meta::Templates> {
        self.templates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn people(&self) -> MutexGuard<'_, meta::People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, twilio::Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, waha::Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `kind` shall happen to what `account` does now, to `to`.
    pub(super) fn strikes(
        &self,
        kind: &FaultKind,
        on: On,
        account: &SandboxAccount,
        to: Option<&str>,
    ) -> bool {
        let provider = account.provider.as_str();
        let occasion = Occasion { provider, account: Some(account), on, to };
        self.faults().take(occasion, |found| (found == kind).then_some(())).is_some()
    }

    /// Records a message that passed all checks, and lets its statuses follow.
    pub(super) fn accept(self: &Arc<Self>, new: NewMessage) -> Arc<Accepted> {
        let (message, plan) = self.enter(new, None);
        Post::tell(self, Arc::clone(&message), plan);
        message
    }

    /// Records a message that passed all checks and shall leave at `at`, in the time of [`World::later`]. What `judge` says
    /// then goes before what was planned.
    pub(super) fn accept_later(
        &self,
        new: NewMessage,
        at: Timestamp,
        judge: Judge,
    ) -> Arc<Accepted> {
        let (message, plan) = self.enter(new, Some(at));
        schedule::add(self, &message, plan, judge);
        message
    }

    fn enter(&self, new: NewMessage, at: Option<Timestamp>) -> (Arc<Accepted>, Plan) {
        let provider = new.account.provider.clone();
        let occasion = Occasion {
            provider: &provider,
            account: Some(&new.account),
            on: On::Send,
            to: Some(&new.to),
        };
        let fails = self.faults().take(occasion, |kind| match kind {
            FaultKind::FailStatus { code } => Some((*code, false)),
            FaultKind::FailLate { code } => Some((*code, true)),
            _ => None,
        });
        let mut statuses = new.statuses;
        match fails {
            Some((code, false)) => statuses = emulator::failing(&provider, code),
            Some((code, true)) => statuses.extend(emulator::failing(&provider, code).pop()),
            None => {}
        }
        if self.strikes(&FaultKind::ReorderWebhooks, On::Send, &new.account, Some(&new.to)) {
            statuses.reverse();
        }
        let struck = |kind| self.strikes(&kind, On::Send, &new.account, Some(&new.to));
        let plan = Plan {
            statuses,
            twice: struck(FaultKind::DuplicateWebhooks),
            lost: struck(FaultKind::LoseWebhooks),
            links: new.links,
            link_code: new.link_code,
        };
        let seen = SeenMessage {
            id: new.id,
            provider,
            account: new.account.name().to_owned(),
            ours: new.ours,
            from: new.from,
            to: new.to,
            kind: new.kind,
            body: new.body,
            at: self.now(),
            status: new.status.to_owned(),
            code: None,
            told: Vec::new(),
            fetched: Vec::new(),
            scheduled_for: at,
            sent_at: None,
            deleted: false,
        };
        let message = Accepted::new(new.account, new.status_url, seen);
        self.journal().accept(&message);
        (message, plan)
    }
}
