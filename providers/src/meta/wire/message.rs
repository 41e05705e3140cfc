//! The JSON of one message.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages>

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Word;
use crate::lenient::decimal;
use crate::outside;

/// A message, an echo, a message of the history, or what an edit made of one (then without an id). It has the one
/// block that its type names; only that one is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireMessage<'a> {
    #[serde(borrow)]
    pub(in crate::meta) id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    pub(in crate::meta) kind: Cow<'a, str>,
    pub(in crate::meta) timestamp: Word<'a>,
    pub(in crate::meta) from: Word<'a>,
    pub(in crate::meta) from_user_id: Word<'a>,
    pub(in crate::meta) from_parent_user_id: Word<'a>,
    pub(in crate::meta) to: Word<'a>,
    pub(in crate::meta) to_user_id: Word<'a>,
    pub(in crate::meta) to_parent_user_id: Word<'a>,
    pub(in crate::meta) group_id: Word<'a>,
    pub(in crate::meta) errors: Vec<&'a RawValue>,
    pub(in crate::meta) context: Option<&'a RawValue>,
    pub(in crate::meta) referral: Option<&'a RawValue>,
    pub(in crate::meta) history_context: Option<&'a RawValue>,
    pub(in crate::meta) edit: Option<&'a RawValue>,
    pub(in crate::meta) revoke: Option<&'a RawValue>,
    pub(in crate::meta) system: Option<&'a RawValue>,
    pub(in crate::meta) text: Option<&'a RawValue>,
    pub(in crate::meta) image: Option<&'a RawValue>,
    pub(in crate::meta) audio: Option<&'a RawValue>,
    pub(in crate::meta) voice: Option<&'a RawValue>,
    pub(in crate::meta) video: Option<&'a RawValue>,
    pub(in crate::meta) document: Option<&'a RawValue>,
    pub(in crate::meta) sticker: Option<&'a RawValue>,
    pub(in crate::meta) location: Option<&'a RawValue>,
    pub(in crate::meta) contacts: Option<&'a RawValue>,
    pub(in crate::meta) interactive: Option<&'a RawValue>,
    pub(in crate::meta) button: Option<&'a RawValue>,
    pub(in crate::meta) reaction: Option<&'a RawValue>,
    pub(in crate::meta) order: Option<&'a RawValue>,
}

impl<'a> WireMessage<'a> {
    /// Reads one. Where a member beside the content is not written as we know it, the others are read all the same: whoever
    /// can be told who wrote has a message.
    pub(in crate::meta) fn read(raw: &'a RawValue) -> Result<Self, serde_json::Error> {
        outside::part(raw).or_else(|_| Self::member_by_member(raw))
    }

    /// The first block of a known kind that is there.
    pub(in crate::meta) fn block_there(&self) -> Option<&'static str> {
        first_of(&[
            ("text", self.text),
            ("image", self.image),
            ("audio", self.audio),
            ("voice", self.voice),
            ("video", self.video),
            ("document", self.document),
            ("sticker", self.sticker),
            ("location", self.location),
            ("contacts", self.contacts),
            ("interactive", self.interactive),
            ("button", self.button),
            ("reaction", self.reaction),
            ("order", self.order),
            ("system", self.system),
        ])
    }

    fn member_by_member(raw: &'a RawValue) -> Result<Self, serde_json::Error> {
        let members: BTreeMap<Cow<'a, str>, &'a RawValue> = outside::part(raw)?;
        let block = |name: &str| members.get(name).copied();
        let word = |name: &str| {
            let read = block(name).and_then(|raw| outside::part::<Word<'a>>(raw).ok());
            read.unwrap_or_default()
        };
        let text = |name: &str| Cow::Owned(word(name).or_empty());
        Ok(Self {
            id: text("id"),
            kind: text("type"),
            timestamp: word("timestamp"),
            from: word("from"),
            from_user_id: word("from_user_id"),
            from_parent_user_id: word("from_parent_user_id"),
            to: word("to"),
            to_user_id: word("to_user_id"),
            to_parent_user_id: word("to_parent_user_id"),
            group_id: word("group_id"),
            errors: block("errors").and_then(|raw| outside::part(raw).ok()).unwrap_or_default(),
            context: block("context"),
            referral: block("referral"),
            history_context: block("history_context"),
            edit: block("edit"),
            revoke: block("revoke"),
            system: block("system"),
            text: block("text"),
            image: block("image"),
            audio: block("audio"),
            voice: block("voice"),
            video: block("video"),
            document: block("document"),
            sticker: block("sticker"),
            location: block("location"),
            contacts: block("contacts"),
            interactive: block("interactive"),
            button: block("button"),
            reaction: block("reaction"),
            order: block("order"),
        })
    }
}

