//! The short way of plain messages on PostgreSQL: one statement for a batch, where the long way takes nine.
//!
//! Nearly all webhooks bring one message that needs nothing but its row, its event and its inbox row. Every round trip to the
//! database is time in which nothing else is written, so these are written by one statement that is its own transaction.
//! It keeps what the long way promises:
//!
//! - The heads of the organizations are locked first, in the order of their ids, and moved by what was really written: events
//!   stay in order and without gaps.
//! - The statement sees the database as it was when it began, so it might miss a status that was parked while it waited for
//!   a head. But it sees the heads as they are once it has locked them, and a head says whether anything waits: whoever
//!   parks holds the head. What waits is joined afterwards.
//! - It is idempotent: whoever is not told how it ended may run it again.
//!
//! People who are not remembered are made known before, in a transaction of their own.
//!
//! A head that another transaction has is not waited for: nothing is written then, and the caller sorts out whose head it is.

use std::collections::HashSet;

use providers::EventKind;
use uuid::Uuid;

use super::identities::Identities;
use super::messages::{self, Row, Stored};
use super::people::{self, Person};
use super::strangers::{self, Met};
use super::writer::{Hands, Work, Writer, people_of};
use super::{changes, quarantine, unread};
use crate::clock::Timestamp;
use crate::model::{OrganizationId, Receipt, Submission};
use crate::store::bulk::{Column, bind_all};
use crate::store::events::{Outbox, Patience, lock_order};
use crate::store::session::Connection;
use crate::store::{Engine, Store, StoreError, lender};

/// The statement, which locks heads as it is told. Parameters: 1 organizations, in order; 2 now; 3 to 17 the messages' columns;
/// 18 to 27 the inbox's columns. It writes all or, if a head is missing, nothing.
macro_rules! statement {
    ($lock:literal) => {
        concat!(
            "
    with heads as materialized (
        select organization_id, waiting from event_heads where organization_id = any($1::uuid[])
        order by organization_id ",
            $lock,
            "
    ), written as (
        insert into messages (organization_id, id, account_id, identity_id, provider_ref, provider_message_id, provider,
            channel, direction, our_address, kind, content, status, metadata, occurred_at, created_at)
        select k.*, $2::timestamptz from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::jsonb[],
            $17::timestamptz[]) k
        where (select count(*) from heads) = cardinality($1)
        on conflict (organization_id, provider_ref) do nothing
        returning organization_id, id, direction
    ), moved as (
        update event_heads h set seq = h.seq + n.count
        from (select organization_id, count(*) from written group by organization_id) n
        where h.organization_id = n.organization_id
        returning h.organization_id, h.seq - n.count as before
    ), announced as (
        insert into events (organization_id, seq, kind, subject_id, at)
        select w.organization_id,
            (select m.before from moved m where m.organization_id = w.organization_id)
                + row_number() over (partition by w.organization_id order by w.id),
            case w.direction when 'inbound' then 'message.received' else 'message.sent' end, w.id, $2
        from written w
    ), kept as (
        insert into webhook_inbox (organization_id, id, account_id, provider, method, url, headers, body, received_at,
            key_fingerprint)
        select k.* from unnest($18::uuid[], $19::uuid[], $20::uuid[], $21::text[], $22::text[], $23::text[], $24::text[],
            $25::bytea[], $26::timestamptz[], $27::bytea[]) k
        where (select count(*) from heads) = cardinality($1)
        on conflict do nothing
    )
    select (select count(*) from heads), array(select organization_id from heads where waiting), array(select id from written)"
        )
    };
}

/// It waits for heads that others have.
const WAITING: &str = statement!("for update");

/// It passes over them.
const SKIPPING: &str = statement!("for update skip locked");

/// Whether a submission may go this way: messages without files that say all, new ones only, nothing that must wait, and nothing
/// that is read again.
pub(super) fn suits(store: &Store, submission: &Submission) -> bool {
    let plain = |kind: &EventKind| match kind {
        EventKind::Message(message) => {
            !message.historical
                && message.content.attachments().is_empty()
                && !message.content.may_say_more()
                && message.context.opt_out.is_none()
                && !message.context.opt_in_word
        }
        _ => false,
    };
    store.engine() == Engine::Postgres
        && submission.keep
        && submission.quarantined.is_empty()
        && !submission.items.is_empty()
        && submission.items.iter().all(|item| plain(&item.event.kind))
}

/// What was committed.
pub(super) struct Written {
    /// In the order of the submissions.
    pub(super) receipts: Vec<Receipt>,
    /// The messages that are new.
    stored: Stored,
    /// All messages, new and known.
    keys: Vec<(OrganizationId, Uuid)>,
    /// For messages of these organizations changes wait, perhaps for these; or messages of theirs were known already.
    concerned: HashSet<OrganizationId>,
}

impl Written {
    /// The organizations for which [`join`] has something to do.
    pub(super) fn concerned(&self) -> &HashSet<OrganizationId> {
        &self.concerned
    }
}

