//! `switchboard replay`: reading kept webhooks again. The operator also sees what belongs to no organization.

use clap::Args;
use clap::builder::PossibleValuesParser;
use providers::PROVIDERS;

use super::table;
use crate::clock::Timestamp;
use crate::flow::Actor;
use crate::flow::replay::{self, Replayed};
use crate::flow::unread::UNREAD;
use crate::gateway::Gateway;
use crate::ids;
use crate::model::{InboxId, OrganizationId, QuarantineId, QuarantineReason};
use crate::store::inbox::{self, QuarantineFilter};
use crate::store::unread::{self, UnreadFilter};

/// Read kept webhooks again. Without --id and --request: every open item that the other options select, and every webhook that
/// brought messages of which not all could be read.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The organization. Without it: what belongs to none, because it names several or a number nobody claimed.
    #[arg(long)]
    org: Option<OrganizationId>,
    /// One quarantined item.
    #[arg(long)]
    id: Option<QuarantineId>,
    /// One kept request.
    #[arg(long, conflicts_with = "id")]
    request: Option<InboxId>,
    /// Of this provider.
    #[arg(long, value_parser = PossibleValuesParser::new(PROVIDERS.iter().map(|one| one.name)))]
    provider: Option<String>,
    /// Why they wait; `unsupported`: only webhooks that brought messages of which not all could be read.
    #[arg(long, value_parser = PossibleValuesParser::new(QuarantineReason::ALL.map(QuarantineReason::word).into_iter().chain([UNREAD])))]
    reason: Option<String>,
    /// That came at this instant or later.
    #[arg(long)]
    from: Option<Timestamp>,
    /// That came before this instant.
    #[arg(long)]
    to: Option<Timestamp>,
    /// Only list what would be replayed.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(gateway: &Gateway, args: ReplayArgs) -> anyhow::Result<()> {
    let organization = args.org.unwrap_or(OrganizationId::PLATFORM);
    let actor = Actor::operator(organization);
    let filter = QuarantineFilter {
        state: Some("open".to_owned()),
        reason: args.reason,
        provider: args.provider,
        from: args.from,
        until: args.to,
        before: None,
    };
    if args.dry_run {
        list(gateway, organization, &filter).await?;
    } else {
        let replayed = match (args.id, args.request) {
            (Some(id), _) => vec![replay::item(gateway, &actor, id).await?],
            (None, Some(id)) => vec![replay::request(gateway, &actor, id).await?],
            (None, None) => replay::range(gateway, &actor, filter).await?,
        };
        show(&replayed);
    }
    gateway.stop().await;
    Ok(())
}

fn show(replayed: &[Replayed]) {
    let row = |one: &Replayed| {
        let request = || one.request.map_or("request".to_owned(), |id| format!("request {id}"));
        let item = one.item.map_or_else(request, |id| id.to_string());
        let state = if one.resolved { "resolved" } else { "open" };
        vec![item, state.to_owned(), one.result.clone()]
    };
    let rows: Vec<_> = replayed.iter().map(row).collect();
    table::print(&["item", "state", "result"], &rows, 140);
    let resolved = replayed.iter().filter(|one| one.resolved).count();
    say!("{} replayed, {resolved} resolved", replayed.len());
}

async fn list(
    gateway: &Gateway,
    organization: OrganizationId,
    filter: &QuarantineFilter,
) -> anyhow::Result<()> {
    let mut session = gateway.store.read_all().await?;
    let found = inbox::items(&mut session, organization, filter, replay::LIMIT).await?;
    let row = |entry: &inbox::QuarantineEntry| {
        vec![
            entry.id.to_string(),
            entry.created_at.format("%F %T").to_string(),
            entry.provider.clone(),
            entry.reason.clone(),
            entry.detail.clone(),
        ]
    };
    let mut rows: Vec<_> = found.iter().map(row).collect();
    if filter.reason.as_deref().is_none_or(|reason| reason == UNREAD) {
        let (provider, from, until) = (filter.provider.clone(), filter.from, filter.until);
        let filter = UnreadFilter { provider, from, until };
        let unread = unread::requests(&mut session, organization, &filter, replay::LIMIT).await?;
        rows.extend(unread.iter().map(|request| {
            vec![
                format!("request {}", request.inbox_id),
                ids::time_of(request.inbox_id.0).format("%F %T").to_string(),
                request.provider.clone(),
                UNREAD.to_owned(),
                "it brought messages of which not all could be read".to_owned(),
            ]
        }));
    }
    table::print(&["item", "came", "provider", "reason", "detail"], &rows, 160);
    Ok(())
}
