//! What bridges to WhatsApp Web have in common: how people and messages are named, what WhatsApp's own record of a message says,
//! business cards, the limits of messages, settings, how devices are linked, and whose fault it is that somebody is not found. It knows nothing of one bridge's words.

use crate::{Address, Cause, Failure, FailureClass, Reach};

pub(crate) mod ads;
pub(crate) mod blank;
pub(crate) mod fit;
pub(crate) mod jids;
pub(crate) mod pairing;
pub(crate) mod parts;
pub(crate) mod presses;
pub(crate) mod record;
pub(crate) mod says;
pub(crate) mod settings;
pub(crate) mod surroundings;
pub(crate) mod values;
pub(crate) mod vcard;

/// What a failure to reach `to` says of the person. Who is not on WhatsApp under their number is not there at all. A LID is
/// only a name that WhatsApp gave somebody, so where it leads nowhere, that way of addressing failed and nobody is gone.
pub(crate) fn reached_by(to: &Address, failure: Failure) -> Failure {
    let nobody = FailureClass::Permanent(Cause::Recipient(Reach::Nobody));
    if failure.class != nobody || matches!(to, Address::Phone(_)) {
        return failure;
    }
    Failure { class: FailureClass::Permanent(Cause::Recipient(Reach::NotThisTime)), ..failure }
}
