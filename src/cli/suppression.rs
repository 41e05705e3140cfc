//! `switchboard suppression`: whom an organization does not write to.

use anyhow::Context;
use clap::{Args, Subcommand};
use providers::Channel;

use super::{queue, table};
use crate::flow::Actor;
use crate::flow::send::leave_alone;
use crate::gateway::Gateway;
use crate::model::{OrganizationId, SuppressionScope};
use crate::store::sending::suppressions::{self, Suppression};

/// How many are listed.
const LISTED: i64 = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum SuppressionCommand {
    /// List who is not written to, or gets no marketing; newest first, at most a thousand.
    List {
        /// The organization.
        #[arg(long)]
        org: OrganizationId,
    },
    /// From now on do not write to an address, or send it no marketing.
    Add(WhoArgs),
    /// Write to an address again.
    Lift(WhoArgs),
}

/// Whom, on which channel.
#[derive(Debug, Args)]
pub(super) struct WhoArgs {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// whatsapp or sms.
    #[arg(long, value_parser = queue::channel)]
    channel: Channel,
    /// all or marketing. Not given, `add` means all, and `lift` every one there is.
    #[arg(long, value_parser = scope)]
    scope: Option<SuppressionScope>,
    /// Their address.
    address: String,
}

fn scope(word: &str) -> Result<SuppressionScope, String> {
    SuppressionScope::from_word(word).ok_or_else(|| "must be all or marketing".to_owned())
}

pub(super) async fn run(gateway: &Gateway, command: SuppressionCommand) -> anyhow::Result<()> {
    match command {
        SuppressionCommand::List { org } => list(gateway, org).await?,
        SuppressionCommand::Add(WhoArgs { org, channel, scope, address }) => {
            let scope = scope.unwrap_or(SuppressionScope::All);
            leave_alone::begin(gateway, &Actor::operator(org), channel, &address, scope)
                .await
                .context("nothing was changed")?;
            say!("suppressed");
        }
        SuppressionCommand::Lift(WhoArgs { org, channel, scope, address }) => {
            leave_alone::end(gateway, &Actor::operator(org), channel, &address, scope)
                .await
                .context("nothing was changed")?;
            say!("lifted");
        }
    }
    gateway.stop().await;
    Ok(())
}

async fn list(gateway: &Gateway, org: OrganizationId) -> anyhow::Result<()> {
    let mut session = gateway.store.read(org).await?;
    let found = suppressions::list(&mut session, org, gateway.clock.now(), LISTED).await?;
    let row = |one: &Suppression| {
        vec![
            one.channel.clone(),
            one.value.clone(),
            one.scope.clone(),
            one.reason.clone(),
            one.created_at.format("%F %T").to_string(),
            one.until.map_or_else(String::new, |until| until.format("%F %T").to_string()),
            one.detail.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    table::print(
        &["channel", "address", "scope", "reason", "since", "until", "detail"],
        &rows,
        160,
    );
    Ok(())
}
