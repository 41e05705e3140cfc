//! Leads: the CRM's view of a contact. A lead finds the contact that has its number or address, or makes one.

use providers::Address;
use serde_json::json;

use super::contacts::{country, parse_email, parse_phone};
use super::{Actor, FlowError, checked_text, optional_text};
use crate::gateway::Gateway;
use crate::model::{ContactId, IdentityId, Lead, LeadChange, LeadId, NewLead, OrganizationId};
use crate::store::events::Outbox;
use crate::store::{Session, contacts, leads as rows};

/// The stage of a lead that names none.
const FIRST_STAGE: &str = "new";

/// Creates a lead.
pub async fn create(gateway: &Gateway, actor: &Actor, new: NewLead) -> Result<Lead, FlowError> {
    let organization = actor.organization_id;
    let now = gateway.clock.now();
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let lead = Lead {
        id: LeadId(gateway.ids.next()),
        contact_id: new.contact_id.unwrap_or(ContactId(uuid::Uuid::nil())),
        name: checked_text("name", &new.name, 200)?,
        email: optional_text("email", new.email.as_deref(), 254)?,
        phone: optional_text("phone", new.phone.as_deref(), 40)?,
        company: optional_text("company", new.company.as_deref(), 200)?,
        source: optional_text("source", new.source.as_deref(), 100)?,
        stage: optional_text("stage", new.stage.as_deref(), 100)?
            .unwrap_or_else(|| FIRST_STAGE.to_owned()),
        created_at: now,
        updated_at: now,
    };
    let addresses = addresses(&mut session, organization, &lead).await?;
    let contact_id = match new.contact_id {
        Some(given) => existing(&mut session, organization, given).await?,
        None => {
            find_or_create(gateway, &mut session, &mut outbox, organization, &lead, &addresses)
                .await?
        }
    };
    let lead = Lead { contact_id, ..lead };
    add_addresses(gateway, &mut session, organization, &lead, &addresses).await?;
    rows::insert(&mut session, organization, &lead).await?;
    let data = json!({ "contact_id": lead.contact_id, "stage": lead.stage });
    outbox.push(organization, "lead.created", lead.id.0, Some(data));
    outbox.flush(&mut session, now).await?;
    session.commit().await?;
    gateway.wake_readers();
    Ok(lead)
}

/// Changes a lead. New numbers and addresses become identities of its contact; old ones stay, since its history came
/// through them.
pub async fn update(
    gateway: &Gateway,
    actor: &Actor,
    id: LeadId,
    change: LeadChange,
) -> Result<Lead, FlowError> {
    let organization = actor.organization_id;
    let now = gateway.clock.now();
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let known = rows::get(&mut session, organization, id).await?;
    let mut lead = known.ok_or(FlowError::NotFound("lead"))?;
    if let Some(name) = &change.name {
        lead.name = checked_text("name", name, 200)?;
    }
    if let Some(stage) = &change.stage {
        lead.stage = checked_text("stage", stage, 100)?;
    }
    let texts = [
        (&change.email, &mut lead.email, "email", 254),
        (&change.phone, &mut lead.phone, "phone", 40),
        (&change.company, &mut lead.company, "company", 200),
        (&change.source, &mut lead.source, "source", 100),
    ];
    for (news, field, name, most) in texts {
        if let Some(news) = news {
            *field = optional_text(name, news.as_deref(), most)?;
        }
    }
    lead.updated_at = now;
    let addresses = addresses(&mut session, organization, &lead).await?;
    add_addresses(gateway, &mut session, organization, &lead, &addresses).await?;
    rows::update(&mut session, organization, &lead).await?;
    outbox.push(organization, "lead.updated", lead.id.0, Some(json!({ "stage": lead.stage })));
    outbox.flush(&mut session, now).await?;
    session.commit().await?;
    gateway.wake_readers();
    Ok(lead)
}

async fn existing(
    session: &mut Session,
    organization: OrganizationId,
    id: ContactId,
) -> Result<ContactId, FlowError> {
    contacts::standing(session, organization, id).await?.ok_or(FlowError::NotFound("contact"))
}

async fn addresses(
    session: &mut Session,
    organization: OrganizationId,
    lead: &Lead,
) -> Result<Vec<Address>, FlowError> {
    let mut addresses = Vec::new();
    if let Some(phone) = &lead.phone {
        let country = country(session, organization).await?;
        addresses.push(parse_phone("phone", phone, country.as_deref())?);
    }
    if let Some(email) = &lead.email {
        addresses.push(parse_email("email", email)?);
    }
    Ok(addresses)
}

/// The contact that has the lead's number or, failing that, its e-mail address; a new one if nobody has either.
async fn find_or_create(
    gateway: &Gateway,
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    lead: &Lead,
    addresses: &[Address],
) -> Result<ContactId, FlowError> {
    for address in addresses {
        if let Some(found) = contacts::find_by_address(session, organization, address).await? {
            return Ok(found);
        }
    }
    let id = ContactId(gateway.ids.next());
    contacts::create(session, organization, id, Some(&lead.name), lead.updated_at).await?;
    outbox.push(organization, "contact.created", id.0, None);
    Ok(id)
}

/// Gives the lead's contact the addresses that nobody has yet. One that belongs to somebody else stays there: two people
/// may share a mailbox, and only a merge joins them.
async fn add_addresses(
    gateway: &Gateway,
    session: &mut Session,
    organization: OrganizationId,
    lead: &Lead,
    addresses: &[Address],
) -> Result<(), FlowError> {
    for address in addresses {
        let holder = contacts::find_by_address(session, organization, address).await?;
        if holder.is_none_or(|holder| holder == lead.contact_id) {
            let id = IdentityId(gateway.ids.next());
            contacts::add_identity(
                session,
                organization,
                lead.contact_id,
                id,
                address,
                lead.updated_at,
            )
            .await?;
        }
    }
    Ok(())
}
