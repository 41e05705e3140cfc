//! What bridges to WhatsApp Web have in common: how people and messages are named, business cards, the limits of messages,
//! settings. It knows nothing of one bridge's words.

pub(crate) mod fit;
pub(crate) mod jids;
pub(crate) mod settings;
pub(crate) mod vcard;
