//! `suppressions`: whom not to write to, about what, and why.

use std::collections::HashSet;

use chrono::TimeDelta;
use providers::{Address, Channel};

use crate::clock::Timestamp;
use crate::ids::first_at;
use crate::model::{OrganizationId, SuppressionScope};
use crate::store::bulk::{Column, Rows};
use crate::store::session::on;
use crate::store::{Session, StoreError};

/// How far a provider's clock may be from ours, and how coarse its times may be.
const CLOCKS: TimeDelta = TimeDelta::minutes(1);

/// A message that was sent longer ago proves nothing when it is delivered at last.
const OLD: TimeDelta = TimeDelta::days(30);

/// Somebody who is not written to on a channel, or gets no marketing there.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Suppression {
    /// The channel.
    pub channel: String,
    /// The kind of their address.
    pub kind: String,
    /// What all spellings of their address have in common.
    pub match_key: String,
    /// `all` or `marketing`: what they are not sent.
    pub scope: String,
    /// Their address.
    pub value: String,
    /// `opted_out`, `undeliverable` or `manual`.
    pub reason: String,
    /// More about it.
    pub detail: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
    /// When we were told.
    pub known_at: Timestamp,
}

/// Why somebody is not written to.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    /// `opted_out`, `undeliverable` or `manual`.
    pub reason: &'a str,
    /// What they are not sent.
    pub scope: SuppressionScope,
    /// More about it.
    pub detail: Option<&'a str>,
    /// When it ends by itself; `None`: when somebody takes it back.
    pub until: Option<Timestamp>,
    /// When it began: when they said so, or when the message failed that could not be delivered.
    pub since: Timestamp,
}

struct Row<'a> {
    organization: OrganizationId,
    channel: &'a str,
    kind: &'a str,
    match_key: &'a str,
    value: &'a str,
    cause: Cause<'a>,
}

/// What people of the organization decided stays until they take it back, and what somebody asked for themselves is not shortened
/// by anything else. Of other news the later counts, whichever comes first; a wish that is older than a failure still holds.
const UNLESS_LESS: &str = "on conflict (organization_id, channel, kind, match_key, scope) do update set
    value = excluded.value, reason = excluded.reason, detail = excluded.detail, until = excluded.until,
    created_at = excluded.created_at, known_at = excluded.known_at
    where excluded.reason = 'manual' or (suppressions.reason <> 'manual'
        and (suppressions.until is not null or excluded.until is null)
        and (excluded.created_at >= suppressions.created_at
             or (suppressions.reason <> 'resumed' and suppressions.until is not null and excluded.until is null)))";

/// From now on this address is not written to, or gets no marketing.
pub async fn put(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    address: &Address,
    cause: &Cause<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = Row {
        organization,
        channel: channel.word(),
        kind: address.kind(),
        match_key: &address.match_key(),
        value: address.value(),
        cause: *cause,
    };
    write(session, &[row], UNLESS_LESS, now).await
}

