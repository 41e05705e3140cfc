//! `switchboard org`: organizations.

use clap::Subcommand;

use super::table;
use crate::flow::organizations;
use crate::gateway::Gateway;
use crate::model::NewOrganization;

/// Organizations.
#[derive(Debug, Subcommand)]
pub(super) enum OrgCommand {
    /// Create one.
    Create {
        /// Its name.
        #[arg(long)]
        name: String,
        /// What it pays for, in the CRM's words.
        #[arg(long, default_value = "self-hosted")]
        plan: String,
        /// ISO 3166 code of the country whose numbers it may write without a country code.
        #[arg(long)]
        country: Option<String>,
    },
    /// List all.
    List,
}

pub(super) async fn run(gateway: &Gateway, command: OrgCommand) -> anyhow::Result<()> {
    match command {
        OrgCommand::Create { name, plan, country } => {
            let new = NewOrganization { name, plan_tier: plan, default_country: country };
            let organization = organizations::create(gateway, new).await?;
            say!("{}", organization.id);
        }
        OrgCommand::List => {
            let found = organizations::list(gateway).await?;
            let row = |o: &crate::model::Organization| {
                let country = o.default_country.clone().unwrap_or_default();
                vec![o.id.to_string(), o.plan_tier.clone(), country, o.name.clone()]
            };
            let rows: Vec<_> = found.iter().map(row).collect();
            table::print(&["id", "plan", "country", "name"], &rows, 120);
        }
    }
    gateway.stop().await;
    Ok(())
}
