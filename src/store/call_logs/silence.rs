//! Calls of which nothing is heard: they rang, and then nobody said what became of them.
//!
//! Providers tell of a call's end only where they were asked to, and their word may get lost. A call that rang and of which
//! nothing was heard for a while counts as not taken. That is a presumption: it is written beside the stage that was told, and
//! goes as soon as news says that the call went on.

use providers::CallStage;
use serde_json::{Value, json};
use uuid::Uuid;

use super::passed::Passed;
use super::{COLUMNS, CallRow, Stored, upsert};
use crate::clock::Timestamp;
use crate::model::OrganizationId;
use crate::store::bulk::{Column, Rows};
use crate::store::events::Outbox;
use crate::store::session::on;
use crate::store::{Session, StoreError};

/// Where the stage stands that the call was last told to be in, while it is presumed to be over.
pub(in crate::store) const MEMBER: &str = "presumed_from";

impl CallRow {
    /// Since when it is waited for news of a call that rings, or that was passed on and given back; `None` for all others: talk
    /// may last, and what is queued may wait.
    pub(super) fn watched_since(&self) -> Option<Timestamp> {
        let waits = match self.state {
            CallStage::Initiated | CallStage::Ringing => true,
            CallStage::InProgress => self.passed().is_over(),
            _ => false,
        };
        waits.then_some(self.processed_at)
    }

    /// Nothing was heard of it for long: it is presumed to be over.
    pub(super) fn fall_silent(&mut self, now: Timestamp) {
        self.metadata[MEMBER] = json!(self.state.word());
        self.state = match self.state {
            CallStage::InProgress => CallStage::Completed,
            _ => CallStage::NoAnswer,
        };
        self.processed_at = now;
    }

    /// Something was heard of it: it is again where it was told to be. `false` if it was not presumed to be over.
    pub(super) fn break_silence(&mut self) -> bool {
        let told = match &mut self.metadata {
            Value::Object(members) => members.remove(MEMBER),
            _ => None,
        };
        let stage = told.as_ref().and_then(Value::as_str).and_then(CallStage::from_word);
        if let Some(stage) = stage {
            self.state = stage;
        }
        stage.is_some()
    }

    /// What news must change for a silent call to count as going on.
    pub(super) fn standing(&self) -> (CallStage, bool, Passed) {
        (self.state, self.answered(), self.passed())
    }
}

/// Calls that have been waited for since `before` or longer, longest first, at most `limit`.
pub async fn due(
    session: &mut Session,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<(OrganizationId, Uuid)>, StoreError> {
    let sql = "/* every organization: whoever looks closes calls for all of them */
               select organization_id, id from call_logs
               where watched_since is not null and watched_since <= $1 order by watched_since limit $2";
    Ok(on!(session, |c| sqlx::query_as(sql).bind(before).bind(limit).fetch_all(c).await)?)
}

/// Presumes those of an organization's calls to be over that are still waited for since `before` or longer; the organization's
/// head is locked. Returns how many there were.
pub async fn close(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    calls: &[Uuid],
    (before, now): (Timestamp, Timestamp),
) -> Result<usize, StoreError> {
    let statement = format!(
        "select {COLUMNS} from k join call_logs c on c.organization_id = k.o and c.id = k.c
         where c.watched_since is not null and c.watched_since <= k.b"
    );
    let rows: Vec<Stored> = Rows::new()
        .column("o", Column::Uuid(vec![organization.0; calls.len()]))
        .column("c", Column::Uuid(calls.to_vec()))
        .column("b", Column::Time(vec![before; calls.len()]))
        .query(session, &statement)
        .await?;
    let mut silent = Vec::with_capacity(rows.len());
    for row in rows {
        let mut call = CallRow::try_from(row)?;
        call.fall_silent(now);
        silent.push(call);
    }
    upsert(session, &silent.iter().collect::<Vec<_>>()).await?;
    for call in &silent {
        outbox.push(organization, "call.updated", call.id, Some(call.summary()));
    }
    Ok(silent.len())
}
