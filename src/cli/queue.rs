//! `switchboard queue`: what waits to be sent, what holds it back, and what was given up.

use anyhow::{Context, bail};
use chrono::TimeDelta;
use clap::{Args, Subcommand};
use providers::Channel;

use super::table;
use crate::clock::Timestamp;
use crate::flow::Actor;
use crate::flow::organizations;
use crate::flow::send::manage::{self, Decision, LaneView};
use crate::gateway::Gateway;
use crate::model::{MessageId, Organization, OrganizationId};
use crate::store::sending::journal::{self, Rate};
use crate::store::sending::outbound::{self, Queued};

/// How many messages that were given up are listed.
const LISTED: i64 = 200;

/// What waits to be sent, by organization and channel.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct QueueArgs {
    /// Only this organization's.
    #[arg(long)]
    org: Option<OrganizationId>,
    #[command(subcommand)]
    command: Option<QueueCommand>,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Let a paused queue go on at once, at its full pace.
    Resume {
        /// The organization.
        #[arg(long)]
        org: OrganizationId,
        /// whatsapp or sms.
        #[arg(long, value_parser = channel)]
        channel: Channel,
    },
    /// List the messages that were given up, newest first.
    Dead {
        /// Only this organization's.
        #[arg(long)]
        org: Option<OrganizationId>,
    },
    /// Send messages again that were given up.
    Retry(WhichArgs),
    /// Discard messages that were given up: they are not listed any more.
    Discard(WhichArgs),
}

/// One message, or all that were given up.
#[derive(Debug, Args)]
struct WhichArgs {
    /// The organization.
    #[arg(long)]
    org: OrganizationId,
    /// One message.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<MessageId>,
    /// All that were given up, at most a thousand at a time.
    #[arg(long)]
    all: bool,
    /// Only those of this channel: whatsapp or sms.
    #[arg(long, value_parser = channel, requires = "all")]
    channel: Option<Channel>,
}

pub(super) fn channel(word: &str) -> Result<Channel, String> {
    Channel::from_word(word).ok_or_else(|| "must be whatsapp or sms".to_owned())
}

pub(super) async fn run(gateway: &Gateway, args: QueueArgs) -> anyhow::Result<()> {
    match args.command {
        None => overview(gateway, args.org).await?,
        Some(QueueCommand::Resume { org, channel }) => {
            manage::resume(gateway, &Actor::operator(org), channel).await?;
            say!("resumed");
        }
        Some(QueueCommand::Dead { org }) => dead(gateway, org).await?,
        Some(QueueCommand::Retry(which)) => {
            let count = decide(gateway, which, &Decision::Retry).await?;
            say!("{count} to be sent again");
        }
        Some(QueueCommand::Discard(which)) => {
            let count = decide(gateway, which, &Decision::Discard).await?;
            say!("{count} discarded");
        }
    }
    gateway.stop().await;
    Ok(())
}

async fn decide(gateway: &Gateway, which: WhichArgs, decision: &Decision) -> anyhow::Result<usize> {
    let actor = Actor::operator(which.org);
    match which.id {
        Some(id) => manage::decide(gateway, &actor, id, decision).await.map(|_| 1),
        None => manage::decide_all(gateway, &actor, which.channel, decision).await,
    }
    .context("nothing was changed")
}

/// The organization that is asked for, or all.
async fn those(
    gateway: &Gateway,
    only: Option<OrganizationId>,
) -> anyhow::Result<Vec<Organization>> {
    let mut found = organizations::list(gateway).await?;
    if let Some(only) = only {
        found.retain(|organization| organization.id == only);
        if found.is_empty() {
            bail!("there is no such organization");
        }
    }
    Ok(found)
}

