//! Which of our lines an event concerns. Telnyx has no handle for a number: the numbers themselves tell, and where an
//! event names none, the connection or messaging profile it belongs to.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Endpoint, Endpoints};
use crate::form::Form;
use crate::lenient::Maybe;
use crate::outside;
use crate::{Address, Direction, Line};

/// How many lines an unverified request may name before the rest is ignored.
const CLAIMS_LIMIT: usize = 32;

/// What an event says about its ends, whichever product it is of.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Routing {
    direction: Maybe,
    from: Endpoints,
    to: Endpoints,
    cc: Endpoints,
    connection_id: Maybe,
    messaging_profile_id: Maybe,
    /// The messaging profile of hosted-number orders.
    profile_id: Maybe,
}

impl Routing {
    /// What the JSON of a payload says; nothing, if it cannot be read.
    pub(super) fn of_json(payload: &RawValue) -> Self {
        outside::part(payload).unwrap_or_default()
    }

    /// What a TeXML form says.
    pub(super) fn of_form(form: &Form<'_>) -> Self {
        let end = |names: &[&str]| {
            let phone_number = Maybe(form.any(names).map(ToOwned::to_owned));
            let status = Maybe(None);
            Endpoints(vec![Endpoint { phone_number, status }])
        };
        Self {
            direction: Maybe(form.owned("Direction")),
            from: end(&["From", "Caller"]),
            to: end(&["To", "Called"]),
            connection_id: Maybe(form.owned("ConnectionId")),
            ..Self::default()
        }
    }

    /// Which way it goes. The Voice API says `incoming` and `outgoing`, messaging `inbound` and `outbound`, TeXML
    /// also `outbound-api` and `outbound-dial`.
    pub(super) fn direction(&self) -> Option<Direction> {
        let word = self.direction.get()?.trim().to_ascii_lowercase();
        match word.as_str() {
            "incoming" | "inbound" => Some(Direction::Inbound),
            "outgoing" => Some(Direction::Outbound),
            word if word.starts_with("outbound") => Some(Direction::Outbound),
            _ => None,
        }
    }

    /// Our line, if the event goes `direction`.
    pub(super) fn line(&self, direction: Option<Direction>) -> Line {
        let (from, to) = (addresses(&self.from).next(), self.called());
        let line = match direction {
            Some(Direction::Inbound) => to.map(Line::Address),
            Some(Direction::Outbound) => from.map(Line::Address),
            None => match (to, from) {
                (Some(to), Some(from)) => Some(Line::Either(to, from)),
                (one, other) => one.or(other).map(Line::Address),
            },
        };
        line.or_else(|| self.accounts().next()).unwrap_or(Line::Unnamed)
    }

    /// Every line of ours that this may be about, the likeliest first.
    pub(super) fn claims(&self) -> Vec<Line> {
        let called = addresses(&self.to).chain(addresses(&self.cc));
        let calling = addresses(&self.from);
        let numbers: Vec<Address> = match self.direction() {
            Some(Direction::Outbound) => calling.chain(called).take(CLAIMS_LIMIT).collect(),
            _ => called.chain(calling).take(CLAIMS_LIMIT).collect(),
        };
        let lines = numbers.into_iter().map(Line::Address);
        lines.chain(self.accounts()).take(CLAIMS_LIMIT).collect()
    }

    /// The number that was called or written to. Of the recipients of a group message it is the one that Telnyx
    /// delivered to this webhook.
    fn called(&self) -> Option<Address> {
        let is_ours = |end: &&Endpoint| end.status.get() == Some("webhook_delivered");
        let delivered = self.to.0.iter().find(is_ours).and_then(address);
        delivered.or_else(|| addresses(&self.to).next())
    }

    fn accounts(&self) -> impl Iterator<Item = Line> + '_ {
        let ids = [&self.connection_id, &self.messaging_profile_id, &self.profile_id];
        ids.into_iter().filter_map(|id| id.0.clone()).map(Line::Account)
    }
}

/// A person's or our own address, as Telnyx writes it; `None` when withheld.
pub(super) fn address(end: &Endpoint) -> Option<Address> {
    Address::caller(end.phone_number.get()?)
}

/// Somebody who wrote a message. Nobody withholds that: a short code or a sender's name is somebody, whatever it spells.
pub(super) fn author(end: &Endpoint) -> Option<Address> {
    Address::of(end.phone_number.get()?)
}

/// The addresses of a list, without those withheld.
pub(super) fn addresses(ends: &Endpoints) -> impl Iterator<Item = Address> + '_ {
    ends.0.iter().filter_map(address)
}

/// The name a caller goes by. On calls of ours it is our own, and no news; without a name Telnyx writes the number, or
/// a word for a withheld one.
pub(super) fn caller_name(
    name: Option<&str>,
    from: Option<&Address>,
    direction: Option<Direction>,
) -> Option<String> {
    let name = name.filter(|_| direction == Some(Direction::Inbound))?;
    let is_name = Address::caller(name).is_some_and(|address| Some(&address) != from);
    is_name.then(|| name.to_owned())
}