/// Writes all submissions, or none. [`join`] does the rest, and may fail on its own. `None` if another transaction has the head
/// of one of the organizations, and is not to be waited for.
pub(super) async fn write(
    hands: Hands<'_>,
    batch: &[&Submission],
    patience: Patience,
) -> Result<Option<Written>, StoreError> {
    let Hands { store, ids, memory, now } = hands;
    let works = Work::of(batch);
    let mut identities = Identities::new(memory);
    let people = people_of(&works, &HashSet::new());
    let unknown: Vec<&Person<'_>> =
        people.iter().filter(|person| !identities.remembers(person)).collect();
    if !unknown.is_empty() {
        match strangers::make_known(store, ids, now, &mut identities, &unknown, patience).await? {
            Met::All => {}
            Met::Busy => return Ok(None),
            Met::NotAll => {
                let organizations = unknown.iter().map(|person| person.organization_id);
                let begun = begin(hands, identities, organizations, patience).await?;
                let Some(mut writer) = begun else { return Ok(None) };
                people::make_known(&mut writer, &unknown).await?;
                identities = writer.commit().await?.1;
            }
        }
    }
    let (rows, repeated) = messages::rows(ids, &identities, &works);
    let ran = run(store, now, batch, &rows, patience).await?;
    let Some((waited_for, inserted)) = ran else { return Ok(None) };
    let mut receipts = vec![Receipt::default(); batch.len()];
    for row in &rows {
        receipts[row.work.submission].count(inserted.contains(&row.id));
    }
    for work in &repeated {
        receipts[work.submission].count(false);
    }
    let key = |row: &Row<'_>| (row.work.item.organization_id, row.reference);
    let fresh = rows.iter().filter(|row| inserted.contains(&row.id));
    let stored = fresh.map(|row| (key(row), row.id)).collect();
    let known = rows.iter().filter(|row| !inserted.contains(&row.id));
    let concerned = waited_for.into_iter().chain(known.map(|row| row.work.item.organization_id));
    let concerned = concerned.collect();
    Ok(Some(Written { receipts, stored, keys: rows.iter().map(key).collect(), concerned }))
}

/// What plain messages rarely need: changes that came before them join them, and a message that was known already may say
/// more than what is known. It is done for these organizations. `false` if another transaction has the head of one of them, and
/// is not to be waited for.
pub(super) async fn join(
    hands: Hands<'_>,
    batch: &[&Submission],
    written: &Written,
    organizations: &HashSet<OrganizationId>,
    patience: Patience,
) -> Result<bool, StoreError> {
    let stored = &written.stored;
    let works = Work::of(batch);
    let (rows, _) = messages::rows(hands.ids, &Identities::new(hands.memory), &works);
    let is_known = |row: &&Row<'_>| {
        let organization = row.work.item.organization_id;
        organizations.contains(&organization)
            && !stored.contains_key(&(organization, row.reference))
    };
    let known: Vec<&Row<'_>> = rows.iter().filter(is_known).collect();
    let keys = written.keys.iter().filter(|(organization, _)| organizations.contains(organization));
    let keys: Vec<(OrganizationId, Uuid)> = keys.copied().collect();
    let identities = Identities::new(hands.memory);
    let begun = begin(hands, identities, organizations.iter().copied(), patience).await?;
    let Some(mut writer) = begun else { return Ok(false) };
    unread::fill(&mut writer, &known).await?;
    changes::join(&mut writer, Vec::new(), &keys, stored).await?;
    writer.commit().await.map(|_| true)
}

fn not_here() -> StoreError {
    StoreError::Damaged("the short way is PostgreSQL's".to_owned())
}

async fn begin<'a>(
    Hands { store, ids, now, .. }: Hands<'a>,
    identities: Identities<'a>,
    organizations: impl Iterator<Item = OrganizationId>,
    patience: Patience,
) -> Result<Option<Writer<'a>>, StoreError> {
    let mut session = store.write_intake().await?;
    let outbox = Outbox::lock_with(&mut session, organizations, patience).await?;
    let writer = |outbox| Writer { session, outbox, ids, now, identities, receipts: Vec::new() };
    Ok(outbox.map(writer))
}

/// Runs the statement; on another connection, if one turns out to be broken. Returns for messages of which organizations changes
/// wait, and the ids of the new messages; `None` if a head was passed over.
async fn run(
    store: &Store,
    now: Timestamp,
    batch: &[&Submission],
    rows: &[Row<'_>],
    patience: Patience,
) -> Result<Option<(Vec<OrganizationId>, HashSet<Uuid>)>, StoreError> {
    let organizations = lock_order(rows.iter().map(|row| row.work.item.organization_id));
    let statement = match patience {
        Patience::Wait => WAITING,
        Patience::Skip => SKIPPING,
    };
    let mut tries = store.intake_connections();
    loop {
        let mut session = store.untried().await?;
        let Connection::Postgres(connection) = session.connection() else {
            return Err(not_here());
        };
        let query = sqlx::query_as(statement).bind(&organizations).bind(now);
        let query = bind_all!(query, messages::columns(rows), quarantine::columns(batch));
        let (heads, waited_for, inserted): (i64, Vec<OrganizationId>, Vec<Uuid>) =
            match query.fetch_one(connection).await {
                Ok(written) => {
                    session.keep();
                    written
                }
                Err(error) => {
                    session.abandon();
                    lender::give_up_or_retry(&mut tries, error)?;
                    continue;
                }
            };
        if usize::try_from(heads) != Ok(organizations.len()) {
            return match patience {
                Patience::Skip => Ok(None),
                Patience::Wait => {
                    Err(StoreError::Damaged("an organization has no event head".to_owned()))
                }
            };
        }
        return Ok(Some((waited_for, inserted.into_iter().collect())));
    }
}
