//! `outbound`: messages that wait to be sent, and those that were.

use providers::{DeliveryStatus, Direction, MessageRef, OutboundContent, Template};
use serde_json::{Map, Value, json};
use sqlx::AssertSqlSafe;
use sqlx::types::Json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{IdentityId, Lane, MessageId, NewOutbound, OrganizationId, Purpose, QueueState};
use crate::store::bulk::{Column, Rows};
use crate::store::events::Outbox;
use crate::store::session::on;
use crate::store::types;
use crate::store::{Session, StoreError};

/// A message of ours as the queue holds it.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its id.
    pub id: MessageId,
    /// Its lane.
    pub lane: Lane,
    /// The recipient.
    pub identity: IdentityId,
    /// Where it stands.
    pub state: QueueState,
    /// When it is due.
    pub due_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// How often it was tried.
    pub attempts: i64,
    /// What it says.
    pub content: OutboundContent,
    /// What is sent in its place once the window has closed.
    pub fallback: Option<Template>,
    /// What it is for, if that was said.
    pub purpose: Option<Purpose>,
    /// The message it answers.
    pub reply_to: Option<(String, MessageRef)>,
    /// The group it goes to, by the provider's id of it, instead of to the recipient alone.
    pub group: Option<String>,
    /// What went wrong last.
    pub last_failure: Option<Value>,
    /// The paused template for which it waits, if that is what holds it back.
    pub template_hold: Option<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Writes messages and puts them into the queue. The organization's head must be locked.
pub async fn insert(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    new: &[NewOutbound],
    now: Timestamp,
) -> Result<(), StoreError> {
    write_messages(session, organization, new, now).await?;
    let contents: Vec<Value> = new.iter().map(|n| json!(n.content)).collect();
    let fallbacks: Vec<Option<Value>> =
        new.iter().map(|n| n.fallback.as_ref().map(|template| json!(template))).collect();
    Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; new.len()]))
        .column("message_id", Column::Uuid(new.iter().map(|n| n.id.0).collect()))
        .column("channel", Column::Text(new.iter().map(|n| n.channel.word()).collect()))
        .column("identity_id", Column::Uuid(new.iter().map(|n| n.identity.0).collect()))
        .column("state", Column::Text(vec![QueueState::Due.word(); new.len()]))
        .column("bulk", Column::Bool(new.iter().map(|n| n.bulk).collect()))
        .column("due_at", Column::Time(new.iter().map(|n| n.due_at).collect()))
        .column("expires_at", Column::Time(new.iter().map(|n| n.expires_at).collect()))
        .column("most_resends", Column::Int(new.iter().map(|n| n.most_resends).collect()))
        .column("content", Column::Json(contents.iter().map(|c| Some(Json(c))).collect()))
        .column("fallback", Column::Json(fallbacks.iter().map(|f| f.as_ref().map(Json)).collect()))
        .column(
            "purpose",
            Column::MaybeText(new.iter().map(|n| n.purpose.map(Purpose::word)).collect()),
        )
        .column(
            "reply_provider",
            Column::MaybeText(
                new.iter().map(|n| n.reply_to.as_ref().map(|(p, _)| p.as_str())).collect(),
            ),
        )
        .column(
            "reply_ref",
            Column::MaybeText(
                new.iter().map(|n| n.reply_to.as_ref().map(|(_, r)| r.0.as_str())).collect(),
            ),
        )
        .column("group_id", Column::MaybeText(new.iter().map(|n| n.group.as_deref()).collect()))
        .column("created_at", Column::Time(vec![now; new.len()]))
        .column("updated_at", Column::Time(vec![now; new.len()]))
        .insert(session, "outbound", "")
        .await?;
    for message in new {
        outbox.push(organization, "message.queued", message.id.0, None);
    }
    Ok(())
}

