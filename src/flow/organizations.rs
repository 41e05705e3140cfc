//! Organizations and users, made by the operator; and the gateway's first start.

use serde_json::json;

use super::audit::{self, Deed};
use super::{Actor, FlowError, access, checked_text, optional_text};
use crate::gateway::Gateway;
use crate::model::{ApiKey, NewOrganization, Organization, OrganizationId, Role, Scope, UserId};
use crate::store::{StoreError, members, organizations as rows};

/// A new key with its secret, which is shown this once.
#[derive(Debug)]
pub struct IssuedKey {
    /// The key.
    pub key: ApiKey,
    /// Its secret.
    pub secret: String,
}

/// Creates an organization with its data key.
pub async fn create(gateway: &Gateway, new: NewOrganization) -> Result<Organization, FlowError> {
    let now = gateway.clock.now();
    let country = optional_text("default_country", new.default_country.as_deref(), 2)?;
    if let Some(country) = &country
        && country.to_uppercase().parse::<phonenumber::country::Id>().is_err()
    {
        return Err(FlowError::invalid("default_country", "must be an ISO 3166 code such as BR"));
    }
    let organization = Organization {
        id: OrganizationId(gateway.ids.next()),
        name: checked_text("name", &new.name, 200)?,
        plan_tier: checked_text("plan_tier", &new.plan_tier, 100)?,
        default_country: country.map(|country| country.to_uppercase()),
        created_at: now,
    };
    let mut session = gateway.store.write_as_owner().await?;
    rows::insert(&mut session, &organization).await?;
    gateway.keys.create(&mut session, organization.id, now).await?;
    let actor = Actor::operator(organization.id);
    let detail = json!({ "name": organization.name });
    let deed = Deed { action: "organization.create", subject: organization.id.to_string(), detail };
    audit::note(gateway, &mut session, &actor, deed).await?;
    session.commit().await?;
    Ok(organization)
}

/// All organizations.
pub async fn list(gateway: &Gateway) -> Result<Vec<Organization>, FlowError> {
    Ok(rows::list(&mut gateway.store.read_all().await?).await?)
}

/// Creates a user, and makes them a member if an organization is named. What they are called is said by each organization
/// for itself, so a name needs one.
pub async fn create_user(
    gateway: &Gateway,
    email: &str,
    name: Option<&str>,
    subject: Option<&str>,
    membership: Option<(OrganizationId, Role)>,
) -> Result<UserId, FlowError> {
    let now = gateway.clock.now();
    let user = access::new_user(gateway, email, subject)?;
    let name = optional_text("name", name, 200)?;
    if name.is_some() && membership.is_none() {
        let reason = "is what an organization calls them: name the organization too (--org)";
        return Err(FlowError::invalid("name", reason));
    }
    let mut session = gateway.store.write_as_owner().await?;
    let id = match members::find_user(&mut session, &user.email).await? {
        Some(known) if membership.is_some() => known,
        Some(_) => {
            return Err(FlowError::Conflict("there is such a user already".to_owned()));
        }
        None => {
            members::insert_user(&mut session, &user).await.map_err(|error| match error {
                StoreError::Duplicate(_) => {
                    FlowError::Conflict("there is a user with this subject already".to_owned())
                }
                other => other.into(),
            })?;
            user.id
        }
    };
    if let Some((organization, role)) = membership {
        if rows::get(&mut session, organization).await?.is_none() {
            return Err(FlowError::NotFound("organization"));
        }
        members::set(&mut session, organization, id, role, name.as_deref(), now).await?;
        let detail = json!({ "email": user.email, "role": role.word() });
        let deed = Deed { action: "member.set", subject: id.to_string(), detail };
        audit::note(gateway, &mut session, &Actor::operator(organization), deed).await?;
    }
    session.commit().await?;
    Ok(id)
}

/// On an empty database: one organization and an owner's key for it. `None` if there is an organization already.
pub async fn first_start(
    gateway: &Gateway,
) -> Result<Option<(Organization, IssuedKey)>, FlowError> {
    if !list(gateway).await?.is_empty() {
        return Ok(None);
    }
    let new = NewOrganization {
        name: "Default".to_owned(),
        plan_tier: "self-hosted".to_owned(),
        default_country: None,
    };
    let organization = create(gateway, new).await?;
    let actor = Actor::operator(organization.id);
    let key = access::create_key(gateway, &actor, "owner", Scope::ALL.to_vec(), None).await?;
    Ok(Some((organization, key)))
}