fn first_of(blocks: &[(&'static str, Option<&RawValue>)]) -> Option<&'static str> {
    blocks.iter().find(|(_, block)| block.is_some()).map(|(name, _)| *name)
}

#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Text<'a> {
    #[serde(borrow)]
    pub(in crate::meta) body: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Media<'a> {
    #[serde(borrow)]
    pub(in crate::meta) id: Word<'a>,
    pub(in crate::meta) mime_type: Word<'a>,
    pub(in crate::meta) sha256: Word<'a>,
    pub(in crate::meta) caption: Word<'a>,
    pub(in crate::meta) filename: Word<'a>,
    pub(in crate::meta) url: Word<'a>,
    /// What Telnyx calls `url`.
    pub(in crate::meta) link: Word<'a>,
    pub(in crate::meta) voice: Option<bool>,
}

/// Coordinates are numbers; older payloads have them as texts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Location<'a> {
    #[serde(deserialize_with = "decimal")]
    pub(in crate::meta) latitude: Option<f64>,
    #[serde(deserialize_with = "decimal")]
    pub(in crate::meta) longitude: Option<f64>,
    #[serde(borrow)]
    pub(in crate::meta) name: Word<'a>,
    pub(in crate::meta) address: Word<'a>,
    pub(in crate::meta) url: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireCard<'a> {
    #[serde(borrow)]
    pub(in crate::meta) name: CardName<'a>,
    pub(in crate::meta) phones: Vec<CardPart<'a>>,
    pub(in crate::meta) emails: Vec<CardPart<'a>>,
    pub(in crate::meta) addresses: Vec<CardAddress<'a>>,
    pub(in crate::meta) urls: Vec<CardPart<'a>>,
    pub(in crate::meta) org: Option<CardOrganization<'a>>,
    pub(in crate::meta) birthday: Word<'a>,
    /// Where the card comes from; `contact_request` if its author shared their own on our request.
    pub(in crate::meta) origin: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct CardName<'a> {
    #[serde(borrow)]
    pub(in crate::meta) formatted_name: Word<'a>,
    pub(in crate::meta) first_name: Word<'a>,
    pub(in crate::meta) last_name: Word<'a>,
}

/// A telephone number, an e-mail address or a link of a card.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct CardPart<'a> {
    #[serde(borrow)]
    pub(in crate::meta) phone: Word<'a>,
    pub(in crate::meta) email: Word<'a>,
    pub(in crate::meta) url: Word<'a>,
    pub(in crate::meta) wa_id: Word<'a>,
    pub(in crate::meta) user_id: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct CardAddress<'a> {
    #[serde(borrow)]
    pub(in crate::meta) street: Word<'a>,
    pub(in crate::meta) city: Word<'a>,
    pub(in crate::meta) state: Word<'a>,
    pub(in crate::meta) zip: Word<'a>,
    pub(in crate::meta) country: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct CardOrganization<'a> {
    #[serde(borrow)]
    pub(in crate::meta) company: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Interactive<'a> {
    #[serde(borrow, rename = "type")]
    pub(in crate::meta) kind: Word<'a>,
    pub(in crate::meta) button_reply: Option<&'a RawValue>,
    pub(in crate::meta) list_reply: Option<&'a RawValue>,
    pub(in crate::meta) nfm_reply: Option<&'a RawValue>,
    pub(in crate::meta) call_permission_reply: Option<&'a RawValue>,
}

impl Interactive<'_> {
    /// The first block of a known kind that is there.
    pub(in crate::meta) fn block_there(&self) -> Option<&'static str> {
        first_of(&[
            ("button_reply", self.button_reply),
            ("list_reply", self.list_reply),
            ("nfm_reply", self.nfm_reply),
            ("call_permission_reply", self.call_permission_reply),
        ])
    }
}

