//! Accepting many messages at once: piece by piece, so that nobody waits long for the organization's head or for SQLite's one
//! writer.
//!
//! The messages of a piece are checked on a connection that reads. Only then the head is locked, what may have changed since is
//! judged again, and the piece is written. How far the request has come is written with it, under its `Idempotency-Key`: the
//! same request goes on from there, whatever stopped it, and nothing is accepted twice. Under the head it is looked whether
//! anybody else has gone on meanwhile, so that this holds whatever clocks and leases say.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accept::{self, Acceptance, Draft, IdempotencyKey};
use super::desk::{Desk, Wanted};
use super::halts::{busy, nobody_knows, not_now, out_of_time};
use super::running::{self, Running};
use crate::flow::{Actor, FlowError};
use crate::gateway::Gateway;
use crate::model::{MessageId, NewOutbound, OrganizationId};
use crate::store::events::Outbox;
use crate::store::sending::idempotency::{self, Progress, Standing};
use crate::store::sending::outbound;
use crate::store::{Engine, Session, StoreError, messages};

/// How many messages one request may bring.
pub const MOST: usize = 1_000;

/// How long a piece shall hold SQLite's writer: everybody waits for it.
const HOLDS_WRITER: Duration = Duration::from_millis(3);

/// How long a piece shall hold the organization's head on PostgreSQL: only what is the organization's own waits for it.
const HOLDS_HEAD: Duration = Duration::from_millis(6);

/// How long one piece keeps the next organization's from being worked on. What takes longer waits for something, and others
/// need not wait with it.
const OWN_PLACE: Duration = Duration::from_millis(200);

/// How long a process that is at work on a keyed request is believed to be, after each piece.
const LEASE: TimeDelta = TimeDelta::seconds(5);

/// How often a piece is tried that stands in another transaction's way.
const TRIES: usize = 4;

/// What became of one message of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// It is in the queue.
    Accepted(MessageId),
    /// It is not: this is to be answered.
    Refused(Value),
}

/// How a request is answered.
pub struct Telling<'t> {
    /// What is answered to a message that is refused.
    pub refusal: &'t (dyn Fn(&FlowError) -> Value + Sync),
    /// The answer as a whole: its status, and its body.
    pub answer: &'t (dyn Fn(&[Told]) -> (u16, Value) + Sync),
}

impl std::fmt::Debug for Telling<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telling").finish_non_exhaustive()
    }
}

/// A request at work.
struct Bulk<'b> {
    gateway: &'b Gateway,
    organization: OrganizationId,
    desk: Desk<'b>,
    drafts: &'b [Draft],
    key: Option<&'b IdempotencyKey>,
    telling: &'b Telling<'b>,
    /// What became of the messages so far, in their order.
    told: Vec<Told>,
    /// What becomes of those of the piece whose commit is under way.
    committing: Vec<Told>,
    /// When no further piece is begun, and when the last one is given up.
    until: [Instant; 2],
}

/// Accepts messages that wait behind those that are accepted one by one; each has its own result. With a key, what is
/// accepted in part is gone on with by the next request of this key.
///
/// # Errors
/// The request could not be carried out. Without a key nothing of it was accepted then: where a part of it was, that is
/// answered, and the rest is refused as `unavailable`.
pub async fn accept(
    gateway: &Gateway,
    actor: &Actor,
    drafts: &[Draft],
    key: Option<&IdempotencyKey>,
    telling: &Telling<'_>,
) -> Result<Acceptance, FlowError> {
    let began = Instant::now();
    let organization = actor.organization_id;
    let limit = Duration::from_millis(gateway.config.server.request_timeout_ms);
    let _running = match key {
        Some(key) => Some(Running::begin(gateway, organization, &key.key)?),
        None => None,
    };
    let mut bulk = Bulk {
        gateway,
        organization,
        desk: Desk::new(gateway, organization, true),
        drafts,
        key,
        telling,
        told: Vec::with_capacity(drafts.len()),
        committing: Vec::new(),
        until: [began + limit.mul_f64(0.8), began + limit.mul_f64(0.92)],
    };
    if let Some(before) = bulk.resume().await? {
        return Ok(before);
    }
    let patience = Duration::from_millis(gateway.config.sending.bulk_wait_ms);
    let turn = gateway.bulks.turn(organization, patience.min(limit.mul_f64(0.7))).await;
    let _turn = turn.ok_or_else(busy)?;
    bulk.run().await
}

