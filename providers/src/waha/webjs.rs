//! Messages as engines on a browser record them (WEBJS, WPP): one flat object whose `type` says what it is. They are brought
//! into the form in which all other engines pass messages on, so that there is one reader.

use serde_json::{Value, json};

use crate::bridge::values::find;

/// Types that are no messages: keys, settings, announcements of what comes by itself, and what is told by events of its own.
const NOISE: [&str; 22] = [
    "e2e_notification",
    "notification",
    "notification_template",
    "broadcast_notification",
    "newsletter_notification",
    "gp2",
    "protocol",
    "revoked",
    "ciphertext",
    "album",
    "call_log",
    "debug",
    "keep_in_chat",
    "pin_message",
    "pinned_message",
    "reaction",
    "reaction_enc",
    "poll_update",
    "event_response",
    "biz_content_placeholder",
    "message_history_notice",
    "status_mention",
];

/// Whether a message of this type is none.
pub(super) fn is_noise(kind: &str) -> bool {
    // Mentions in a status have types of several names.
    let is_mention = || kind.contains("status") && kind.contains("mention");
    NOISE.contains(&kind) || is_mention()
}

/// The message in the form of the other engines, where its type says more than its words do.
pub(super) fn translated(data: &Value) -> Option<Value> {
    let of = |name: &str| data[name].clone();
    let (member, held) = match data["type"].as_str()? {
        "image" => ("imageMessage", file(data)),
        "video" | "gif" => ("videoMessage", file(data)),
        "ptv" => ("ptvMessage", file(data)),
        "audio" => ("audioMessage", file(data)),
        "ptt" => ("audioMessage", json!({ "ptt": true, "mimetype": of("mimetype") })),
        "document" => ("documentMessage", file(data)),
        "sticker" => ("stickerMessage", file(data)),
        "location" => (
            "locationMessage",
            json!({ "degreesLatitude": of("lat"), "degreesLongitude": of("lng"), "name": of("loc") }),
        ),
        "vcard" => ("contactMessage", card(data)),
        "multi_vcard" => {
            let cards = data["vcardList"].as_array().into_iter().flatten();
            let cards: Vec<Value> = cards.map(card).collect();
            ("contactsArrayMessage", json!({ "contacts": cards }))
        }
        "buttons_response" => (
            "buttonsResponseMessage",
            json!({ "selectedButtonId": of("selectedButtonId"), "selectedDisplayText": of("body") }),
        ),
        "template_button_reply" => {
            let id = [of("selectedId"), of("selectedButtonId")];
            let id = id.into_iter().find(|id| !id.is_null());
            let held = json!({ "selectedId": id, "selectedDisplayText": of("body") });
            ("templateButtonReplyMessage", held)
        }
        "list_response" => ("listResponseMessage", row(data)),
        kind if kind.contains("interactive_response") || kind.contains("flow_response") => {
            let name = find(data, &["nativeFlowName", "name"]);
            let flow = json!({ "name": name, "paramsJson": find(data, &["paramsJson"]) });
            let held = json!({ "body": of("body"), "nativeFlowResponseMessage": flow });
            ("interactiveResponseMessage", held)
        }
        kind => shown(kind, data)?,
    };
    Some(json!({ member: held }))
}

/// What shows more than words.
fn shown(kind: &str, data: &Value) -> Option<(&'static str, Value)> {
    let of = |name: &str| data[name].clone();
    Some(match kind {
        "poll_creation" => (
            "pollCreationMessage",
            json!({ "name": of("pollName"), "options": of("pollOptions"),
                    "selectableOptionsCount": of("pollSelectableOptionsCount") }),
        ),
        "list" => ("listMessage", of("list")),
        "order" => (
            "orderMessage",
            json!({ "orderId": of("orderId"), "orderTitle": of("orderTitle"), "itemCount": of("itemCount"),
                    "message": of("message"), "totalAmount1000": of("totalAmount1000"),
                    "totalCurrencyCode": of("totalCurrencyCode") }),
        ),
        "product" => {
            let product = json!({ "productId": of("productId"), "title": of("title"), "url": of("url"),
                "description": of("description"), "retailerId": of("retailerId"),
                "priceAmount1000": of("priceAmount1000"), "currencyCode": of("currencyCode") });
            (
                "productMessage",
                json!({ "product": product, "body": of("caption"), "footer": of("footer") }),
            )
        }
        "groups_v4_invite" => {
            let caption = [of("comment"), of("caption")].into_iter().find(Value::is_string);
            let held = json!({ "groupJid": of("inviteGrp"), "groupName": of("inviteGrpName"),
                "inviteCode": of("inviteCode"), "inviteExpiration": of("inviteCodeExp"), "caption": caption });
            ("groupInviteMessage", held)
        }
        "event_creation" => (
            "eventMessage",
            json!({ "name": of("eventName"), "description": of("eventDescription"), "startTime": of("eventStartTime"),
                    "endTime": of("eventEndTime"), "joinLink": of("eventJoinLink"), "location": of("eventLocation"),
                    "isCanceled": of("isEventCanceled") }),
        ),
        "interactive" => {
            let buttons = find(&data["interactivePayload"], &["buttons"]);
            let held = json!({ "header": { "title": of("title") }, "body": of("body"), "footer": { "text": of("footer") },
                "nativeFlowMessage": { "buttons": buttons } });
            ("interactiveMessage", held)
        }
        // Buttons and templates have the type of what stands above the buttons.
        "chat" | "buttons" | "hsm" | "template" => {
            let buttons = ["hydratedButtons", "dynamicReplyButtons", "buttons"].map(of);
            let buttons = buttons
                .into_iter()
                .find(|buttons| buttons.as_array().is_some_and(|b| !b.is_empty()))?;
            let template = json!({ "hydratedContentText": of("body"), "hydratedTitleText": of("title"),
                "hydratedFooterText": of("footer"), "hydratedButtons": buttons });
            ("templateMessage", json!({ "hydratedTemplate": template }))
        }
        _ => return None,
    })
}

fn file(data: &Value) -> Value {
    let of = |name: &str| data[name].clone();
    json!({ "mimetype": of("mimetype"), "caption": of("caption"), "fileName": of("filename") })
}

fn card(data: &Value) -> Value {
    let vcard = [&data["vcard"], &data["body"]].into_iter().find(|card| card.is_string());
    let shown = [&data["vcardFormattedName"], &data["displayName"]];
    json!({ "vcard": vcard, "displayName": shown.into_iter().find(|name| name.is_string()) })
}

/// The row of a list that was chosen; its words stand in the body where they do not stand in it.
fn row(data: &Value) -> Value {
    let mut chosen = data["listResponse"].clone();
    if !chosen.is_object() {
        chosen = json!({ "singleSelectReply": { "selectedRowId": data["selectedRowId"] } });
    }
    if !chosen["title"].is_string() {
        chosen["title"] = data["body"].clone();
    }
    chosen
}
