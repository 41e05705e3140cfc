//! Organizations: the tenants.

use super::OrganizationId;
use crate::clock::Timestamp;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id, which every request names in `X-Org-Id`.
    pub id: OrganizationId,
    /// Its name, for people.
    pub name: String,
    /// What it pays for, in the CRM's own words. The gateway stores it and does not interpret it.
    pub plan_tier: String,
    /// ISO 3166 code of the country whose numbers may be written without a country code.
    pub default_country: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What it takes to create an organization.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// Its name, 1 to 200 characters.
    pub name: String,
    /// What it pays for.
    pub plan_tier: String,
    /// ISO 3166 code of its country.
    pub default_country: Option<String>,
}
