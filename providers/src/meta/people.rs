//! Who is at the other end: the ids in a message or call, joined with what the change says about people.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages>

use serde_json::value::RawValue;

use super::wire::Contact;
use crate::outside;
use crate::{Address, Party, PhoneNumber};

/// `value.contacts[]`. A malformed contact costs a name, not a message.
pub(super) struct People<'a>(Vec<Contact<'a>>);

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
    pub(super) fn read(raw: &[&'a RawValue]) -> Self {
        let contacts = raw.iter().filter_map(|raw| outside::part(raw).ok());
        Self(contacts.collect())
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

    /// The contact of that user id or number. They are never joined by their place in the list.
    fn find(&self, who: Who<'_>) -> Option<&Contact<'a>> {
        let by = |pick: fn(Who<'_>) -> Option<&str>| {
            let id = pick(who)?;
            let is_same = |contact: &&Contact<'a>| pick(Who::of(contact).sorted()) == Some(id);
            self.0.iter().find(is_same)
        };
        by(|who| who.user_id).or_else(|| by(|who| who.number))
    }
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

/// Two capital letters, a dot, perhaps `ENT.`, then 1 to 128 letters and digits.
pub(super) fn is_user_id(id: &str) -> bool {
    let Some((country, rest)) = id.split_once('.') else {
        return false;
    };
    let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=128).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
