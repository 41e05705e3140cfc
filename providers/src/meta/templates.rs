//! The templates of a WABA.
//! <https://developers.facebook.com/docs/graph-api/reference/whats-app-business-account/message_templates>

mod check;
mod drafts;
mod fit;
mod text;

use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::graph::Graph;
use super::wire::{TemplateList, WireTemplate};
use crate::{
    Failure, ListedTemplate, ProviderRequest, ProviderResponse, Template, TemplateDrafts,
    TemplatePage, Templates, Unfit,
};

const PAGE: usize = 100;

/// Bytes of a cursor. Meta's have some 100; what is left of a longer one is refused by Meta.
const CURSOR_BYTES: usize = 1_024;

impl Templates for Graph {
    fn list(&self, page: Option<&str>) -> ProviderRequest {
        let fields = "id,name,language,status,category,parameter_format,components";
        let mut path = format!("{}/message_templates?fields={fields}&limit={PAGE}", self.waba_id);
        if let Some(cursor) = page {
            let cursor = cursor.as_bytes();
            path.push_str("&after=");
            path.extend(byte_serialize(&cursor[..cursor.len().min(CURSOR_BYTES)]));
        }
        self.get(&path)
    }

    fn listed(&self, response: &ProviderResponse) -> Result<TemplatePage, Failure> {
        let list = response.is_success().then(|| response.json::<TemplateList>()).flatten();
        let list = list.ok_or_else(|| self.refusal_of_question(response))?;
        let paging = list.paging;
        let next = paging.cursors.after.0.filter(|_| paging.next.get().is_some());
        Ok(TemplatePage { templates: list.data.into_iter().filter_map(template).collect(), next })
    }

    fn fits(&self, message: &Template, listed: &[&ListedTemplate]) -> Result<(), Unfit> {
        fit::fit(message, listed)
    }

    fn drafts(&self) -> Option<&dyn TemplateDrafts> {
        Some(self)
    }
}

/// One template. One that lacks a name or cannot be read is left out: it could not be sent either.
fn template(item: Value) -> Option<ListedTemplate> {
    let wire: WireTemplate = serde_json::from_value(item).ok()?;
    let lower = |word: String| word.to_lowercase();
    Some(ListedTemplate {
        id: wire.id.0?,
        name: wire.name.0?,
        language: wire.language.0?,
        status: wire.status.0.map(lower)?,
        category: wire.category.0.map(lower),
        parameter_format: wire.parameter_format.0.map(lower),
        components: wire.components,
    })
}
