//! Listing the templates of the account, with what WhatsApp thinks of them.
//! <https://www.twilio.com/docs/content/content-api-resources#fetch-content-and-approval-status>

mod drafts;

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{TwilioAccount, answers};
use crate::lenient::Maybe;
use crate::{
    Failure, ListedTemplate, ProviderRequest, ProviderResponse, TemplateDrafts, TemplatePage,
    Templates, api,
};

const PATH: &str = "/v1/ContentAndApprovals";

/// How many templates a page has. Their texts are a few kilobytes each at most.
const PAGE_SIZE: &str = "100";

/// A page's query is a few hundred characters.
const QUERY: usize = 2_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WirePage {
    contents: Option<Vec<WireContent>>,
    meta: Option<WireMeta>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireMeta {
    next_page_url: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireContent {
    sid: Maybe,
    friendly_name: Maybe,
    language: Maybe,
    variables: Option<Value>,
    types: Option<Value>,
    approval_requests: Option<WireApproval>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireApproval {
    status: Maybe,
    category: Maybe,
}

impl Templates for TwilioAccount {
    /// The list with approvals: the plain one does not say which templates may be sent.
    fn list(&self, page: Option<&str>) -> ProviderRequest {
        let mut query = vec![("PageSize".to_owned(), PAGE_SIZE.to_owned())];
        if let Some(page) = page {
            query = url::form_urlencoded::parse(page.as_bytes()).into_owned().collect();
        }
        let query: Vec<(&str, &str)> =
            query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        ProviderRequest::repeatable(self.client.content.get(PATH, &query))
    }

    fn listed(&self, response: &ProviderResponse) -> Result<TemplatePage, Failure> {
        if !response.is_success() {
            return Err(answers::refusal(response));
        }
        let page: WirePage = response.json().unwrap_or_default();
        let Some(contents) = page.contents else {
            return Err(api::unreadable_answer(response));
        };
        let next = page.meta.and_then(|meta| next(meta.next_page_url.get()?));
        Ok(TemplatePage { templates: contents.into_iter().filter_map(template).collect(), next })
    }

    fn drafts(&self) -> Option<&dyn TemplateDrafts> {
        Some(self)
    }
}

/// The query of the next page's URL. The rest of the URL is known, and credentials go nowhere else.
fn next(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let query = url.query().filter(|query| (1..=QUERY).contains(&query.len()))?;
    Some(query.to_owned())
}

/// Its id is what a message names it by. A template that was never submitted can be sent, but not outside the window.
fn template(wire: WireContent) -> Option<ListedTemplate> {
    let id = wire.sid.0?;
    let approval = wire.approval_requests.unwrap_or_default();
    let lower = |word: Maybe| word.0.map(|word| word.trim().to_ascii_lowercase());
    Some(ListedTemplate {
        name: wire.friendly_name.0.unwrap_or_else(|| id.clone()),
        language: wire.language.0.unwrap_or_default(),
        status: lower(approval.status).unwrap_or_else(|| "unsubmitted".to_owned()),
        category: lower(approval.category),
        parameter_format: None,
        components: json!({ "types": wire.types, "variables": wire.variables }),
        id,
    })
}