async fn overview(gateway: &Gateway, only: Option<OrganizationId>) -> anyhow::Result<()> {
    let now = gateway.clock.now();
    // What was accepted before this was sent or given up more than an hour ago, unless it was scheduled.
    let from = now - TimeDelta::hours(1 + gateway.config.sending.max_age_hours);
    let mut rows = Vec::new();
    for organization in those(gateway, only).await? {
        let lanes = manage::overview(gateway, organization.id).await?;
        let mut session = gateway.store.read(organization.id).await?;
        let rates = journal::rates(&mut session, organization.id, from, now).await?;
        rows.extend(lanes.iter().map(|lane| row(&organization, lane, &rates, now)));
    }
    let headings = [
        "organization",
        "name",
        "channel",
        "due",
        "oldest",
        "being sent",
        "unknown",
        "given up",
        "last min",
        "last h",
        "pace",
        "held back",
    ];
    table::print(&headings, &rows, 220);
    Ok(())
}

fn row(
    organization: &Organization,
    lane: &LaneView,
    rates: &[Rate],
    now: Timestamp,
) -> Vec<String> {
    let depth = |state: &str| lane.depth.iter().find(|depth| depth.state == state);
    let count = |state: &str| depth(state).map_or(0, |depth| depth.count).to_string();
    let rate = rates.iter().find(|rate| rate.channel == lane.channel.word());
    let (minute, hour) = rate.map_or((0, 0), |rate| (rate.minute, rate.hour));
    let pace = lane.row.as_ref().map_or(1.0, |row| row.factor);
    vec![
        organization.id.to_string(),
        organization.name.chars().take(20).collect(),
        lane.channel.word().to_owned(),
        count("due"),
        depth("due").map_or(String::new(), |due| age(now - due.oldest)),
        count("claimed"),
        count("unknown"),
        count("dead"),
        minute.to_string(),
        hour.to_string(),
        format!("{:.0} %", pace * 100.0),
        held_back(lane, now),
    ]
}

/// For how long nothing is sent, and why.
fn held_back(lane: &LaneView, now: Timestamp) -> String {
    let Some(row) = &lane.row else { return String::new() };
    let Some(until) = row.paused_until else {
        return if row.unwell { "the account is tried again".to_owned() } else { String::new() };
    };
    let reason = row.pause_reason.as_deref().unwrap_or("paused");
    format!("{} more: {reason}", age(until - now))
}

/// `42 s`, `3 min`, `2 h`, `5 d`; of what is still to come, `in 2 h`.
fn age(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    let (count, unit) = match seconds.abs() {
        s @ ..120 => (s, "s"),
        s @ ..7_200 => (s / 60, "min"),
        s @ ..172_800 => (s / 3_600, "h"),
        s => (s / 86_400, "d"),
    };
    let ahead = if seconds < 0 { "in " } else { "" };
    format!("{ahead}{count} {unit}")
}

async fn dead(gateway: &Gateway, only: Option<OrganizationId>) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for organization in those(gateway, only).await? {
        let mut session = gateway.store.read(organization.id).await?;
        let found = outbound::dead(&mut session, organization.id, None, None, LISTED).await?;
        let full = i64::try_from(found.len()).is_ok_and(|found| found == LISTED);
        rows.extend(found.iter().map(letter));
        if full {
            say!("the newest {LISTED} of {}:", organization.name);
        }
    }
    let headings = ["organization", "message", "channel", "given up", "attempts", "why"];
    table::print(&headings, &rows, 220);
    Ok(())
}

fn letter(queued: &Queued) -> Vec<String> {
    let failure = queued.last_failure.as_ref();
    let said = |name: &str| failure.and_then(|f| f[name].as_str()).unwrap_or_default();
    let why = format!("{} {}", said("code"), said("detail"));
    vec![
        queued.lane.organization_id.to_string(),
        queued.id.to_string(),
        queued.lane.channel.word().to_owned(),
        queued.updated_at.format("%F %T").to_string(),
        queued.attempts.to_string(),
        why.trim().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_the_unit_that_suits_it() {
        let told: Vec<String> = [0, 119, 120, 7_199, 7_200, 172_799, 172_800, -3_600 * 5]
            .map(|seconds| age(TimeDelta::seconds(seconds)))
            .to_vec();
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d", "in 5 h"]);
    }
}
