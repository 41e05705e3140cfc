//! `switchboard user`: people who sign in through the CRM's identity provider.

use anyhow::Context;
use clap::Subcommand;

use super::table;
use crate::flow::organizations;
use crate::gateway::Gateway;
use crate::model::{OrganizationId, Role};
use crate::store::members;

/// Users.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Create one, or make an existing one a member of an organization.
    Create {
        /// Their e-mail address.
        #[arg(long)]
        email: String,
        /// Their name there: each organization calls them what it wants.
        #[arg(long, requires = "org")]
        name: Option<String>,
        /// The identity provider's own id of them (the claim `auth.jwt_user_claim`).
        #[arg(long)]
        subject: Option<String>,
        /// The organization they shall be a member of.
        #[arg(long)]
        org: Option<OrganizationId>,
        /// owner, admin or member.
        #[arg(long, default_value = "member")]
        role: String,
    },
    /// List all, with their memberships.
    List,
}

pub(super) async fn run(gateway: &Gateway, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create { email, name, subject, org, role } => {
            let role = Role::from_word(&role).context("--role: must be owner, admin or member")?;
            let membership = org.map(|organization| (organization, role));
            let (name, subject) = (name.as_deref(), subject.as_deref());
            let id = organizations::create_user(gateway, &email, name, subject, membership).await?;
            say!("{id}");
        }
        UserCommand::List => {
            let found = members::list_users(&mut gateway.store.read_all().await?).await?;
            let row = |user: &members::ListedUser| {
                let subject = user.subject.clone().unwrap_or_default();
                let organization = user.organization_id.map(|id| id.to_string());
                let membership = [organization, user.role.clone(), user.name.clone()];
                let mut cells = vec![user.id.to_string(), user.email.clone(), subject];
                cells.extend(membership.map(Option::unwrap_or_default));
                cells
            };
            let rows: Vec<_> = found.iter().map(row).collect();
            let columns = ["id", "email", "subject", "organization", "role", "name"];
            table::print(&columns, &rows, 160);
        }
    }
    gateway.stop().await;
    Ok(())
}
