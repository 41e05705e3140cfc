//! What the fate of single messages means for others: for their lane, that it is too fast, that its account refuses everything,
//! that people complain, that it works again; for recipients, that they are not to be written to; for templates, that they are
//! paused. What it means is decided by [`verdict`](crate::model::verdict); this writes it down, whichever door it came through.

use chrono::TimeDelta;
use providers::{Address, Failure, Notice, Severity, Template};
use serde_json::json;

use super::holds;
use super::lanes::{self, LaneRow};
use super::suppressions::{self, Cause};
use crate::clock::Timestamp;
use crate::model::verdict::{Door, Effect, LaneEffect, reputation_rest};
use crate::model::{AccountId, Lane};
use crate::store::events::Outbox;
use crate::store::{Session, StoreError, notices};

/// The slowest a lane becomes: a sixty-fourth of its pace.
const SLOWEST: f64 = 1.0 / 64.0;

/// How long a lane goes without complaints until its next rest is as short as the first.
const FORGIVEN: TimeDelta = TimeDelta::days(1);

/// What became of a message, as far as it concerns others.
#[derive(Debug, Clone, Copy)]
pub struct Touched<'a> {
    /// The account that carried it.
    pub account_id: AccountId,
    /// That account's provider.
    pub provider: &'a str,
    /// What went wrong, if anything did.
    pub failure: Option<&'a Failure>,
    /// What that means for others.
    pub effect: Effect,
    /// How it was told.
    pub door: Door,
    /// When the request left.
    pub left_at: Timestamp,
    /// When it was told, by whoever told it.
    pub told_at: Timestamp,
    /// The recipient.
    pub to: Option<&'a Address>,
    /// The template that it used.
    pub template: Option<&'a Template>,
    /// Whether it tried an account that had refused everything, and was taken.
    pub proves: bool,
}

/// Draws the conclusions. The head must be locked; the lane is locked here.
pub async fn apply(
    session: &mut Session,
    outbox: &mut Outbox,
    lane: Lane,
    all: &[Touched<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    let touches = |one: &Touched<'_>| one.effect.lane != LaneEffect::None || one.proves;
    if all.iter().any(touches)
        && let Some(mut row) = lanes::lock(session, lane).await?
    {
        for one in all.iter().filter(|one| touches(one)) {
            judge(session, outbox, lane, &mut row, one, now).await?;
        }
        lanes::put(session, lane, &row).await?;
    }
    for one in all {
        suppress(session, lane, one, now).await?;
        if one.effect.holds_template {
            hold_template(session, outbox, lane, one, now).await?;
        }
        if one.effect.closed_destination {
            tell_of_destination(session, outbox, lane, one, now).await?;
        }
    }
    Ok(())
}

async fn judge(
    session: &mut Session,
    outbox: &mut Outbox,
    lane: Lane,
    row: &mut LaneRow,
    one: &Touched<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    // A status of what left before the account was last judged, or the lane last slowed, says what is known.
    let is_news = one.door == Door::Answer || row.judged_at.is_none_or(|at| one.left_at > at);
    let is_too_fast = one.door == Door::Answer || one.left_at >= row.slowed_at;
    match one.effect.lane {
        LaneEffect::Slower(until) if is_too_fast => slow_down(row, until, now),
        LaneEffect::Unwell(until) if is_news => {
            let became = !row.unwell;
            unwell(row, one, until, now);
            if became {
                tell_unwell(session, outbox, lane, one, "account.unwell", now).await?;
            }
        }
        // What was on its way when the rest began does not make it longer.
        LaneEffect::Rests(least)
            if is_news && row.rested_until.is_none_or(|until| until <= now) =>
        {
            rest(row, one, least, now);
            tell_unwell(session, outbox, lane, one, "account.rests", now).await?;
        }
        _ => {}
    }
    if one.proves && row.unwell && !row.told_later {
        well(row, now);
        outbox.push(lane.organization_id, "account.well", one.account_id.0, None);
    }
    Ok(())
}

/// Half the pace, and a rest. Complaints about messages that were on their way together count once.
fn slow_down(row: &mut LaneRow, until: Timestamp, now: Timestamp) {
    if row.paused_until.is_none_or(|paused| paused <= now) || row.factor >= 1.0 {
        row.factor = (row.factor / 2.0).max(SLOWEST);
    }
    row.slowed_at = until;
    row.tokens = row.tokens.min(0.0);
    row.refilled_at = until;
    pause(row, until, "the provider asks for a slower pace");
}

fn unwell(row: &mut LaneRow, one: &Touched<'_>, until: Timestamp, now: Timestamp) {
    one_tries(row, one.door, until, now);
    pause(row, until, &format!("the account cannot send: {}", detail(one)));
}

/// It rests for hours, each time twice as long as the time before.
fn rest(row: &mut LaneRow, one: &Touched<'_>, least: Timestamp, now: Timestamp) {
    if row.rested_until.is_none_or(|until| now > until + FORGIVEN) {
        row.rests = 0;
    }
    let until = (now + reputation_rest(row.rests)).max(least);
    row.rests += 1;
    row.rested_until = Some(until);
    one_tries(row, one.door, until, now);
    pause(row, until, &format!("the provider limits the account for a while: {}", detail(one)));
}

/// When it has rested, one message tries the account again.
fn one_tries(row: &mut LaneRow, door: Door, until: Timestamp, now: Timestamp) {
    row.told_later = (row.unwell && row.told_later) || door == Door::Status;
    row.unwell = true;
    row.probe_id = None;
    row.probed_at = None;
    row.judged_at = Some(now);
    row.factor = SLOWEST;
    row.slowed_at = now;
    row.tokens = 1.0;
    row.refilled_at = until;
}

/// The account works again: its lane goes on at its full pace.
pub fn well(row: &mut LaneRow, now: Timestamp) {
    row.unwell = false;
    row.told_later = false;
    row.probe_id = None;
    row.probed_at = None;
    row.judged_at = Some(now);
    row.factor = 1.0;
    row.slowed_at = now;
    row.refilled_at = now;
    row.paused_until = None;
    row.pause_reason = None;
}

fn pause(row: &mut LaneRow, until: Timestamp, reason: &str) {
    row.paused_until = Some(row.paused_until.map_or(until, |paused| paused.max(until)));
    row.pause_reason = Some(reason.to_owned());
}

fn detail<'a>(one: &Touched<'a>) -> &'a str {
    one.failure.map_or("the provider refuses everything", |failure| &failure.detail)
}

