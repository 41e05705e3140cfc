//! Calls: each item of news is written once, and the call's row is the sum of its news.

use std::collections::HashMap;

use providers::{CallProgress, EventKind};
use serde_json::json;
use uuid::Uuid;

use super::writer::{Work, Writer};
use crate::model::OrganizationId;
use crate::store::StoreError;
use crate::store::bulk::{Column, Rows};
use crate::store::call_logs::{self, CallRow};
use crate::store::messages::provider_ref;

type Reference = (OrganizationId, Uuid);

struct News<'a> {
    work: Work<'a>,
    progress: &'a CallProgress,
    reference: Uuid,
}

pub(super) async fn apply(writer: &mut Writer<'_>, works: &[Work<'_>]) -> Result<(), StoreError> {
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
        identify(writer, call, &news.work);
    }
    let rows: Vec<&CallRow> = changed.keys().filter_map(|key| calls.get(key)).collect();
    call_logs::upsert(&mut writer.session, &rows).await?;
    for (key, created) in changed {
        let Some(call) = calls.get(&key) else {
            continue;
        };
        let kind = if created { "call.created" } else { "call.updated" };
        let data = json!({ "status": call.state.word(), "outcome": call.outcome() });
        writer.outbox.push(key.0, kind, call.id, Some(data));
    }
    Ok(())
}

async fn load(
    writer: &mut Writer<'_>,
    news: &[News<'_>],
) -> Result<HashMap<Reference, CallRow>, StoreError> {
    let mut keys: Vec<(Uuid, Uuid)> =
        news.iter().map(|n| (n.work.item.organization_id.0, n.reference)).collect();
    keys.sort_unstable();
    keys.dedup();
    let statement = format!(
        "select {} from k join call_logs c on c.organization_id = k.o and c.provider_ref = k.r",
        call_logs::COLUMNS
    );
    let rows: Vec<call_logs::Stored> = Rows::new()
        .column("o", Column::Uuid(keys.iter().map(|(o, _)| *o).collect()))
        .column("r", Column::Uuid(keys.iter().map(|(_, r)| *r).collect()))
        .query(&mut writer.session, &statement)
        .await?;
    let mut calls = HashMap::with_capacity(rows.len());
    for row in rows {
        let call = CallRow::try_from(row)?;
        calls.insert((call.organization_id, call.provider_ref), call);
    }
    Ok(calls)
}

fn begin(writer: &Writer<'_>, news: &News<'_>) -> CallRow {
    let item = news.work.item;
    CallRow::begin(writer.ids.at(item.event.at), item, news.progress, news.reference, writer.now)
}

/// The person and our number, as soon as some item of news names them.
fn identify(writer: &Writer<'_>, call: &mut CallRow, work: &Work<'_>) {
    let item = work.item;
    if call.identity_id.is_none()
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
