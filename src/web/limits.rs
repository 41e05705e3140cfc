//! What one organization may ask for at once, and in a minute.
//!
//! A search reads as much as it must. Two at once an organization, and half of the connections for all together, leave room
//! for everybody else's reads. Requests a minute are limited where the operator says so; each process counts for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use chrono::TimeDelta;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;
use uuid::Uuid;

use super::{App, Problem};
use crate::clock::Timestamp;
use crate::config;
use crate::model::OrganizationId;
use crate::store::StoreError;

/// How many searches one organization may have under way.
const AT_ONCE: usize = 2;

/// How many more of its requests may wait for their turn.
const WAITING: usize = 16;

/// How long they wait. With the time that a search may take it is still within a request's time.
const PATIENCE: Duration = Duration::from_secs(4);

/// How far back a search looks that does not say from when on.
const RECENT: TimeDelta = TimeDelta::days(90);

/// The searches under way.
#[derive(Debug)]
pub(super) struct Searches {
    /// Of organizations that have any.
    turns: Mutex<HashMap<OrganizationId, Turns>>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Turns {
    permits: Arc<Semaphore>,
    /// How many are under way or wait.
    count: usize,
}

/// A place among an organization's searches.
struct Place {
    searches: Arc<Searches>,
    organization: OrganizationId,
}

/// A search's turn, given back when dropped.
struct Turn {
    _own: OwnedSemaphorePermit,
    _room: OwnedSemaphorePermit,
    _place: Place,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut turns = self.searches.turns();
        if let Some(own) = turns.get_mut(&self.organization) {
            own.count -= 1;
            if own.count == 0 {
                turns.remove(&self.organization);
            }
        }
    }
}

