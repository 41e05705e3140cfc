//! Judging whether messages may be sent to their recipients now: what others decide, and what changes while a message is on its
//! way in. It is judged in one place, as often as it must be.

use std::collections::HashMap;

use chrono::TimeDelta;
use providers::{Address, Channel, OutboundContent};

use super::desk::{Carrier, Desk, Wanted, own};
use super::marketing::is_marketing;
use crate::clock::Timestamp;
use crate::flow::FlowError;
use crate::model::{AccountId, IdentityId, Lane, SuppressionScope};
use crate::store::Session;
use crate::store::sending::recipients;
use crate::store::sending::suppressions::{self, Suppression};

/// Which contents of an account are marketing, by what decides that: whether they were said to be, and the template.
type Marketing = HashMap<(AccountId, bool, Option<(String, Option<String>)>), bool>;

/// What windows are asked for together: the channel, our line, and how many hours one is open.
type Window<'w> = (Channel, &'w str, u32);

/// How a message is fit to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    /// Whether the fallback must go in its place.
    pub(super) window_is_closed: bool,
}

impl Desk<'_> {
    /// Whether messages may be sent to these people, now, if they are due; and as what. What others change is asked for all at
    /// once; each message has its own result.
    pub(super) async fn judge(
        &self,
        session: &mut Session,
        wanted: &[&Wanted],
    ) -> Result<Vec<Result<Fit, FlowError>>, FlowError> {
        let suppressions = self.suppressions(session, wanted).await?;
        let open = self.open_windows(session, wanted).await?;
        let mut marketing = HashMap::new();
        let mut fits = Vec::with_capacity(wanted.len());
        for ((wanted, suppressions), open) in wanted.iter().zip(suppressions).zip(open) {
            let fit = self.fit(session, wanted, &suppressions, open, &mut marketing);
            fits.push(own(fit.await)?);
        }
        Ok(fits)
    }

    async fn fit(
        &self,
        session: &mut Session,
        wanted: &Wanted,
        suppressions: &[Suppression],
        window_is_open: bool,
        marketing: &mut Marketing,
    ) -> Result<Fit, FlowError> {
        let (of_marketing, of_all): (Vec<&Suppression>, Vec<&Suppression>) = suppressions
            .iter()
            .partition(|suppression| suppression.scope == SuppressionScope::Marketing.word());
        if let Some(suppression) = of_all.first() {
            return Err(suppressed_is(wanted.channel, suppression));
        }
        let sent = match (window_is_open, &wanted.fallback) {
            (true, _) => &wanted.content,
            (false, Some(template)) => &OutboundContent::Template(template.clone()),
            (false, None) => return Err(window_closed()),
        };
        if let Some(suppression) = of_marketing.first()
            && self.is_marketing(session, wanted, sent, marketing).await?
        {
            return Err(suppressed_is(wanted.channel, suppression));
        }
        Ok(Fit { window_is_closed: !window_is_open })
    }

    /// Whether it is marketing; each template is asked for once.
    async fn is_marketing(
        &self,
        session: &mut Session,
        wanted: &Wanted,
        sent: &OutboundContent,
        known: &mut Marketing,
    ) -> Result<bool, FlowError> {
        let account = wanted.carrier.account.id;
        let template = match sent {
            OutboundContent::Template(template) => {
                Some((template.name.clone(), template.language.clone()))
            }
            _ => None,
        };
        let key = (account, wanted.purpose.is_some(), template);
        if let Some(known) = known.get(&key) {
            return Ok(*known);
        }
        let organization = self.organization;
        let is = is_marketing(session, organization, account, wanted.purpose, sent).await?;
        known.insert(key, is);
        Ok(is)
    }

    /// When it is due: now, if its time has come.
    pub(super) fn due_at(&self, wanted: &Wanted) -> Timestamp {
        let whole = |at: Timestamp| Timestamp::from_timestamp_micros(at.timestamp_micros());
        wanted.send_at.and_then(whole).map_or(self.now, |at| at.max(self.now))
    }

    /// What keeps each of these people from being written to now.
    async fn suppressions(
        &self,
        session: &mut Session,
        wanted: &[&Wanted],
    ) -> Result<Vec<Vec<Suppression>>, FlowError> {
        let mut all = vec![Vec::new(); wanted.len()];
        for channel in Channel::ALL {
            let places: Vec<usize> =
                (0..wanted.len()).filter(|place| wanted[*place].channel == channel).collect();
            if places.is_empty() {
                continue;
            }
            let addresses: Vec<&Address> =
                places.iter().map(|place| &wanted[*place].found.address).collect();
            let (organization, now) = (self.organization, self.now);
            let found =
                suppressions::of_addresses(session, organization, channel, &addresses, now).await?;
            for (place, found) in places.into_iter().zip(found) {
                all[place] = found;
            }
        }
        Ok(all)
    }

    /// Of each message whether it may be sent now as it is: later, or whatever opens a window, or within one.
    async fn open_windows(
        &self,
        session: &mut Session,
        wanted: &[&Wanted],
    ) -> Result<Vec<bool>, FlowError> {
        let mut open = vec![true; wanted.len()];
        let mut asked: HashMap<Window<'_>, Vec<(usize, IdentityId)>> = HashMap::new();
        let mut groups: HashMap<Window<'_>, Vec<(usize, &str)>> = HashMap::new();
        for (place, wanted) in wanted.iter().enumerate() {
            let Wanted { channel, carrier: Carrier { from, account }, .. } = wanted;
            if self.due_at(wanted) > self.now || wanted.content.opens_window() {
                continue;
            }
            let Some(hours) = account.account.messages().and_then(|m| m.window_hours(*channel))
            else {
                continue;
            };
            open[place] = false;
            if let Some(group) = &wanted.group {
                let key = (*channel, from.address.as_str(), hours);
                groups.entry(key).or_default().push((place, group.as_str()));
            } else if let Some(identity) = wanted.found.identity {
                let key = (*channel, from.address.as_str(), hours);
                asked.entry(key).or_default().push((place, identity));
            }
        }
        for ((channel, our_address, hours), asked) in asked {
            let lane = Lane { organization_id: self.organization, channel };
            let since = self.now - TimeDelta::hours(i64::from(hours));
            let identities: Vec<IdentityId> = asked.iter().map(|(_, identity)| *identity).collect();
            let wrote =
                recipients::who_wrote(session, lane, our_address, &identities, since).await?;
            for (place, identity) in asked {
                open[place] = wrote.contains(&identity);
            }
        }
        for ((channel, our_address, hours), asked) in groups {
            let lane = Lane { organization_id: self.organization, channel };
            let since = self.now - TimeDelta::hours(i64::from(hours));
            let named = asked.iter().map(|(_, group)| *group);
            let wrote =
                recipients::who_wrote_in_groups(session, lane, our_address, named, since).await?;
            for (place, group) in asked {
                open[place] = wrote.contains(group);
            }
        }
        Ok(open)
    }
}

/// Says what is kept from the recipient, why, and how that ends.
fn suppressed_is(channel: Channel, suppression: &Suppression) -> FlowError {
    let what = match suppression.scope.as_str() {
        "marketing" => "is not to get marketing",
        _ => "is not to be written to",
    };
    let until = suppression.until.map(|until| format!(" until {}", until.to_rfc3339()));
    let (channel, scope, reason) = (channel.word(), &suppression.scope, &suppression.reason);
    let detail = format!(
        "the recipient {what} on {channel}{} (scope {scope}, reason {reason}); DELETE /api/v1/suppressions lifts it{}",
        until.unwrap_or_default(),
        match suppression.reason.as_str() {
            "opted_out" => ", and so do they by asking for it again",
            "undeliverable" if scope != "marketing" => ", and so does any message of theirs",
            _ => "",
        },
    );
    FlowError::refused("recipient_suppressed", detail)
}

pub(super) fn window_closed() -> FlowError {
    let detail = "the customer-service window is closed: the recipient has not written in the last 24 hours. Send a \
                  template, or name one as fallback_template";
    FlowError::refused("window_closed", detail)
}
