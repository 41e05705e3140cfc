//! The short way of people: most who are not remembered have either never written before, or are known just as they are.
//!
//! The first are made known by one statement that is its own transaction. Whoever is known under another name, in another
//! spelling or as several contacts is left to the long way, which holds the organization's head while it looks and writes.
//! Two processes that meet the same stranger at once cannot both succeed: addresses are unique.

use super::identities::{Identities, Remembered, address_key, name_digest};
use super::people::{self, Directory, Person};
use crate::clock::Timestamp;
use crate::ids::Ids;
use crate::model::{ContactId, OrganizationId};
use crate::store::bulk::{Column, bind_all};
use crate::store::events::{Patience, lock_order};
use crate::store::session::Connection;
use crate::store::{Store, StoreError};

/// The statement, which locks heads as it is told. Parameters: 1 organizations, in order; 2 now; from 3 the contacts' columns;
/// from 8 the identities'. It writes all or, if a head is missing, nothing.
macro_rules! statement {
    ($lock:literal) => {
        concat!(
            "
    with heads as materialized (
        select organization_id from event_heads where organization_id = any($1::uuid[])
        order by organization_id ",
            $lock,
            "
    ), made as (
        insert into contacts (organization_id, id, name, created_at, updated_at)
        select * from unnest($3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[])
        where (select count(*) from heads) = cardinality($1)
        returning organization_id, id
    ), named as (
        insert into contact_identities (organization_id, id, contact_id, kind, value, match_key, name, username, created_at)
        select * from unnest($8::uuid[], $9::uuid[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[],
            $15::text[], $16::timestamptz[])
        where (select count(*) from heads) = cardinality($1)
    ), moved as (
        update event_heads h set seq = h.seq + n.count
        from (select organization_id, count(*) from made group by organization_id) n
        where h.organization_id = n.organization_id
        returning h.organization_id, h.seq - n.count as before
    )
    insert into events (organization_id, seq, kind, subject_id, at)
    select c.organization_id,
        (select m.before from moved m where m.organization_id = c.organization_id)
            + row_number() over (partition by c.organization_id order by c.id),
        'contact.created', c.id, $2
    from made c"
        )
    };
}

/// It waits for heads that others have.
const WAITING: &str = statement!("for update");

/// It passes over them.
const SKIPPING: &str = statement!("for update skip locked");

/// Whether people were made known.
pub(super) enum Met {
    /// All of them.
    All,
    /// Nobody: the long way must be taken.
    NotAll,
    /// Nobody: another transaction has the head of one of their organizations.
    Busy,
}

/// Makes people known, if all of them are strangers or known as they are.
pub(super) async fn make_known(
    store: &Store,
    ids: &Ids,
    now: Timestamp,
    identities: &mut Identities<'_>,
    unknown: &[&Person<'_>],
    patience: Patience,
) -> Result<Met, StoreError> {
    // The connection may be broken; the long way finds another one.
    let mut session = store.untried().await?;
    let Ok(mut directory) = people::load(&mut session, unknown).await else {
        session.abandon();
        return Ok(Met::NotAll);
    };
    let mut met = Vec::with_capacity(unknown.len());
    for person in unknown {
        let Some(contact) = place(&mut directory, ids, person) else { return Ok(Met::NotAll) };
        met.push(contact);
    }
    let Directory { contacts, identities: new, .. } = &directory;
    if !new.is_empty() {
        let organizations = lock_order(contacts.iter().map(|contact| contact.0));
        let keys = people::match_keys(new);
        let Connection::Postgres(connection) = session.connection() else {
            return Ok(Met::NotAll);
        };
        let statement = match patience {
            Patience::Wait => WAITING,
            Patience::Skip => SKIPPING,
        };
        let query = sqlx::query(statement).bind(&organizations).bind(now);
        let columns = people::identity_columns(new, &keys, now);
        let query = bind_all!(query, people::contact_columns(contacts, now), columns);
        let written = query.execute(connection).await?;
        if usize::try_from(written.rows_affected()) != Ok(contacts.len()) {
            return match patience {
                Patience::Skip => Ok(Met::Busy),
                Patience::Wait => {
                    Err(StoreError::Damaged("an organization has no event head".to_owned()))
                }
            };
        }
    }
    for (person, contact) in unknown.iter().zip(met) {
        remember(identities, &directory, person, contact);
    }
    session.keep();
    identities.keep();
    Ok(Met::All)
}

/// The contact of somebody who is known as they are, or a new one; `None` for everybody else.
fn place(directory: &mut Directory, ids: &Ids, person: &Person<'_>) -> Option<ContactId> {
    let organization = person.organization_id;
    let contacts = people::contacts_of(directory, person);
    match contacts.as_slice() {
        [] => {
            let contact = ContactId(ids.next());
            let name = person.name.map(ToOwned::to_owned);
            directory.contacts.push((organization, contact, name, person.seen_at));
            for address in &person.addresses {
                if !directory.known.contains_key(&address_key(organization, address)) {
                    directory.add(ids, person, address, contact);
                }
            }
            Some(contact)
        }
        [contact] => {
            let as_known = person.addresses.iter().enumerate().all(|(index, address)| {
                let known = directory.known.get(&address_key(organization, address));
                let renamed =
                    |name: Option<&str>| index == 0 && person.name.is_some() && name != person.name;
                known.is_some_and(|known| !renamed(known.name.as_deref()))
            });
            as_known.then_some(*contact)
        }
        _ => None,
    }
}

fn remember(
    identities: &mut Identities<'_>,
    directory: &Directory,
    person: &Person<'_>,
    contact: ContactId,
) {
    let organization: OrganizationId = person.organization_id;
    for address in &person.addresses {
        let key = address_key(organization, address);
        if let Some(known) = directory.known.get(&key) {
            let name = name_digest(known.name.as_deref());
            identities.learn(key, Remembered { identity: known.identity, contact, name });
        }
    }
}