impl Searches {
    /// `connections` is how many the API has. There is room for more than one organization may take.
    pub(super) fn new(connections: u32) -> Self {
        let room = usize::try_from(connections / 2).unwrap_or(AT_ONCE).max(AT_ONCE + 1);
        Self { turns: Mutex::default(), room: Arc::new(Semaphore::new(room)) }
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<OrganizationId, Turns>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn(self: &Arc<Self>, organization: OrganizationId) -> Result<Turn, Problem> {
        let permits = {
            let mut turns = self.turns();
            let own = turns
                .entry(organization)
                .or_insert_with(|| Turns { permits: Arc::new(Semaphore::new(AT_ONCE)), count: 0 });
            if own.count >= AT_ONCE + WAITING {
                return Err(Problem::too_many_searches());
            }
            own.count += 1;
            Arc::clone(&own.permits)
        };
        let place = Place { searches: Arc::clone(self), organization };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let own = tokio::time::timeout_at(deadline, permits.acquire_owned()).await;
        let Ok(Ok(own)) = own else { return Err(Problem::too_many_searches()) };
        let room = Arc::clone(&self.room).acquire_owned();
        let Ok(Ok(room)) = tokio::time::timeout_at(deadline, room).await else {
            return Err(Problem::unavailable("too many searches are under way; try again"));
        };
        Ok(Turn { _own: own, _room: room, _place: place })
    }
}

/// Carries out a search or a count of `organization` when it is its turn. Once begun it is carried out to its end, and holds its
/// turn for as long, whether or not anybody waits for it: the database does not stop when a client hangs up.
pub(super) async fn search<T: Send + 'static>(
    app: &App,
    organization: OrganizationId,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, Problem> {
    let turn = app.searches.turn(organization).await?;
    let work = async move {
        let found = work.await;
        drop(turn);
        found
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(StoreError::TookTooLong(_))) => Err(Problem::search_too_broad()),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// From when on a search looks that does not say so, and until when it looks if it says that.
pub(super) fn recent(now: Timestamp, until: Option<Timestamp>) -> Timestamp {
    until.map_or(now, |until| until.min(now)) - RECENT
}

/// How long a quota is for, in seconds.
const WINDOW: i64 = 60;

/// Among how many locks those who ask are divided.
const SHARDS: usize = 16;

/// How many windows one shard remembers: a few megabytes in all.
const REMEMBERED: usize = 4_096;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Counts requests.
#[derive(Debug)]
pub(super) struct Requests {
    key: u32,
    organization: u32,
    shards: [Mutex<HashMap<(Uuid, Uuid), Window>>; SHARDS],
}

/// The minute that began with somebody's first request in it.
#[derive(Debug, Clone, Copy)]
struct Window {
    began: TimeDelta,
    count: u32,
}

/// How a quota stands.
#[derive(Debug, Clone, Copy)]
struct Quota {
    policy: &'static str,
    quota: u32,
    rest: u32,
    /// Until the window is over, in seconds.
    resets: i64,
    is_exceeded: bool,
}

/// Where the quotas of a request are left for its answer.
#[derive(Debug, Clone, Default)]
struct Slot(Arc<OnceLock<Vec<Quota>>>);

impl Requests {
    pub(super) fn new(limits: &config::Limits) -> Self {
        Self {
            key: limits.key_per_minute,
            organization: limits.organization_per_minute,
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Whether anything is limited.
    pub(super) fn is_on(&self) -> bool {
        self.key > 0 || self.organization > 0
    }

    /// Counts a request of a key or user, `who`, of an organization. What goes beyond the key's quota does not count for the
    /// organization's.
    fn count(&self, organization: OrganizationId, who: Uuid, now: TimeDelta) -> Vec<Quota> {
        let limits = [("key", self.key, who), ("organization", self.organization, Uuid::nil())];
        let mut quotas = Vec::with_capacity(limits.len());
        for (policy, quota, who) in limits.into_iter().filter(|(_, quota, _)| *quota > 0) {
            let (count, resets) = self.count_one((organization.0, who), now);
            let is_exceeded = count > quota;
            quotas.push(Quota {
                policy,
                quota,
                rest: quota.saturating_sub(count),
                resets,
                is_exceeded,
            });
            if is_exceeded {
                break;
            }
        }
        quotas
    }

    /// Counts one more; returns how many there were in this window, and in how many seconds it is over.
    fn count_one(&self, whose: (Uuid, Uuid), now: TimeDelta) -> (u32, i64) {
        let shard = usize::try_from((whose.0.as_u128() ^ whose.1.as_u128()) % SHARDS as u128);
        let shard = &self.shards[shard.unwrap_or_default()];
        let mut windows = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let length = TimeDelta::seconds(WINDOW);
        if windows.len() >= REMEMBERED && !windows.contains_key(&whose) {
            windows.retain(|_, window| now - window.began < length);
            if windows.len() >= REMEMBERED {
                // Whoever comes now is not limited until some are forgotten; the organization still is.
                return (1, WINDOW);
            }
        }
        let window = windows.entry(whose).or_insert(Window { began: now, count: 0 });
        if now - window.began >= length {
            *window = Window { began: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        let left = length - (now - window.began);
        (window.count, (left.num_milliseconds() + 999) / 1_000)
    }
}

/// Admits a request of a key or user, `who`, of an organization, or says when it may come again. It is counted once, however
/// often this is asked.
pub(super) fn admit(
    app: &App,
    extensions: &Extensions,
    organization: OrganizationId,
    who: Uuid,
) -> Result<(), Problem> {
    if !app.requests.is_on() {
        return Ok(());
    }
    let slot = extensions.get::<Slot>().cloned().unwrap_or_default();
    let count = || app.requests.count(organization, who, app.gateway.clock.elapsed());
    match slot.0.get_or_init(count).iter().find(|quota| quota.is_exceeded) {
        Some(Quota { policy, resets, .. }) => {
            Err(Problem::quota_exceeded(policy, u32::try_from(*resets).unwrap_or(1).max(1)))
        }
        None => Ok(()),
    }
}

/// Tells in each answer how its quotas stand.
pub(super) async fn tell(mut request: Request, next: Next) -> Response {
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    let mut response = next.run(request).await;
    let Some(quotas) = slot.0.get() else { return response };
    let list = |item: fn(&Quota) -> String| {
        HeaderValue::from_str(&quotas.iter().map(item).collect::<Vec<_>>().join(", ")).ok()
    };
    let policies = list(|Quota { policy, quota, .. }| format!("\"{policy}\";q={quota};w={WINDOW}"));
    let limits =
        list(|Quota { policy, rest, resets, .. }| format!("\"{policy}\";r={rest};t={resets}"));
    for (name, value) in [(POLICY, policies), (LIMIT, limits)] {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(key: u32, organization: u32) -> Requests {
        let limits = config::Limits { key_per_minute: key, organization_per_minute: organization };
        Requests::new(&limits)
    }

    #[test]
    fn a_key_has_its_quota_and_does_not_use_up_the_organizations() {
        let (requests, organization) = (requests(2, 4), OrganizationId(Uuid::max()));
        let exceeded = |who: u128, second: i64| {
            let quotas =
                requests.count(organization, Uuid::from_u128(who), TimeDelta::seconds(second));
            quotas.iter().find(|quota| quota.is_exceeded).map(|quota| (quota.policy, quota.resets))
        };
        assert_eq!([exceeded(1, 0), exceeded(1, 10)], [None, None]);
        assert_eq!([exceeded(1, 20), exceeded(1, 59)], [Some(("key", 40)), Some(("key", 1))]);
        assert_eq!([exceeded(2, 20), exceeded(2, 20)], [None, None]);
        assert_eq!(exceeded(3, 30), Some(("organization", 30)));
        assert_eq!(exceeded(1, 60), None, "another minute");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let (requests, organization) = (requests(1, 0), OrganizationId(Uuid::max()));
        for who in 0..200_000 {
            requests.count(organization, Uuid::from_u128(who), TimeDelta::zero());
        }
        let remembered = |requests: &Requests| -> usize {
            requests.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
        };
        assert_eq!(remembered(&requests), SHARDS * REMEMBERED);
        for who in 0..SHARDS as u128 {
            let whose = Uuid::from_u128(1 << 100 | who);
            requests.count(organization, whose, TimeDelta::seconds(WINDOW));
        }
        assert_eq!(remembered(&requests), SHARDS, "what is over is forgotten");
    }
}
