//! Another way to address the same person.

use providers::{Address, Cause, Failure, FailureClass, OutboundMessage, Reach};

use crate::model::Claimed;

/// What was not taken because WhatsApp does not find the person by its own id of them goes to their number, if that is known. Nothing
/// has been sent by then.
pub(super) fn instead(
    claimed: &Claimed,
    message: &OutboundMessage,
    failure: &Failure,
) -> Option<OutboundMessage> {
    let is_lid = matches!(message.to, Address::WaLid(_));
    let not_found = Cause::Recipient(Reach::Nobody);
    let not_this_way = Cause::Recipient(Reach::NotThisTime);
    // In a group nobody is addressed.
    if !is_lid
        || message.group.is_some()
        || ![Some(not_found), Some(not_this_way)].contains(&failure.class.cause())
    {
        return None;
    }
    let to = Address::from_parts("phone", claimed.number.as_deref()?)?;
    Some(OutboundMessage { to, ..message.clone() })
}

/// What a failure says once both ways were tried: the person is known to WhatsApp by an id of its own, so there is somebody.
pub(super) fn after_all(failure: Failure) -> Failure {
    match failure.class {
        FailureClass::Permanent(Cause::Recipient(Reach::Nobody)) => {
            let class = FailureClass::Permanent(Cause::Recipient(Reach::NotThisTime));
            Failure { class, ..failure }
        }
        _ => failure,
    }
}
