//! What the timeline shows of a message of ours beside its words.

use providers::OutboundContent;
use serde_json::{Map, Value};

use crate::flow::FlowError;
use crate::model::OrganizationId;
use crate::store::Session;
use crate::store::sending::outbound::{self, Queued};

/// The members of a content, by their names in the API; none of a plain text.
pub(super) fn parts(content: &OutboundContent) -> Map<String, Value> {
    match serde_json::to_value(content) {
        Ok(Value::Object(mut all)) if !matches!(content, OutboundContent::Text { .. }) => {
            all.remove("kind");
            if let Some(Value::Object(header)) = all.get_mut("header") {
                name_source(header);
            }
            all
        }
        _ => Map::new(),
    }
}

/// Where a file is, told by the API's names for it.
fn name_source(file: &mut Map<String, Value>) {
    let Some(Value::Object(source)) = file.remove("source") else { return };
    for (kind, place) in source {
        let name = if kind == "stored" { "media_id" } else { "url" };
        file.insert(name.to_owned(), place);
    }
}

/// A message that waits says something else from now on: so do its parts; whatever else is shown of it stays.
pub(super) async fn anew(
    session: &mut Session,
    organization: OrganizationId,
    queued: &Queued,
    content: &OutboundContent,
) -> Result<(), FlowError> {
    let before = parts(&queued.content);
    let mut shown = outbound::metadata(session, organization, queued.id).await?;
    shown.retain(|name, _| !before.contains_key(name));
    shown.extend(parts(content));
    Ok(outbound::put_metadata(session, organization, queued.id, shown).await?)
}
