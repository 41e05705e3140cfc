//! What must be known of recipients before they are written to: whether they have written to us, and whether they wish to
//! be left alone.

use std::collections::{HashMap, HashSet};

use providers::Channel;
use uuid::Uuid;

use super::suppressions::{self, Suppression};
use crate::clock::Timestamp;
use crate::ids::first_at;
use crate::model::{IdentityId, Lane, OrganizationId};
use crate::store::bulk::{Column, Rows};
use crate::store::session::on;
use crate::store::{Session, StoreError};

fn rows(lane: Lane, identities: &[IdentityId]) -> Rows<'static> {
    Rows::new()
        .column("o", Column::Uuid(vec![lane.organization_id.0; identities.len()]))
        .column("i", Column::Uuid(identities.iter().map(|identity| identity.0).collect()))
        .column("c", Column::Text(vec![lane.channel.word(); identities.len()]))
}

/// Which of these people have written to this line of ours alone, not in a group, on the lane's channel since `since`, from
/// whichever of their addresses.
pub async fn who_wrote(
    session: &mut Session,
    lane: Lane,
    our_address: &str,
    identities: &[IdentityId],
    since: Timestamp,
) -> Result<HashSet<IdentityId>, StoreError> {
    let count = identities.len();
    let found: Vec<(IdentityId,)> = rows(lane, identities)
        .column("a", Column::Text(vec![our_address; count]))
        .column("f", Column::Uuid(vec![first_at(since); count]))
        .query(
            session,
            "select k.i from k where exists (
                 select 1 from contact_identities named join contact_identities theirs
                 on theirs.organization_id = named.organization_id and theirs.contact_id = named.contact_id
                 join messages m on m.organization_id = theirs.organization_id and m.identity_id = theirs.id
                 where named.organization_id = k.o and named.id = k.i and m.id >= k.f
                 and m.direction = 'inbound' and m.channel = k.c and m.our_address = k.a
                 and m.metadata ->> 'group_id' is null)",
        )
        .await?;
    Ok(found.into_iter().map(|(identity,)| identity).collect())
}

/// In which of these groups somebody has written to this line of ours on the lane's channel since `since`.
pub async fn who_wrote_in_groups(
    session: &mut Session,
    lane: Lane,
    our_address: &str,
    groups: impl IntoIterator<Item = &str>,
    since: Timestamp,
) -> Result<HashSet<String>, StoreError> {
    let mut wrote = HashSet::new();
    // Few messages go to groups: what each of them heard lately is looked for by itself.
    let sql = "select exists (select 1 from messages where organization_id = $1 and id >= $2 and direction = 'inbound'
               and channel = $3 and our_address = $4 and metadata ->> 'group_id' = $5
               and metadata ->> 'group_id' is not null)";
    for group in groups.into_iter().collect::<HashSet<_>>() {
        let found: bool = on!(session, |c| {
            let query = sqlx::query_scalar(sql).bind(lane.organization_id).bind(first_at(since));
            let query = query.bind(lane.channel.word()).bind(our_address).bind(group);
            query.fetch_one(c).await
        })?;
        if found {
            wrote.insert(group.to_owned());
        }
    }
    Ok(wrote)
}

/// Which of these people have been written to, or have written, on the lane's channel before.
pub async fn who_is_known(
    session: &mut Session,
    lane: Lane,
    identities: &[IdentityId],
) -> Result<HashSet<IdentityId>, StoreError> {
    let found: Vec<(IdentityId,)> = rows(lane, identities)
        .query(
            session,
            "select k.i from k where exists (
                 select 1 from messages m where m.organization_id = k.o and m.identity_id = k.i
                 and m.channel = k.c and (m.direction = 'inbound' or m.provider_ref is not null))",
        )
        .await?;
    Ok(found.into_iter().map(|(identity,)| identity).collect())
}

#[derive(Debug, sqlx::FromRow)]
struct Suppressed {
    identity: IdentityId,
    #[sqlx(flatten)]
    suppression: Suppression,
}

/// What keeps these people from being written to now: of each at most one suppression a scope.
pub async fn who_is_suppressed(
    session: &mut Session,
    lane: Lane,
    identities: &[IdentityId],
    now: Timestamp,
) -> Result<HashMap<IdentityId, Vec<Suppression>>, StoreError> {
    let count = identities.len();
    let found: Vec<Suppressed> = rows(lane, identities)
        .column("now", Column::Time(vec![now; count]))
        .query(
            session,
            "select k.i as identity, s.channel, s.kind, s.match_key, s.scope, s.value, s.reason, s.detail, s.until,
                 s.created_at, s.known_at from k
             join contact_identities i on i.organization_id = k.o and i.id = k.i
             join suppressions s on s.organization_id = k.o and s.channel = k.c
             and s.kind = i.kind and s.match_key = i.match_key
             where s.until is null or s.until > k.now",
        )
        .await?;
    let organization = lane.organization_id;
    let found =
        suppressions::in_force(session, organization, found, |found| &found.suppression).await?;
    let mut suppressed: HashMap<IdentityId, Vec<Suppression>> = HashMap::new();
    for Suppressed { identity, suppression } in found {
        suppressed.entry(identity).or_default().push(suppression);
    }
    Ok(suppressed)
}

/// The last message of each of these addresses on a channel, in either direction: the later one has the larger id. Addresses
/// without any are missing.
pub async fn last_uses(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    identities: &[IdentityId],
) -> Result<HashMap<IdentityId, Uuid>, StoreError> {
    let lane = Lane { organization_id: organization, channel };
    let found: Vec<(IdentityId, Option<Uuid>)> = rows(lane, identities)
        .query(
            session,
            "select k.i, (select m.id from messages m where m.organization_id = k.o and m.identity_id = k.i
                 and m.channel = k.c order by m.id desc limit 1) as last from k",
        )
        .await?;
    Ok(found.into_iter().filter_map(|(identity, last)| Some((identity, last?))).collect())
}