impl Bulk<'_> {
    /// The answer, if there was one; otherwise takes up what was decided before.
    async fn resume(&mut self) -> Result<Option<Acceptance>, FlowError> {
        let Some(key) = self.key else { return Ok(None) };
        let mut session = self.gateway.store.read(self.organization).await?;
        match accept::standing(&mut session, self.organization, key).await? {
            Standing::Unused => {}
            Standing::Answered(before) => return Ok(Some(accept::replayed(before))),
            Standing::UnderWay(progress) => {
                self.not_held(&progress)?;
                let pieces = idempotency::pieces(&mut session, self.organization, &key.key).await?;
                for piece in pieces {
                    let told: Vec<Told> = serde_json::from_value(piece)
                        .map_err(|error| StoreError::Damaged(error.to_string()))?;
                    self.told.extend(told);
                }
            }
        }
        Ok(None)
    }

    /// Turns away a request that another process carries out. A lease that ends later than one may is of a clock that was wrong.
    fn not_held(&self, progress: &Progress) -> Result<(), FlowError> {
        let now = self.gateway.clock.now();
        let is_held = progress.held_until > now && progress.held_until <= now + LEASE;
        match is_held && progress.holder != self.gateway.worker {
            true => Err(running::in_progress()),
            false => Ok(()),
        }
    }

    async fn run(&mut self) -> Result<Acceptance, FlowError> {
        self.look_at_accounts().await?;
        let mut tries = 0;
        loop {
            let size = self.gateway.bulks.size().min(self.drafts.len() - self.told.len());
            match self.piece_in_time(size).await {
                Ok(()) => tries = 0,
                Err(FlowError::Store(StoreError::Conflict(_))) if tries < TRIES => tries += 1,
                Err(error) => return self.stopped(error).await,
            }
            if self.told.len() >= self.drafts.len() {
                let (status, body) = (self.telling.answer)(&self.told);
                return Ok(Acceptance::New(status, body));
            }
        }
    }

    /// An account that cannot be opened now is the whole request's trouble: nothing of it shall be accepted then.
    async fn look_at_accounts(&mut self) -> Result<(), FlowError> {
        let mut session = self.gateway.store.read(self.organization).await?;
        self.desk.look_at_accounts(&mut session, &self.drafts[self.told.len()..]).await
    }

    /// A piece, when it is this organization's turn, and within the time there is.
    async fn piece_in_time(&mut self, size: usize) -> Result<(), FlowError> {
        let [no_further, given_up] = self.until;
        if Instant::now() >= no_further {
            return Err(out_of_time());
        }
        let gateway = self.gateway;
        let piece = async {
            let place = gateway.bulks.place().await;
            let (began, before) = (Instant::now(), gateway.batcher.taken());
            let mut piece = std::pin::pin!(self.piece(size));
            match tokio::time::timeout(OWN_PLACE, &mut piece).await {
                Ok(done) => {
                    if gateway.batcher.taken() != before {
                        gateway.bulks.rest(began.elapsed());
                    }
                    done
                }
                Err(_) => {
                    drop(place);
                    piece.await
                }
            }
        };
        let done = tokio::time::timeout_at(given_up.into(), piece).await;
        done.unwrap_or_else(|_| Err(out_of_time()))
    }

    async fn piece(&mut self, size: usize) -> Result<(), FlowError> {
        let drafts = &self.drafts[self.told.len()..][..size];
        let checked = self.check(drafts).await?;
        if self.key.is_none() && checked.iter().all(Result::is_err) {
            self.told.extend(checked.into_iter().filter_map(Result::err).map(Told::Refused));
            return Ok(());
        }
        let mut session = self.gateway.store.write(self.organization).await?;
        let mut held = Instant::now();
        if let Some(key) = self.key
            && !idempotency::hold(&mut session, self.organization, &key.key).await?
        {
            return Err(running::in_progress());
        }
        let outbox = Outbox::lock(&mut session, [self.organization]).await?;
        let target = match session.engine() {
            Engine::Sqlite => HOLDS_WRITER,
            Engine::Postgres => {
                held = Instant::now();
                HOLDS_HEAD
            }
        };
        self.nobody_went_on(&mut session).await?;
        self.committing = self.write(&mut session, outbox, checked).await?;
        session.commit().await?;
        self.told.append(&mut self.committing);
        if size == self.gateway.bulks.size() {
            self.gateway.bulks.learn(size, held.elapsed(), target);
        }
        accept::announce(self.gateway);
        Ok(())
    }

    /// All that can be said of messages before anything is locked: those that are refused, and why.
    async fn check(&mut self, drafts: &[Draft]) -> Result<Vec<Result<Wanted, Value>>, FlowError> {
        let refusal = self.telling.refusal;
        let mut session = self.gateway.store.read(self.organization).await?;
        let prepared = self.desk.prepare(&mut session, drafts).await?;
        let wanted: Vec<&Wanted> = prepared.iter().flatten().collect();
        let mut fits = self.desk.judge(&mut session, &wanted).await?.into_iter();
        let checked = prepared.into_iter().map(|prepared| {
            let wanted = prepared.map_err(|error| refusal(&error))?;
            match fits.next() {
                Some(Err(error)) => Err(refusal(&error)),
                _ => Ok(wanted),
            }
        });
        Ok(checked.collect())
    }

    /// The request stands where this process left it. The head must be locked: from here on nobody else moves it.
    async fn nobody_went_on(&self, session: &mut Session) -> Result<(), FlowError> {
        let Some(key) = self.key else { return Ok(()) };
        let done = match accept::standing(session, self.organization, key).await? {
            Standing::Unused => 0,
            Standing::UnderWay(progress) => {
                self.not_held(&progress)?;
                progress.done
            }
            Standing::Answered(_) => return Err(running::in_progress()),
        };
        match usize::try_from(done) == Ok(self.told.len()) {
            true => Ok(()),
            false => Err(running::in_progress()),
        }
    }

    /// Writes a piece, and how far the request has come with it. Returns what became of its messages.
    async fn write(
        &mut self,
        session: &mut Session,
        mut outbox: Outbox,
        checked: Vec<Result<Wanted, Value>>,
    ) -> Result<Vec<Told>, FlowError> {
        let organization = self.organization;
        let mut refused = Vec::with_capacity(checked.len());
        let mut wanted = Vec::with_capacity(checked.len());
        for one in checked {
            match one {
                Ok(one) => {
                    wanted.push(one);
                    refused.push(None);
                }
                Err(refusal) => refused.push(Some(refusal)),
            }
        }
        let mut admitted = self.desk.admit(session, &mut outbox, wanted).await?.into_iter();
        let mut new: Vec<NewOutbound> = Vec::with_capacity(refused.len());
        let mut told = Vec::with_capacity(refused.len());
        for refused in refused {
            told.push(
                match refused.map_or_else(|| admitted.next().ok_or(None), |r| Err(Some(r))) {
                    Ok(Ok(message)) => {
                        new.push(message);
                        Told::Accepted(new[new.len() - 1].id)
                    }
                    Ok(Err(error)) => Told::Refused((self.telling.refusal)(&error)),
                    Err(refusal) => Told::Refused(refusal.unwrap_or(Value::Null)),
                },
            );
        }
        let now = self.desk.now;
        outbound::insert(session, &mut outbox, organization, &new, now).await?;
        self.note(session, &told).await?;
        accept::write_events(session, outbox, organization, &new, now).await?;
        Ok(told)
    }

    /// Notes under the key what became of a piece, or the answer if it was the last.
    async fn note(&self, session: &mut Session, told: &[Told]) -> Result<(), FlowError> {
        let Some(key) = self.key else { return Ok(()) };
        let (organization, now, before) = (self.organization, self.desk.now, self.told.len());
        let done = before + told.len();
        if done == self.drafts.len() {
            let all: Vec<Told> = self.told.iter().chain(told).cloned().collect();
            let (status, body) = (self.telling.answer)(&all);
            accept::keep(session, organization, key, (status, &body), now).await?;
            if before > 0 {
                idempotency::forget_progress(session, organization, &key.key).await?;
            }
            return Ok(());
        }
        let place = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let progress = Progress {
            fingerprint: key.fingerprint.clone(),
            done: place(done),
            holder: self.gateway.worker,
            held_until: now + LEASE,
        };
        let piece = (place(before), &json!(told));
        Ok(idempotency::advance(session, organization, &key.key, piece, &progress, now).await?)
    }

    /// It cannot go on. With a key the next request does; without one, whoever asked is told exactly what was accepted.
    async fn stopped(&mut self, error: FlowError) -> Result<Acceptance, FlowError> {
        if self.key.is_some() {
            return Err(error);
        }
        let mut committing = std::mem::take(&mut self.committing);
        let written = self.is_written(&committing).await;
        match written {
            Some(true) => self.told.append(&mut committing),
            Some(false) => {}
            None => self.told.extend(committing.into_iter().map(|told| match told {
                Told::Accepted(id) => Told::Refused((self.telling.refusal)(&nobody_knows(id))),
                refused @ Told::Refused(_) => refused,
            })),
        }
        let accepted = self.told.iter().any(|told| matches!(told, Told::Accepted(_)));
        if !accepted && written.is_some() {
            return Err(error);
        }
        let rest = match &error {
            FlowError::Later { .. } => (self.telling.refusal)(&error),
            _ => (self.telling.refusal)(&not_now()),
        };
        tracing::warn!(
            %error, organization = %self.organization, accepted = self.told.len(), of = self.drafts.len(),
            "a request with many messages stopped half way; whoever asked is told which were accepted"
        );
        self.told.resize(self.drafts.len(), Told::Refused(rest));
        let (status, body) = (self.telling.answer)(&self.told);
        Ok(Acceptance::New(status, body))
    }

    /// Whether a piece whose commit was not answered is there; `None` if nobody can say now. Whoever commits has the head, so it
    /// is waited for.
    async fn is_written(&self, committing: &[Told]) -> Option<bool> {
        let accepted = |told: &Told| match told {
            Told::Accepted(id) => Some(*id),
            Told::Refused(_) => None,
        };
        let Some(id) = committing.iter().find_map(accepted) else { return Some(false) };
        let look = async {
            let mut session = self.gateway.store.write(self.organization).await?;
            Outbox::lock(&mut session, [self.organization]).await?;
            messages::exists(&mut session, self.organization, id).await
        };
        let given_up = self.until[1].max(Instant::now() + Duration::from_millis(300));
        tokio::time::timeout_at(given_up.into(), look).await.ok()?.ok()
    }
}
