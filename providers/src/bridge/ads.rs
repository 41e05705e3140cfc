//! The advertisement that brought somebody here, as WhatsApp writes it beside their message.

use serde_json::Value;

use super::values::{bytes, member, text};
use crate::Referral;

/// The advertisement, if one of these contexts names it. It is shown with its id or with the click's; without either, that the
/// person came by an advertisement is all that is told.
pub(crate) fn referral<'v>(contexts: impl IntoIterator<Item = &'v Value>) -> Option<Referral> {
    let mut found: Option<Referral> = None;
    for context in contexts {
        // Browsers' engines have a form of their own.
        let of_browsers = member(context, "ctwaContext");
        let shown = [member(context, "externalAdReply"), of_browsers];
        let shown = shown.into_iter().find(|shown| shown.is_object()).unwrap_or(&Value::Null);
        let told = |name: &str| text(member(shown, name));
        let click = told("ctwaClid").or_else(|| bytes(member(context, "ctwaPayload")));
        // Previews of ordinary links are written the same way, without an advertisement's id.
        let is_ad = told("sourceId").is_some() || click.is_some() || came_by_one(context);
        if !is_ad {
            continue;
        }
        let so_far = found.take().unwrap_or_default();
        let by_ad = || came_by_one(context).then(|| "ad".to_owned());
        found = Some(Referral {
            source_url: so_far.source_url.or_else(|| told("sourceUrl")),
            source_id: so_far.source_id.or_else(|| told("sourceId")),
            source_type: so_far.source_type.or_else(|| told("sourceType")).or_else(by_ad),
            headline: so_far.headline.or_else(|| told("title")),
            body: so_far.body.or_else(|| told("body")).or_else(|| told("description")),
            media_url: so_far
                .media_url
                .or_else(|| told("mediaUrl"))
                .or_else(|| told("thumbnailUrl")),
            click_id: so_far.click_id.or(click),
        });
    }
    found
}

/// Whether WhatsApp says that a conversation was begun by an advertisement, whatever else it says of it.
fn came_by_one(context: &Value) -> bool {
    let entry = text(member(context, "entryPointConversionSource")).unwrap_or_default();
    let source = text(member(context, "conversionSource")).unwrap_or_default();
    let is_ads = |word: &str| ["ad", "ads"].iter().any(|ad| word.eq_ignore_ascii_case(ad));
    entry.starts_with("ctwa") || source.split(['_', ' ', '-']).any(is_ads)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_advertisement_is_one() {
        let ads = [
            json!({ "externalAdReply": { "sourceID": "12", "sourceURL": "https://fb.me/a" } }),
            json!({ "externalAdReply": { "ctwaClid": "ARA" } }),
            json!({ "conversionSource": "FB_Ads" }),
            json!({ "entryPointConversionSource": "ctwa_ad" }),
            json!({ "ctwaPayload": { "0": 65 } }),
            json!({ "ctwaContext": { "sourceId": "12" } }),
        ];
        for context in &ads {
            assert!(referral([context]).is_some(), "{context}");
        }
        let others = [
            json!({ "externalAdReply": { "title": "A page", "sourceUrl": "https://example.com" } }),
            json!({ "entryPointConversionSource": "global_search_new_chat" }),
            json!({ "conversionSource": "download_address" }),
        ];
        for context in &others {
            assert_eq!(referral([context]), None, "{context}");
        }
    }
}