fn code<'a>(one: &Touched<'a>) -> Option<&'a str> {
    one.failure.and_then(|failure| failure.code.as_deref())
}

/// Somebody must know, and know at once.
async fn tell_unwell(
    session: &mut Session,
    outbox: &mut Outbox,
    lane: Lane,
    one: &Touched<'_>,
    topic: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (account, code, detail) = (one.account_id, code(one), detail(one));
    let (organization, channel) = (lane.organization_id, lane.channel.word());
    let data = json!({ "channel": channel, "code": code, "detail": detail });
    tracing::error!(%organization, channel, %account, code, detail,
        "the account cannot send; its messages wait, and one of them tries it again later");
    outbox.push(organization, "account.unwell", account.0, Some(data.clone()));
    let notice = Notice {
        topic: topic.to_owned(),
        title: format!("Messages wait on {channel}: {detail}"),
        severity: Severity::Critical,
        number: None,
        template: None,
        preference: None,
        data,
    };
    let key = format!("{topic}:{channel}:{}", now.timestamp_micros());
    notices::tell(session, outbox, (organization, account), &key, &notice, now).await?;
    Ok(())
}

async fn suppress(
    session: &mut Session,
    lane: Lane,
    one: &Touched<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (Some(suppress), Some(to)) = (one.effect.suppress, one.to) else { return Ok(()) };
    let detail = one.failure.map(|failure| failure.detail.as_str());
    let cause = Cause {
        reason: suppress.reason,
        scope: suppress.scope,
        detail,
        until: suppress.lasts.map(|lasts| one.told_at + lasts),
        since: one.told_at,
    };
    suppressions::put(session, lane.organization_id, lane.channel, to, &cause, now).await
}

/// Everything that uses the template waits until its provider says that it may be used again.
async fn hold_template(
    session: &mut Session,
    outbox: &mut Outbox,
    lane: Lane,
    one: &Touched<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(template) = one.template else { return Ok(()) };
    let (organization, account) = (lane.organization_id, one.account_id);
    if !holds::begin(session, organization, account, template, now).await? {
        return Ok(());
    }
    let (name, detail) = (&template.name, detail(one));
    tracing::error!(%organization, %account, template = name, code = code(one), detail,
        "a template is paused; messages that use it wait until the provider calls it active again");
    let notice = Notice {
        topic: "template.paused".to_owned(),
        title: format!("Messages with the template {name} wait: {detail}"),
        severity: Severity::Critical,
        number: None,
        template: None,
        preference: None,
        data: json!({ "template": name, "language": template.language, "code": code(one), "detail": detail }),
    };
    let key = format!("template.paused:{name}:{}", now.timestamp_micros());
    notices::tell(session, outbox, (organization, account), &key, &notice, now).await?;
    Ok(())
}

/// The account may not write to a country (or a carrier there): told once for each.
async fn tell_of_destination(
    session: &mut Session,
    outbox: &mut Outbox,
    lane: Lane,
    one: &Touched<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let country = one.to.and_then(country).unwrap_or_else(|| "unknown".to_owned());
    let (account, channel, detail) = (one.account_id, lane.channel.word(), detail(one));
    let notice = Notice {
        topic: "destination.closed".to_owned(),
        title: format!(
            "{} does not let this account send {channel} to {country}: {detail}",
            one.provider
        ),
        severity: Severity::Warning,
        number: None,
        template: None,
        preference: None,
        data: json!({ "channel": channel, "country": country, "code": code(one), "detail": detail }),
    };
    let key = format!("destination.closed:{channel}:{country}:{}", code(one).unwrap_or_default());
    let place = (lane.organization_id, account);
    notices::tell(session, outbox, place, &key, &notice, now).await?;
    Ok(())
}

/// The country of a number, as ISO 3166 names it: `BR`.
fn country(to: &Address) -> Option<String> {
    let number = phonenumber::parse(None, to.value()).ok()?;
    number.country().id().map(|id| id.as_ref().to_owned())
}