async fn write(
    session: &mut Session,
    rows: &[Row<'_>],
    on_conflict: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let causes = || rows.iter().map(|row| row.cause);
    Rows::new()
        .column(
            "organization_id",
            Column::Uuid(rows.iter().map(|row| row.organization.0).collect()),
        )
        .column("channel", Column::Text(rows.iter().map(|row| row.channel).collect()))
        .column("kind", Column::Text(rows.iter().map(|row| row.kind).collect()))
        .column("match_key", Column::Text(rows.iter().map(|row| row.match_key).collect()))
        .column("scope", Column::Text(causes().map(|cause| cause.scope.word()).collect()))
        .column("value", Column::Text(rows.iter().map(|row| row.value).collect()))
        .column("reason", Column::Text(causes().map(|cause| cause.reason).collect()))
        .column("detail", Column::MaybeText(causes().map(|cause| cause.detail).collect()))
        .column("until", Column::MaybeTime(causes().map(|cause| cause.until).collect()))
        .column("created_at", Column::Time(causes().map(|cause| cause.since).collect()))
        .column("known_at", Column::Time(vec![now; rows.len()]))
        .insert(session, "suppressions", on_conflict)
        .await
}

/// The person wants to be written to again, or to get marketing again, since then. What people of the organization decided is not
/// lifted by it, and neither is what began later. From somebody who was never suppressed this changes nothing but that an older
/// wish, told later, has no effect.
pub async fn resume(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    address: &Address,
    scope: SuppressionScope,
    since: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    // It has ended, even if the provider's clock is ahead.
    let until = Some(since.min(now));
    let row = Row {
        organization,
        channel: channel.word(),
        kind: address.kind(),
        match_key: &address.match_key(),
        value: address.value(),
        cause: Cause { reason: "resumed", scope, detail: None, until, since },
    };
    let unless_later =
        "on conflict (organization_id, channel, kind, match_key, scope) do update set
        value = excluded.value, reason = excluded.reason, detail = null, until = excluded.until,
        created_at = excluded.created_at, known_at = excluded.known_at
        where suppressions.reason <> 'manual' and suppressions.created_at <= excluded.created_at";
    write(session, &[row], unless_later, now).await
}

#[derive(Debug, sqlx::FromRow)]
struct OfAddress {
    n: i64,
    #[sqlx(flatten)]
    suppression: Suppression,
}

/// What keeps these addresses from being written to now: one list an address, in their order, with at most one a scope.
pub async fn of_addresses(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    addresses: &[&Address],
    now: Timestamp,
) -> Result<Vec<Vec<Suppression>>, StoreError> {
    let count = addresses.len();
    let keys: Vec<_> = addresses.iter().map(|address| address.match_key()).collect();
    let found: Vec<OfAddress> = Rows::new()
        .column("n", Column::Int((0_i64..).take(count).collect()))
        .column("o", Column::Uuid(vec![organization.0; count]))
        .column("c", Column::Text(vec![channel.word(); count]))
        .column("kd", Column::Text(addresses.iter().map(|address| address.kind()).collect()))
        .column("mk", Column::Text(keys.iter().map(AsRef::as_ref).collect()))
        .column("now", Column::Time(vec![now; count]))
        .query(
            session,
            "select k.n, s.channel, s.kind, s.match_key, s.scope, s.value, s.reason, s.detail, s.until, s.created_at,
                 s.known_at from k join suppressions s on s.organization_id = k.o and s.channel = k.c
             and s.kind = k.kd and s.match_key = k.mk where s.until is null or s.until > k.now",
        )
        .await?;
    let found = in_force(session, organization, found, |found| &found.suppression).await?;
    let mut suppressions: Vec<Vec<Suppression>> = vec![Vec::new(); count];
    for OfAddress { n, suppression } in found {
        if let Some(of_one) = usize::try_from(n).ok().and_then(|n| suppressions.get_mut(n)) {
            of_one.push(suppression);
        }
    }
    Ok(suppressions)
}

/// Everybody who is not written to now, at most `limit`, newest first.
pub async fn list(
    session: &mut Session,
    organization: OrganizationId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Suppression>, StoreError> {
    let sql =
        "select channel, kind, match_key, scope, value, reason, detail, until, created_at, known_at
               from suppressions where organization_id = $1 and (until is null or until > $2)
               order by created_at desc limit $3";
    let found = on!(session, |c| {
        sqlx::query_as(sql).bind(organization).bind(now).bind(limit).fetch_all(c).await
    })?;
    in_force(session, organization, found, |suppression| suppression).await
}

/// Those of suppressions whose time is not over that nothing has lifted: that somebody cannot be reached is disproved by whatever
/// has come from them on that channel since, and by whatever has reached them. It is asked only where there is such a suppression.
///
/// What an address proves it proves for all its spellings, and for the ids by which the channel knows the same person; that
/// somebody has another number proves nothing of this one.
pub(super) async fn in_force<T>(
    session: &mut Session,
    organization: OrganizationId,
    found: Vec<T>,
    of: impl Fn(&T) -> &Suppression,
) -> Result<Vec<T>, StoreError> {
    let doubtful = |suppression: &Suppression| {
        suppression.reason == "undeliverable" && suppression.scope == SuppressionScope::All.word()
    };
    let asked: Vec<(i64, &Suppression)> =
        (0_i64..).zip(found.iter().map(&of)).filter(|(_, one)| doubtful(one)).collect();
    if asked.is_empty() {
        return Ok(found);
    }
    let all = || asked.iter().map(|(_, suppression)| *suppression);
    let lifted: Vec<(i64,)> = Rows::new()
        .column("n", Column::Int(asked.iter().map(|(n, _)| *n).collect()))
        .column("o", Column::Uuid(vec![organization.0; asked.len()]))
        .column("c", Column::Text(all().map(|one| one.channel.as_str()).collect()))
        .column("kd", Column::Text(all().map(|one| one.kind.as_str()).collect()))
        .column("mk", Column::Text(all().map(|one| one.match_key.as_str()).collect()))
        .column("f", Column::Uuid(all().map(|one| first_at(one.created_at - OLD)).collect()))
        .column("si", Column::Time(all().map(|one| one.created_at).collect()))
        .column("cl", Column::Time(all().map(|one| one.created_at - CLOCKS).collect()))
        .column("kn", Column::Time(all().map(|one| one.known_at).collect()))
        .query(session, SIGN_OF_LIFE)
        .await?;
    let lifted: HashSet<i64> = lifted.into_iter().map(|(n,)| n).collect();
    let kept = (0_i64..).zip(found).filter(|(n, _)| !lifted.contains(n));
    Ok(kept.map(|(_, one)| one).collect())
}

/// Something that happened after the suppression began; or that we heard of after we heard of it, if it happened so near to its
/// beginning that two clocks cannot tell.
const SIGN_OF_LIFE: &str = "select k.n from k where exists (
    select 1 from contact_identities named join contact_identities theirs
    on theirs.organization_id = named.organization_id and theirs.contact_id = named.contact_id
    and (theirs.kind <> named.kind or theirs.match_key = named.match_key)
    join messages m on m.organization_id = theirs.organization_id and m.identity_id = theirs.id
    where named.organization_id = k.o and named.kind = k.kd and named.match_key = k.mk
    and m.id >= k.f and m.channel = k.c
    and ((m.direction = 'inbound'
          and (m.occurred_at > k.si or (m.created_at > k.kn and m.occurred_at >= k.cl)))
      or (m.direction = 'outbound' and m.status in ('delivered', 'read', 'played') and exists (
          select 1 from message_statuses s where s.organization_id = m.organization_id and s.message_id = m.id
          and s.status in ('delivered', 'read', 'played')
          and (s.at > k.si or (s.received_at > k.kn and s.at >= k.cl))))))";

/// Takes suppressions of an address back: of one scope, or all. `false` if nothing kept it from being written to.
pub async fn delete(
    session: &mut Session,
    organization: OrganizationId,
    channel: Channel,
    address: &Address,
    scope: Option<SuppressionScope>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "delete from suppressions
               where organization_id = $1 and channel = $2 and kind = $3 and match_key = $4
               and ($5 is null or scope = $5) and (until is null or until > $6)";
    let key = address.match_key();
    let done = on!(session, |c| {
        let query = sqlx::query(sql).bind(organization).bind(channel.word()).bind(address.kind());
        let query = query.bind(key.as_ref()).bind(scope.map(SuppressionScope::word)).bind(now);
        query.execute(c).await.map(|done| done.rows_affected())
    })?;
    Ok(done > 0)
}