async fn write_messages(
    session: &mut Session,
    organization: OrganizationId,
    new: &[NewOutbound],
    now: Timestamp,
) -> Result<(), StoreError> {
    let words: Vec<Option<&str>> = new.iter().map(|n| n.content.text()).collect();
    Rows::new()
        .column("organization_id", Column::Uuid(vec![organization.0; new.len()]))
        .column("id", Column::Uuid(new.iter().map(|n| n.id.0).collect()))
        .column("account_id", Column::Uuid(new.iter().map(|n| n.account_id.0).collect()))
        .column("identity_id", Column::Uuid(new.iter().map(|n| n.identity.0).collect()))
        .column("provider", Column::Text(new.iter().map(|n| n.provider).collect()))
        .column("channel", Column::Text(new.iter().map(|n| n.channel.word()).collect()))
        .column("direction", Column::Text(vec![Direction::Outbound.word(); new.len()]))
        .column("our_address", Column::Text(new.iter().map(|n| n.our_address.as_str()).collect()))
        .column("kind", Column::Text(new.iter().map(|n| n.content.kind()).collect()))
        .column("content", Column::MaybeText(words))
        .column("status", Column::Text(vec![DeliveryStatus::Queued.word(); new.len()]))
        .column(
            "metadata",
            Column::Json(new.iter().map(|n| n.metadata.as_ref().map(Json)).collect()),
        )
        .column("occurred_at", Column::Time(vec![now; new.len()]))
        .column("created_at", Column::Time(vec![now; new.len()]))
        .insert(session, "messages", "")
        .await
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    message_id: MessageId,
    channel: String,
    identity_id: IdentityId,
    state: String,
    due_at: Timestamp,
    expires_at: Timestamp,
    attempts: i64,
    content: Json<OutboundContent>,
    fallback: Option<Json<Template>>,
    purpose: Option<String>,
    reply_provider: Option<String>,
    reply_ref: Option<String>,
    group_id: Option<String>,
    last_failure: Option<Json<Value>>,
    template_hold: Option<String>,
    updated_at: Timestamp,
}

/// One message of ours. In a writing session its row is locked.
pub async fn get(
    session: &mut Session,
    organization: OrganizationId,
    id: MessageId,
) -> Result<Option<Queued>, StoreError> {
    let sql =
        "select message_id, channel, identity_id, state, due_at, expires_at, attempts, content,
               fallback, purpose, reply_provider, reply_ref, group_id, last_failure, template_hold, updated_at
               from outbound where organization_id = $1 and message_id = $2";
    let sql = AssertSqlSafe(session.locking(sql));
    let found: Option<Row> =
        on!(session, |c| sqlx::query_as(sql).bind(organization).bind(id).fetch_optional(c).await)?;
    found.map(|row| queued(organization, row)).transpose()
}

fn queued(organization: OrganizationId, row: Row) -> Result<Queued, StoreError> {
    let channel = types::channel(&row.channel)?;
    Ok(Queued {
        id: row.message_id,
        lane: Lane { organization_id: organization, channel },
        identity: row.identity_id,
        state: types::queue_state(&row.state)?,
        due_at: row.due_at,
        expires_at: row.expires_at,
        attempts: row.attempts,
        content: row.content.0,
        fallback: row.fallback.map(|Json(template)| template),
        purpose: row.purpose.as_deref().and_then(Purpose::from_word),
        reply_to: row.reply_provider.zip(row.reply_ref.map(MessageRef)),
        group: row.group_id,
        last_failure: row.last_failure.map(|Json(failure)| failure),
        template_hold: row.template_hold,
        updated_at: row.updated_at,
    })
}

/// Dead messages, newest first, before `before`; those of one lane only, where one is named.
pub async fn dead(
    session: &mut Session,
    organization: OrganizationId,
    channel: Option<&str>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Queued>, StoreError> {
    let sql =
        "select message_id, channel, identity_id, state, due_at, expires_at, attempts, content,
               fallback, purpose, reply_provider, reply_ref, group_id, last_failure, template_hold, updated_at
               from outbound where organization_id = $1 and state = 'dead' and message_id < $2
               and ($3 is null or channel = $3) order by message_id desc limit $4";
    let before = before.unwrap_or(Uuid::max());
    let rows: Vec<Row> = on!(session, |c| {
        let query = sqlx::query_as(sql).bind(organization).bind(before).bind(channel);
        query.bind(limit).fetch_all(c).await
    })?;
    rows.into_iter().map(|row| queued(organization, row)).collect()
}

/// A change by a person to a message that nobody is sending: where it stands from now on, when it is due, what it says.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// Where it stands from now on.
    pub state: QueueState,
    /// When it is due.
    pub due_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// What it says.
    pub content: &'a OutboundContent,
    /// The status the timeline shows.
    pub status: DeliveryStatus,
}

