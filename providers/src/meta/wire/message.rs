//! The JSON of one message.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages>

use serde::Deserialize;

use super::WireError;
use crate::lenient::{Maybe, decimal};

/// A message, an echo, a message of the history, or what an edit made of one (then without an id). It has the one
/// block that its type names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireMessage {
    pub(in crate::meta) id: String,
    pub(in crate::meta) timestamp: Maybe,
    #[serde(rename = "type")]
    pub(in crate::meta) kind: String,
    pub(in crate::meta) from: Maybe,
    pub(in crate::meta) from_user_id: Maybe,
    pub(in crate::meta) from_parent_user_id: Maybe,
    pub(in crate::meta) to: Maybe,
    pub(in crate::meta) to_user_id: Maybe,
    pub(in crate::meta) group_id: Maybe,
    pub(in crate::meta) context: Option<WireContext>,
    pub(in crate::meta) referral: Option<WireReferral>,
    pub(in crate::meta) errors: Vec<WireError>,
    pub(in crate::meta) history_context: Option<HistoryContext>,
    pub(in crate::meta) edit: Option<Edit>,
    pub(in crate::meta) revoke: Option<Revoke>,
    pub(in crate::meta) system: Option<System>,
    pub(in crate::meta) text: Option<Text>,
    pub(in crate::meta) image: Option<Media>,
    pub(in crate::meta) audio: Option<Media>,
    pub(in crate::meta) voice: Option<Media>,
    pub(in crate::meta) video: Option<Media>,
    pub(in crate::meta) document: Option<Media>,
    pub(in crate::meta) sticker: Option<Media>,
    pub(in crate::meta) location: Option<Location>,
    pub(in crate::meta) contacts: Option<Vec<WireCard>>,
    pub(in crate::meta) interactive: Option<Interactive>,
    pub(in crate::meta) button: Option<Button>,
    pub(in crate::meta) reaction: Option<Reaction>,
    pub(in crate::meta) order: Option<Order>,
    pub(in crate::meta) unsupported: Option<Unsupported>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Text {
    pub(in crate::meta) body: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Media {
    pub(in crate::meta) id: Maybe,
    pub(in crate::meta) mime_type: Maybe,
    pub(in crate::meta) sha256: Maybe,
    pub(in crate::meta) caption: Maybe,
    pub(in crate::meta) filename: Maybe,
    pub(in crate::meta) url: Maybe,
    pub(in crate::meta) voice: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Location {
    #[serde(deserialize_with = "decimal")]
    pub(in crate::meta) latitude: Option<f64>,
    #[serde(deserialize_with = "decimal")]
    pub(in crate::meta) longitude: Option<f64>,
    pub(in crate::meta) name: Maybe,
    pub(in crate::meta) address: Maybe,
    pub(in crate::meta) url: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireCard {
    pub(in crate::meta) name: CardName,
    pub(in crate::meta) phones: Vec<CardPart>,
    pub(in crate::meta) emails: Vec<CardPart>,
    pub(in crate::meta) addresses: Vec<CardAddress>,
    pub(in crate::meta) urls: Vec<CardPart>,
    pub(in crate::meta) org: Option<CardOrganization>,
    pub(in crate::meta) birthday: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct CardName {
    pub(in crate::meta) formatted_name: Maybe,
    pub(in crate::meta) first_name: Maybe,
    pub(in crate::meta) last_name: Maybe,
}

/// A telephone number, an e-mail address or a link of a card.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct CardPart {
    pub(in crate::meta) phone: Maybe,
    pub(in crate::meta) email: Maybe,
    pub(in crate::meta) url: Maybe,
    pub(in crate::meta) wa_id: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct CardAddress {
    pub(in crate::meta) street: Maybe,
    pub(in crate::meta) city: Maybe,
    pub(in crate::meta) state: Maybe,
    pub(in crate::meta) zip: Maybe,
    pub(in crate::meta) country: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct CardOrganization {
    pub(in crate::meta) company: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Interactive {
    #[serde(rename = "type")]
    pub(in crate::meta) kind: String,
    pub(in crate::meta) button_reply: Option<Choice>,
    pub(in crate::meta) list_reply: Option<Choice>,
    pub(in crate::meta) nfm_reply: Option<FormReply>,
    pub(in crate::meta) call_permission_reply: Option<CallPermission>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Choice {
    pub(in crate::meta) id: String,
    pub(in crate::meta) title: String,
    pub(in crate::meta) description: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct FormReply {
    pub(in crate::meta) name: Maybe,
    pub(in crate::meta) body: Maybe,
    pub(in crate::meta) response_json: serde_json::Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct CallPermission {
    pub(in crate::meta) response: String,
    pub(in crate::meta) is_permanent: Option<bool>,
    pub(in crate::meta) expiration_timestamp: Maybe,
    pub(in crate::meta) response_source: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Button {
    pub(in crate::meta) payload: Maybe,
    pub(in crate::meta) text: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Reaction {
    pub(in crate::meta) message_id: String,
    pub(in crate::meta) emoji: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Order {
    pub(in crate::meta) catalog_id: Maybe,
    pub(in crate::meta) text: Maybe,
    pub(in crate::meta) product_items: Vec<ProductItem>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct ProductItem {
    pub(in crate::meta) product_retailer_id: Maybe,
    pub(in crate::meta) quantity: Maybe,
    pub(in crate::meta) item_price: Maybe,
    pub(in crate::meta) currency: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Unsupported {
    #[serde(rename = "type")]
    pub(in crate::meta) kind: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Edit {
    pub(in crate::meta) original_message_id: String,
    pub(in crate::meta) message: Option<Box<WireMessage>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct Revoke {
    pub(in crate::meta) original_message_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct System {
    #[serde(rename = "type")]
    pub(in crate::meta) kind: Maybe,
    pub(in crate::meta) body: Maybe,
    pub(in crate::meta) wa_id: Maybe,
    pub(in crate::meta) new_wa_id: Maybe,
    pub(in crate::meta) customer: Maybe,
    pub(in crate::meta) user_id: Maybe,
    pub(in crate::meta) parent_user_id: Maybe,
    pub(in crate::meta) previous_user_id: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireContext {
    pub(in crate::meta) id: Maybe,
    pub(in crate::meta) forwarded: Option<bool>,
    pub(in crate::meta) frequently_forwarded: Option<bool>,
    pub(in crate::meta) referred_product: Option<ReferredProduct>,
    pub(in crate::meta) referral: Option<WireReferral>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct ReferredProduct {
    pub(in crate::meta) catalog_id: Maybe,
    pub(in crate::meta) product_retailer_id: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct WireReferral {
    pub(in crate::meta) source_url: Maybe,
    pub(in crate::meta) source_id: Maybe,
    pub(in crate::meta) source_type: Maybe,
    pub(in crate::meta) headline: Maybe,
    pub(in crate::meta) body: Maybe,
    pub(in crate::meta) image_url: Maybe,
    pub(in crate::meta) video_url: Maybe,
    pub(in crate::meta) ctwa_clid: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::meta) struct HistoryContext {
    pub(in crate::meta) status: Maybe,
}
