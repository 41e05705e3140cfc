//! Who is at the other end: the ids in a message or call, joined with what the change says about people.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages>

use serde_json::value::RawValue;

use super::wire::{Contact, WireCard, WireMessage};
use crate::outside;
use crate::{Address, Party, PhoneNumber};

/// What a person says of themselves when we asked for it with a button, by the word in their card's `origin`.
const SHARED_ON_REQUEST: &str = "contact_request";

/// `value.contacts[]`. A malformed contact costs a name, not a message.
pub(super) struct People<'a> {
    contacts: Vec<Contact<'a>>,
    /// Whether there is one contact and no other.
    is_one: bool,
    /// Whether the value has but one item beside them, so that the one contact can only be of that.
    of_one: bool,
}

/// The ids by which somebody is named.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Who<'w> {
    /// A WhatsApp id: the digits of a telephone number. Meta also writes user ids here.
    pub(super) number: Option<&'w str>,
    /// The business-scoped user id.
    pub(super) user_id: Option<&'w str>,
    /// The user id that linked business portfolios share.
    pub(super) parent_user_id: Option<&'w str>,
}

impl<'a> People<'a> {
    /// The contacts of a value with so many `items` that are about somebody.
    pub(super) fn read(raw: &[&'a RawValue], items: usize) -> Self {
        let contacts = raw.iter().filter_map(|raw| outside::part(raw).ok());
        Self { contacts: contacts.collect(), is_one: raw.len() == 1, of_one: items == 1 }
    }

    /// The person behind these ids, with everything else that is known of them.
    pub(super) fn party(&self, who: Who<'_>) -> Party {
        let who = who.sorted();
        let Some(contact) = self.find(who) else {
            return Party { addresses: who.addresses(), ..Party::default() };
        };
        let known = Who::of(contact).sorted();
        let all = Who {
            number: who.number.or(known.number),
            user_id: who.user_id.or(known.user_id),
            parent_user_id: who.parent_user_id.or(known.parent_user_id),
        };
        let profile = contact.profile.as_ref();
        let owned = |text: &str| text.to_owned();
        Party {
            addresses: all.addresses(),
            name: profile.and_then(|profile| profile.name.get().map(owned)),
            username: profile.and_then(|profile| profile.username.get().map(owned)),
        }
    }

    /// The contact of that user id or number, in any spelling. They are never joined by their place in the list; but whoever
    /// names only half of somebody, or nobody, is the one contact there is, unless that is certainly somebody else.
    fn find(&self, who: Who<'_>) -> Option<&Contact<'a>> {
        let by = |is_same: fn(Who<'_>, Who<'_>) -> Option<bool>| {
            let is = |contact: &&Contact<'a>| is_same(who, Who::of(contact).sorted()) == Some(true);
            self.contacts.iter().find(is)
        };
        by(same_user_id).or_else(|| by(same_number)).or_else(|| {
            let only = self.contacts.first().filter(|_| self.is_one)?;
            let known = Who::of(only).sorted();
            let is_nobody = who.number.is_none() && who.user_id.is_none();
            let is_another = [same_user_id(who, known), same_number(who, known)];
            let fits = (is_nobody && who.parent_user_id.is_none())
                || (self.of_one && !is_another.contains(&Some(false)));
            fits.then_some(only)
        })
    }
}

/// The numbers of the cards in which the author has told us who they are. A number in any other card may be anybody's.
pub(super) fn shared(wire: &WireMessage<'_>) -> Vec<Address> {
    let cards: Vec<WireCard<'_>> =
        wire.contacts.and_then(|raw| outside::part(raw).ok()).unwrap_or_default();
    let own = cards.iter().filter(|card| card.origin.get() == Some(SHARED_ON_REQUEST));
    let phones = own.flat_map(|card| &card.phones);
    let ids = phones.flat_map(|phone| {
        let number = phone.wa_id.get().or(phone.phone.get());
        let digits = number.map(|number| number.replace([' ', '-', '(', ')', '.'], ""));
        Who { number: digits.as_deref(), user_id: phone.user_id.get(), parent_user_id: None }
            .addresses()
    });
    ids.collect()
}

impl<'w> Who<'w> {
    fn of(contact: &'w Contact<'_>) -> Self {
        Self {
            number: contact.wa_id.get(),
            user_id: contact.user_id.get(),
            parent_user_id: contact.parent_user_id.get(),
        }
    }

    /// Every id in its own place; user ids without the form of one are dropped.
    fn sorted(self) -> Self {
        let is_stray = self.number.is_some_and(is_user_id);
        let stray = self.number.filter(|_| is_stray);
        Self {
            number: self.number.filter(|_| !is_stray),
            user_id: self.user_id.filter(|id| is_user_id(id)).or(stray),
            parent_user_id: self.parent_user_id.filter(|id| is_user_id(id)),
        }
    }

    /// The addresses that these ids are. The number comes first: it is the same for every business and provider,
    /// while user ids differ between business portfolios.
    pub(super) fn addresses(self) -> Vec<Address> {
        let who = self.sorted();
        let number = who.number.map(PhoneNumber::international);
        let number = number.and_then(Result::ok).map(Address::Phone);
        let user_ids = [who.user_id, who.parent_user_id];
        let user_ids = user_ids.into_iter().flatten();
        let mut addresses = Vec::with_capacity(2);
        for address in number.into_iter().chain(user_ids.map(|id| Address::WaUser(id.to_owned()))) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

/// Whether two name one user id; `None` if one of them names none.
fn same_user_id(one: Who<'_>, other: Who<'_>) -> Option<bool> {
    Some(one.user_id? == other.user_id?)
}

/// Whether two name one number, in any spelling; `None` if one of them names none.
fn same_number(one: Who<'_>, other: Who<'_>) -> Option<bool> {
    let (one, other) = (one.number?, other.number?);
    let key =
        |id: &str| PhoneNumber::international(id).map(|number| number.match_key().into_owned());
    Some(one == other || key(one).is_ok_and(|one| Ok(one) == key(other)))
}

/// Whether a text has the form of a business-scoped user id.
pub(super) fn is_user_id(id: &str) -> bool {
    Address::is_wa_user(id)
}
