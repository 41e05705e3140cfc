//! The URL to which a provider reports how far a message came. It carries our id of the message, so that a message
//! whose sending got no answer is known again by the first news of it.
//!
//! Whether what comes back is proven is the provider's matter: Twilio signs the URL it calls, Telnyx signs a body that
//! repeats it.

use url::form_urlencoded;

/// The query parameter that carries our id of the message.
const MESSAGE: &str = "message";

/// The URL that reports about the message `id`.
pub(crate) fn with_message(url: &str, id: &str) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("{url}{joint}{MESSAGE}={id}")
}

/// Our id of the message that a query names. Anything but a UUID is none of ours.
pub(crate) fn message_in(query: &str) -> Option<String> {
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let (_, id) = parameters.find(|(name, _)| name == MESSAGE)?;
    is_uuid(&id).then(|| id.into_owned())
}

/// Our id of the message that a whole URL names.
pub(crate) fn message_of(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    message_in(query.split('#').next().unwrap_or_default())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