/// The button or row that was chosen.
#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Choice<'a> {
    #[serde(borrow)]
    pub(in crate::meta) id: Cow<'a, str>,
    #[serde(default)]
    pub(in crate::meta) title: Word<'a>,
    #[serde(default)]
    pub(in crate::meta) description: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct FormReply<'a> {
    #[serde(borrow)]
    pub(in crate::meta) name: Word<'a>,
    pub(in crate::meta) body: Word<'a>,
    pub(in crate::meta) response_json: serde_json::Value,
}

#[derive(Debug, Deserialize)]
pub(in crate::meta) struct CallPermission<'a> {
    #[serde(borrow)]
    pub(in crate::meta) response: Cow<'a, str>,
    #[serde(default)]
    pub(in crate::meta) is_permanent: Option<bool>,
    #[serde(default)]
    pub(in crate::meta) expiration_timestamp: Word<'a>,
    #[serde(default)]
    pub(in crate::meta) response_source: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Button<'a> {
    #[serde(borrow)]
    pub(in crate::meta) payload: Word<'a>,
    pub(in crate::meta) text: Word<'a>,
}

#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Reaction<'a> {
    #[serde(borrow)]
    pub(in crate::meta) message_id: Cow<'a, str>,
    #[serde(default)]
    pub(in crate::meta) emoji: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Order<'a> {
    #[serde(borrow)]
    pub(in crate::meta) catalog_id: Word<'a>,
    pub(in crate::meta) text: Word<'a>,
    pub(in crate::meta) product_items: Vec<ProductItem<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct ProductItem<'a> {
    #[serde(borrow)]
    pub(in crate::meta) product_retailer_id: Word<'a>,
    pub(in crate::meta) quantity: Word<'a>,
    pub(in crate::meta) item_price: Word<'a>,
    pub(in crate::meta) currency: Word<'a>,
}

#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Edit<'a> {
    #[serde(borrow)]
    pub(in crate::meta) original_message_id: Cow<'a, str>,
    pub(in crate::meta) message: &'a RawValue,
}

#[derive(Debug, Deserialize)]
pub(in crate::meta) struct Revoke<'a> {
    #[serde(borrow)]
    pub(in crate::meta) original_message_id: Cow<'a, str>,
}

/// `new_wa_id` and `customer` are the older names of `wa_id` and of the message's `from`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct System<'a> {
    #[serde(borrow, rename = "type")]
    pub(in crate::meta) kind: Word<'a>,
    pub(in crate::meta) body: Word<'a>,
    pub(in crate::meta) wa_id: Word<'a>,
    pub(in crate::meta) new_wa_id: Word<'a>,
    pub(in crate::meta) customer: Word<'a>,
    pub(in crate::meta) user_id: Word<'a>,
    pub(in crate::meta) parent_user_id: Word<'a>,
    pub(in crate::meta) previous_user_id: Word<'a>,
    pub(in crate::meta) previous_parent_user_id: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireContext<'a> {
    #[serde(borrow)]
    pub(in crate::meta) id: Word<'a>,
    /// What Telnyx calls `id`.
    pub(in crate::meta) message_id: Word<'a>,
    pub(in crate::meta) forwarded: Option<bool>,
    pub(in crate::meta) frequently_forwarded: Option<bool>,
    pub(in crate::meta) referred_product: Option<ReferredProduct<'a>>,
    pub(in crate::meta) referral: Option<WireReferral<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct ReferredProduct<'a> {
    #[serde(borrow)]
    pub(in crate::meta) catalog_id: Word<'a>,
    pub(in crate::meta) product_retailer_id: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireReferral<'a> {
    #[serde(borrow)]
    pub(in crate::meta) source_url: Word<'a>,
    pub(in crate::meta) source_id: Word<'a>,
    pub(in crate::meta) source_type: Word<'a>,
    pub(in crate::meta) headline: Word<'a>,
    pub(in crate::meta) body: Word<'a>,
    pub(in crate::meta) image_url: Word<'a>,
    pub(in crate::meta) video_url: Word<'a>,
    pub(in crate::meta) thumbnail_url: Word<'a>,
    pub(in crate::meta) ctwa_clid: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct HistoryContext<'a> {
    #[serde(borrow)]
    pub(in crate::meta) status: Word<'a>,
}
