//! Messages about a message that was written in a group: an answer and a reaction go to the group, and whom they answer is their
//! recipient.

use providers::MessageRef;

use super::desk::{Carrier, Wanted};
use super::recipient;
use crate::flow::FlowError;
use crate::model::{IdentityId, Lane, MessageId, OrganizationId};
use crate::store::{Session, contacts, messages};

/// A message that another one is about.
pub(super) struct Carried {
    /// The provider's id of it.
    pub(super) reference: MessageRef,
    /// The group it was written in.
    group: Option<Group>,
}

struct Group {
    id: String,
    /// Who wrote there, or, of a message of ours, whom it answered.
    person: Option<IdentityId>,
}

/// Finds a message that this account's provider carried.
pub(super) async fn carried(
    session: &mut Session,
    organization: OrganizationId,
    field: &str,
    id: MessageId,
    carrier: &Carrier,
) -> Result<Carried, FlowError> {
    let found = messages::get(session, organization, id).await?;
    let Some(found) = found else {
        return Err(FlowError::invalid(field, "there is no such message"));
    };
    if found.communication.provider != carrier.account.provider.name {
        let reason = "was carried by another provider, which alone can refer to it";
        return Err(FlowError::invalid(field, reason));
    }
    let reference = found.provider_message_ids.into_iter().next();
    let reference = reference.map(MessageRef).ok_or_else(|| {
        FlowError::invalid(field, "has not been sent yet, so it has no id at the provider")
    })?;
    let group = found.communication.metadata.more.get("group_id").and_then(|id| id.as_str());
    let group = match group {
        Some(group) => {
            let passage = messages::passage(session, organization, id).await?;
            let line = passage.as_ref().and_then(|passage| passage.our_address.as_deref());
            if line.is_some_and(|line| line != carrier.from.address) {
                let reason = "was written in a group of another line of yours, which alone is in it: make that line's route \
                              the active one, or name one person by `to` to write to them alone";
                return Err(FlowError::invalid(field, reason));
            }
            let person = passage.and_then(|passage| passage.identity_id);
            Some(Group { id: group.to_owned(), person })
        }
        None => None,
    };
    Ok(Carried { reference, group })
}

/// Sends what is about a group's message to that group. The recipient must be whom it answers there: nobody else is meant by it.
pub(super) async fn join(
    session: &mut Session,
    organization: OrganizationId,
    field: &str,
    about: Carried,
    wanted: &mut Wanted,
) -> Result<(), FlowError> {
    let Some(group) = about.group else { return Ok(()) };
    if let Some(person) = group.person {
        let lane = Lane { organization_id: organization, channel: wanted.channel };
        let person = recipient::of_identity(session, lane, person).await?;
        let both = [&person.address, &wanted.found.address];
        let holders = contacts::holders(session, organization, &both).await?;
        let mut contacts = holders.iter().map(|holders| holders.first().map(|one| one.contact));
        if contacts.next() != contacts.next() {
            let reason = "was written in a group, and not by the recipient: name whoever wrote it by lead_id or contact_id, \
                          or name one person by `to` to write to them alone";
            return Err(FlowError::invalid(field, reason));
        }
        wanted.found = person;
    }
    wanted.group = Some(group.id);
    Ok(())
}
