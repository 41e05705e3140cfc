//! `event_heads`, `events`: the outbox of each organization, in one order.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::bulk::{Column, Rows};
use super::session::{dialect, on};
use super::{Session, StoreError};
use crate::clock::Timestamp;
use crate::model::OrganizationId;

/// One thing that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEvent {
    /// Its place in the organization's order.
    pub seq: i64,
    /// What happened: `message.received`, `call.updated` …
    pub kind: String,
    /// The id of what it happened to.
    pub subject_id: Uuid,
    /// What cannot be read at the subject itself.
    pub data: Option<Value>,
    /// When it was written.
    pub at: Timestamp,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// In order.
    pub events: Vec<OutboxEvent>,
    /// The newest number there is.
    pub head: i64,
    /// Events up to this number are no longer kept.
    pub pruned: i64,
}

/// The locked heads of some organizations, and the events that will be written for them.
#[derive(Debug)]
pub struct Outbox {
    heads: BTreeMap<OrganizationId, Head>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Head {
    seq: i64,
    moved: bool,
}

#[derive(Debug)]
struct Row {
    organization_id: OrganizationId,
    seq: i64,
    kind: &'static str,
    subject_id: Uuid,
    data: Option<Value>,
}

/// What a transaction does where another one has a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It waits.
    Wait,
    /// It does without, and comes again. SQLite has one writer, who has all heads.
    Skip,
}

/// The order in which heads are locked, by everybody, so that no two transactions wait for each other.
pub(super) fn lock_order(organizations: impl IntoIterator<Item = OrganizationId>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = organizations.into_iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl Outbox {
    /// Locks the heads of these organizations until the session ends. From here on no other transaction writes for
    /// them, and everything that others wrote before is seen.
    pub async fn lock(
        session: &mut Session,
        organizations: impl IntoIterator<Item = OrganizationId>,
    ) -> Result<Self, StoreError> {
        let ids = lock_order(organizations);
        let expected = ids.len();
        let outbox = Self::take(session, ids, Patience::Wait).await?;
        match outbox.heads.len() == expected {
            true => Ok(outbox),
            false => Err(StoreError::Damaged("an organization has no event head".to_owned())),
        }
    }

    /// The same, as patiently as it is said; `None` if another transaction has one of the heads, or one does not exist.
    pub(super) async fn lock_with(
        session: &mut Session,
        organizations: impl IntoIterator<Item = OrganizationId>,
        patience: Patience,
    ) -> Result<Option<Self>, StoreError> {
        match patience {
            Patience::Wait => Self::lock(session, organizations).await.map(Some),
            Patience::Skip => {
                let ids = lock_order(organizations);
                let expected = ids.len();
                let outbox = Self::take(session, ids, patience).await?;
                Ok((outbox.heads.len() == expected).then_some(outbox))
            }
        }
    }

    /// Which of these organizations have their heads to themselves just now.
    pub(super) async fn free(
        session: &mut Session,
        organizations: impl IntoIterator<Item = OrganizationId>,
    ) -> Result<HashSet<OrganizationId>, StoreError> {
        let outbox = Self::take(session, lock_order(organizations), Patience::Skip).await?;
        Ok(outbox.heads.into_keys().collect())
    }

    async fn take(
        session: &mut Session,
        ids: Vec<Uuid>,
        patience: Patience,
    ) -> Result<Self, StoreError> {
        let sql = dialect!(session,
            sqlite: "select h.organization_id, h.seq from k join event_heads h on h.organization_id = k.organization_id",
            postgres: match patience {
                Patience::Wait => "select h.organization_id, h.seq from k join event_heads h
                    on h.organization_id = k.organization_id order by h.organization_id for update of h",
                Patience::Skip => "select h.organization_id, h.seq from k join event_heads h
                    on h.organization_id = k.organization_id order by h.organization_id for update of h skip locked",
            },
        );
        let keys = Rows::new().column("organization_id", Column::Uuid(ids));
        let found: Vec<(OrganizationId, i64)> = keys.query(session, sql).await?;
        let head = |(id, seq)| (id, Head { seq, moved: false });
        Ok(Self { heads: found.into_iter().map(head).collect(), rows: Vec::new() })
    }

    /// Notes that something happened. The organization must be one of those locked.
    pub fn push(
        &mut self,
        organization_id: OrganizationId,
        kind: &'static str,
        subject_id: Uuid,
        data: Option<Value>,
    ) {
        let Some(head) = self.heads.get_mut(&organization_id) else {
            debug_assert!(false, "the head of {organization_id} is not locked");
            return;
        };
        head.seq += 1;
        head.moved = true;
        self.rows.push(Row { organization_id, seq: head.seq, kind, subject_id, data });
    }

    /// Writes the events and moves the heads.
    pub async fn flush(self, session: &mut Session, now: Timestamp) -> Result<(), StoreError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = &self.rows;
        Rows::new()
            .column(
                "organization_id",
                Column::Uuid(rows.iter().map(|r| r.organization_id.0).collect()),
            )
            .column("seq", Column::Int(rows.iter().map(|r| r.seq).collect()))
            .column("kind", Column::Text(rows.iter().map(|r| r.kind).collect()))
            .column("subject_id", Column::Uuid(rows.iter().map(|r| r.subject_id).collect()))
            .column("data", Column::Json(rows.iter().map(|r| r.data.as_ref().map(Json)).collect()))
            .column("at", Column::Time(vec![now; rows.len()]))
            .insert(session, "events", "")
            .await?;
        let moved: Vec<(Uuid, i64)> = self
            .heads
            .iter()
            .filter(|(_, head)| head.moved)
            .map(|(id, head)| (id.0, head.seq))
            .collect();
        Rows::new()
            .column("organization_id", Column::Uuid(moved.iter().map(|(id, _)| *id).collect()))
            .column("seq", Column::Int(moved.iter().map(|(_, seq)| *seq).collect()))
            .execute(
                session,
                "update event_heads set seq = k.seq from k where event_heads.organization_id = k.organization_id",
            )
            .await
    }
}

/// Gives a new organization its head.
pub async fn create_head(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<(), StoreError> {
    let sql =
        "insert into event_heads (organization_id, seq) values ($1, 0) on conflict do nothing";
    on!(session, |c| sqlx::query(sql).bind(organization).execute(c).await.map(drop))?;
    Ok(())
}

/// The events after number `after`, at most `limit`.
pub async fn after(
    session: &mut Session,
    organization: OrganizationId,
    after: i64,
    limit: i64,
) -> Result<EventPage, StoreError> {
    let head = "select seq, pruned_seq from event_heads where organization_id = $1";
    let (head, pruned): (i64, i64) =
        on!(session, |c| sqlx::query_as(head).bind(organization).fetch_one(c).await)?;
    let sql = "select seq, kind, subject_id, data, at from events
               where organization_id = $1 and seq > $2 order by seq limit $3";
    type Found = (i64, String, Uuid, Option<Json<Value>>, Timestamp);
    let rows: Vec<Found> = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(after).bind(limit).fetch_all(c).await
    })?;
    let event = |(seq, kind, subject_id, data, at): Found| OutboxEvent {
        seq,
        kind,
        subject_id,
        data: data.map(|Json(data)| data),
        at,
    };
    Ok(EventPage { events: rows.into_iter().map(event).collect(), head, pruned })
}
