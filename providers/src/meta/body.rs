//! A message of WhatsApp as others pass it on that carry the channel: one block a type, as in Meta's own messages, in an
//! envelope of theirs.

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::wire::WireMessage;
use super::{content, messages};
use crate::{Content, Context, EventKind, unknown};

/// What a body says.
pub(crate) struct Told {
    /// What was done to another message, if it is that.
    pub(crate) done: Option<EventKind>,
    /// What it says.
    pub(crate) content: Content,
    /// What surrounds it, as far as the body tells.
    pub(crate) context: Context,
}

/// Reads a body. What has not the shape of one is [`Content::Unsupported`], with the words that stand in it.
pub(crate) fn read(body: &Value) -> Told {
    let raw = to_raw_value(body).ok();
    let read = raw.as_deref().and_then(|raw| Some((WireMessage::read(raw).ok()?, raw)));
    match read {
        Some((wire, raw)) => told(&wire, raw),
        None => Told {
            done: None,
            content: unknown::content(None, [("body", body)], (None, None)),
            context: Context::default(),
        },
    }
}

fn told(wire: &WireMessage<'_>, raw: &RawValue) -> Told {
    Told {
        done: messages::done(wire).map(|(_, kind)| kind),
        content: content::read(wire, &[], raw),
        context: messages::context(wire),
    }
}
