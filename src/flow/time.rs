//! Whether the clock may be believed: what is told of it, and an operator's word.

use chrono::TimeDelta;
use serde_json::json;

use crate::clock::{Clock, Timestamp};
use crate::gateway::{Gateway, Look, Standing};
use crate::ids::Ids;
use crate::model::OrganizationId;
use crate::store::audit::{self, AuditEntry};
use crate::store::{Store, StoreError, timekeeping};

/// How often a gateway whose clock is believed notes that it is alive.
const SIGN_OF_LIFE: TimeDelta = TimeDelta::minutes(1);

/// Looks at what the database knows of time, says what has changed, and leaves a sign of life. Every process does so a few
/// times a minute.
pub async fn look(gateway: &Gateway) -> Result<Standing, StoreError> {
    let (known, ahead) = timekeeping::read(&gateway.store, &gateway.clock).await?;
    let look = gateway.time.look(known, ahead);
    tell(&look);
    let now = look.now;
    match look.standing {
        Standing::Well => {
            let recent = |at: Timestamp| at > now - SIGN_OF_LIFE;
            let is_noted = known.alive_at.is_some_and(recent);
            if !is_noted || known.doubted_at.is_some() || known.jumped_at.is_some() {
                let mut session = gateway.store.write_all().await?;
                timekeeping::alive(&mut session, now).await?;
                session.commit().await?;
            }
        }
        Standing::Doubted { .. } => {
            let mut session = gateway.store.write_all().await?;
            let ms = look.doubted.num_milliseconds();
            timekeeping::doubted(&mut session, now, ms).await?;
            session.commit().await?;
        }
        Standing::Jumped(_) if known.jumped_at.is_none() => {
            let mut session = gateway.store.write_all().await?;
            timekeeping::jumped(&mut session, now).await?;
            session.commit().await?;
        }
        Standing::Jumped(_) | Standing::Behind(_) | Standing::Skewed(_) => {}
    }
    Ok(look.standing)
}

/// Says what has changed. What is deleted later, or not, is no news each time.
fn tell(look: &Look) {
    match look.word {
        Some(true) => {
            tracing::warn!(now = %look.now, "an operator said that the clock is right; it is believed");
        }
        Some(false) => tracing::error!(
            now = %look.now,
            "an operator said that another machine's clock is right; this one shows another time and is not believed for it"
        ),
        None => {}
    }
    if std::mem::discriminant(&look.standing) == std::mem::discriminant(&look.before) {
        return;
    }
    match look.standing.describe() {
        Some(text) if look.standing.is_failing() => tracing::error!(now = %look.now, "{text}"),
        Some(text) => tracing::warn!(now = %look.now, "{text}"),
        None => tracing::info!(now = %look.now, "the clock is believed again"),
    }
}

/// What an operator's word was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// What the clock shows.
    pub now: Timestamp,
    /// The last sign of life before.
    pub alive_at: Option<Timestamp>,
    /// By how much the clock is ahead of PostgreSQL's, where that is too far for it to be right: then nothing was written.
    pub contradicted: Option<TimeDelta>,
}

/// Writes down that the clock is right, because an operator says so, and that they did. Processes that run on a machine whose
/// clock agrees take it within a minute.
pub async fn say_right(store: &Store, clock: &Clock) -> Result<Said, StoreError> {
    let (known, ahead) = timekeeping::read(store, clock).await?;
    let now = clock.now();
    let contradicted = ahead.filter(|ahead| ahead.abs() > TimeDelta::minutes(1));
    let said = Said { now, alive_at: known.alive_at, contradicted };
    if contradicted.is_some() {
        return Ok(said);
    }
    let ids = Ids::new(clock.clone());
    let entry = AuditEntry {
        id: ids.next(),
        actor_kind: "operator".to_owned(),
        actor_id: String::new(),
        action: "clock.is_right".to_owned(),
        subject: "clock".to_owned(),
        detail: json!({ "shows": now, "alive_at": known.alive_at }),
        request_id: None,
        at: now,
    };
    let mut session = store.write_all().await?;
    timekeeping::right(&mut session, ids.next(), now).await?;
    audit::insert(&mut session, OrganizationId::PLATFORM, &entry).await?;
    session.commit().await?;
    Ok(said)
}