/// Changes a message of ours, whatever its status was: a person has decided. Its row must be locked, and the head too.
pub async fn change(
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    id: MessageId,
    change: &Change<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let queue = "update outbound set state = $3, due_at = $4, expires_at = $5, content = $6, updated_at = $7,
                 template_hold = null, worker_id = null, claim_id = null
                 where organization_id = $1 and message_id = $2";
    let message = "update messages set status = $3, kind = $4, content = $5, processed_at = $6
                   where organization_id = $1 and id = $2";
    let (state, status) = (change.state.word(), change.status.word());
    let words = change.content.text();
    on!(session, |c| {
        let query = sqlx::query(queue).bind(organization).bind(id).bind(state);
        let query = query.bind(change.due_at).bind(change.expires_at).bind(Json(change.content));
        query.bind(now).execute(&mut *c).await?;
        let query = sqlx::query(message).bind(organization).bind(id).bind(status);
        query.bind(change.content.kind()).bind(words).bind(now).execute(c).await.map(drop)
    })?;
    outbox.push(organization, "message.status", id.0, Some(json!({ "status": status })));
    Ok(())
}

/// Puts another content in the place of a message's: the same, otherwise told. What is shown of it stays.
pub async fn put_content(
    session: &mut Session,
    organization: OrganizationId,
    id: MessageId,
    content: &OutboundContent,
) -> Result<(), StoreError> {
    let sql = "update outbound set content = $3 where organization_id = $1 and message_id = $2";
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(Json(content));
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// What the timeline shows of a message beside its words.
pub async fn metadata(
    session: &mut Session,
    organization: OrganizationId,
    id: MessageId,
) -> Result<Map<String, Value>, StoreError> {
    let sql = "select metadata from messages where organization_id = $1 and id = $2";
    let found: Option<Option<Json<Map<String, Value>>>> = on!(session, |c| {
        sqlx::query_scalar(sql).bind(organization).bind(id).fetch_optional(c).await
    })?;
    Ok(found.flatten().map(|Json(shown)| shown).unwrap_or_default())
}

/// Puts this in its place.
pub async fn put_metadata(
    session: &mut Session,
    organization: OrganizationId,
    id: MessageId,
    shown: Map<String, Value>,
) -> Result<(), StoreError> {
    let sql = "update messages set metadata = $3 where organization_id = $1 and id = $2";
    let shown = (!shown.is_empty()).then_some(Json(shown));
    on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(id).bind(shown);
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Makes messages of a lane due at once that were refused before and wait for their next try, but for those that their
/// recipient's own limit holds back, those that had been taken and failed later, and those whose template is paused; at
/// most `limit`. Returns whether there were any.
pub async fn hasten(
    session: &mut Session,
    lane: Lane,
    limit: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "update outbound set due_at = $3 where organization_id = $1 and message_id in (
                   select message_id from outbound where organization_id = $1 and channel = $2
                   and state = 'due' and due_at > $3 and attempts > 0 and throttled = 0 and resends = 0
                   and template_hold is null
                   order by bulk, due_at, message_id limit $4)";
    let hastened = on!(session, |c| {
        let query = sqlx::query(sql).bind(lane.organization_id).bind(lane.channel.word());
        query.bind(now).bind(limit).execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(hastened > 0)
}

/// What the queue of an organization looks like.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Depth {
    /// The channel.
    pub channel: String,
    /// `due`, `claimed`, `unknown` or `dead`.
    pub state: String,
    /// How many.
    pub count: i64,
    /// When the first of them became due.
    pub oldest: Timestamp,
}

/// How much waits, by channel and state.
pub async fn depth(
    session: &mut Session,
    organization: OrganizationId,
) -> Result<Vec<Depth>, StoreError> {
    // Each state has an index of its own, which is found by the word in the text; the long history is not read. Those of
    // `claimed` and `unknown` are short and of all organizations; `is true` keeps the primary key from being preferred.
    let many = |state: &str| {
        format!(
            "select channel, '{state}' as state, count(*) as count, min(due_at) as oldest from outbound
             where organization_id = $1 and state = '{state}' group by channel"
        )
    };
    let few = |state: &str| {
        format!(
            "select channel, '{state}' as state, count(*) as count, min(due_at) as oldest from outbound
             where (organization_id = $1) is true and state = '{state}' group by channel"
        )
    };
    let counts = [many("due"), few("claimed"), few("unknown"), many("dead")];
    let sql = format!("{} order by channel, state", counts.join(" union all "));
    let sql = sqlx::AssertSqlSafe(sql);
    Ok(on!(session, |c| sqlx::query_as(sql).bind(organization).fetch_all(c).await)?)
}
