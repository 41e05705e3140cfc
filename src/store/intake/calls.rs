//! Calls: each item of news is written once, and the call's row is the sum of its news.

use std::collections::{HashMap, HashSet};

use providers::{CallProgress, Direction, EventKind};
use uuid::Uuid;

use super::writer::{Work, Writer};
use crate::model::Item;
use crate::store::StoreError;
use crate::store::bulk::{Column, Rows};
use crate::store::call_logs::legs::{self, Reference};
use crate::store::call_logs::{self, CallRow};
use crate::store::messages::provider_ref;

struct News<'a> {
    work: Work<'a>,
    progress: &'a CallProgress,
    reference: Uuid,
}

pub(super) async fn apply(
    writer: &mut Writer<'_>,
    works: &[Work<'_>],
    later: &HashSet<Reference>,
) -> Result<(), StoreError> {
    let mut news: Vec<News<'_>> = works
        .iter()
        .filter_map(|work| match &work.item.event.kind {
            EventKind::Call(progress) => {
                let reference = provider_ref(work.item.provider, &progress.call.id);
                Some(News { work: *work, progress, reference })
            }
            _ => None,
        })
        .collect();
    if news.is_empty() {
        return Ok(());
    }
    news.sort_by_key(|news| (news.work.item.event.at, news.progress.sequence));
    let mut calls = load(writer, &news).await?;
    let mut changed: HashMap<Reference, bool> = HashMap::new();
    for news in &news {
        let key = (news.work.item.organization_id, news.reference);
        let created = !calls.contains_key(&key);
        let call = calls.entry(key).or_insert_with(|| begin(writer, news));
        let id = call.id;
        let fresh = call_logs::insert_event(
            &mut writer.session,
            id,
            news.work.item,
            news.progress,
            writer.now,
        )
        .await?;
        writer.count(&news.work, fresh);
        if !fresh {
            continue;
        }
        *changed.entry(key).or_default() |= created;
        let Some(call) = calls.get_mut(&key) else {
            continue;
        };
        call.learn(news.progress, news.work.item.event.at, writer.now);
        identify(writer, call, &news.work, later.contains(&key));
    }
    join_families(writer, &mut calls, &mut changed).await?;
    let rows: Vec<&CallRow> = changed.keys().filter_map(|key| calls.get(key)).collect();
    call_logs::upsert(&mut writer.session, &rows).await?;
    for (key, created) in changed {
        let Some(call) = calls.get(&key) else {
            continue;
        };
        let kind = if created { "call.created" } else { "call.updated" };
        writer.outbox.push(key.0, kind, call.id, Some(call.summary()));
    }
    Ok(())
}

async fn load(
    writer: &mut Writer<'_>,
    news: &[News<'_>],
) -> Result<HashMap<Reference, CallRow>, StoreError> {
    let references = news.iter().map(|n| (n.work.item.organization_id, n.reference)).collect();
    let mut calls = HashMap::new();
    load_more(writer, references, &mut calls).await?;
    Ok(calls)
}

/// Loads the calls of these references that are not there yet.
async fn load_more(
    writer: &mut Writer<'_>,
    references: Vec<Reference>,
    calls: &mut HashMap<Reference, CallRow>,
) -> Result<(), StoreError> {
    let mut keys = references;
    keys.retain(|key| !calls.contains_key(key));
    keys.sort_unstable();
    keys.dedup();
    let statement = format!(
        "select {} from k join call_logs c on c.organization_id = k.o and c.provider_ref = k.r",
        call_logs::COLUMNS
    );
    let rows: Vec<call_logs::Stored> = Rows::new()
        .column("o", Column::Uuid(keys.iter().map(|(o, _)| o.0).collect()))
        .column("r", Column::Uuid(keys.iter().map(|(_, r)| *r).collect()))
        .query(&mut writer.session, &statement)
        .await?;
    take_in(rows, calls)
}

/// Adds calls as they are stored; those that are there have learned more since.
fn take_in(
    rows: Vec<call_logs::Stored>,
    calls: &mut HashMap<Reference, CallRow>,
) -> Result<(), StoreError> {
    for row in rows {
        let call = CallRow::try_from(row)?;
        calls.entry((call.organization_id, call.provider_ref)).or_insert(call);
    }
    Ok(())
}

/// Lets the other legs of what changed know of it: the call that a leg was dialled from, the legs of a call, the rest of its
/// conversation.
async fn join_families(
    writer: &mut Writer<'_>,
    calls: &mut HashMap<Reference, CallRow>,
    changed: &mut HashMap<Reference, bool>,
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let news: Vec<&CallRow> = changed.keys().filter_map(|key| calls.get(key)).collect();
    let parents: Vec<Reference> = news.iter().filter_map(|call| call.parent()).collect();
    let ids: Vec<(Uuid, String)> = news
        .iter()
        .flat_map(|call| call.family().map(|id| (call.organization_id.0, id.to_owned())))
        .collect();
    let sessions: Vec<(Uuid, String)> = news
        .iter()
        .filter_map(|call| Some((call.organization_id.0, call.conversation()?.to_owned())))
        .collect();
    load_more(writer, parents, calls).await?;
    for (column, keys) in [("parent_call_id", ids), ("session_id", sessions)] {
        let statement = format!(
            "select {} from k join call_logs c on c.organization_id = k.o and c.{column} = k.i",
            call_logs::COLUMNS
        );
        let rows: Vec<call_logs::Stored> = Rows::new()
            .column("o", Column::Uuid(keys.iter().map(|(o, _)| *o).collect()))
            .column("i", Column::Text(keys.iter().map(|(_, id)| id.as_str()).collect()))
            .query(&mut writer.session, &statement)
            .await?;
        take_in(rows, calls)?;
    }
    let news = changed.keys().copied().collect();
    for key in legs::relate(calls, &news, writer.now) {
        changed.entry(key).or_default();
    }
    Ok(())
}

/// Those calls of a batch that were made by passing another call on, as far as their conversation tells: whoever is called by
/// them is nobody's customer.
pub(super) async fn later_legs(
    writer: &mut Writer<'_>,
    works: &[Work<'_>],
) -> Result<HashSet<Reference>, StoreError> {
    let legs: Vec<(&Item, &CallProgress, &str)> = works
        .iter()
        .filter_map(|work| match &work.item.event.kind {
            EventKind::Call(call) => Some((work.item, &**call, call.call.session.as_deref()?)),
            _ => None,
        })
        .collect();
    let outgoing = legs.iter().filter(|(item, _, _)| item.direction == Some(Direction::Outbound));
    let reference =
        |(item, call, _): &(&Item, &CallProgress, &str)| provider_ref(item.provider, &call.call.id);
    let asked: Vec<_> =
        outgoing.clone().map(|leg| (leg.0.organization_id, leg.2, reference(leg))).collect();
    let mut later = legs::later_legs(&mut writer.session, &asked).await?;
    for leg in outgoing {
        let began_before = |other: &&(&Item, &CallProgress, &str)| {
            (other.0.organization_id, other.2) == (leg.0.organization_id, leg.2)
                && other.1.call.id != leg.1.call.id
                && (other.0.direction == Some(Direction::Inbound)
                    || other.0.event.at < leg.0.event.at)
        };
        if legs.iter().any(|other| began_before(&other)) {
            later.insert((leg.0.organization_id, reference(leg)));
        }
    }
    Ok(later)
}

fn begin(writer: &Writer<'_>, news: &News<'_>) -> CallRow {
    let item = news.work.item;
    CallRow::begin(writer.ids.at(item.event.at), item, news.progress, news.reference, writer.now)
}

/// The person and our number, as soon as some item of news names them.
fn identify(writer: &Writer<'_>, call: &mut CallRow, work: &Work<'_>, is_later: bool) {
    let item = work.item;
    if call.identity_id.is_none()
        && !is_later
        && !call.is_leg()
        && let Some(person) = &item.person
    {
        call.identity_id = writer.identities.identity(item.organization_id, person);
    }
    if call.our_address.is_none() {
        call.our_address.clone_from(&item.our_address);
    }
    if let Some(direction) = item.direction
        && !call.direction_known
    {
        call.direction = direction;
        call.direction_known = true;
    }
}
