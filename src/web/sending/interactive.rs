//! Interactive messages as the API takes them: what stands above the words, pages, forms and products.

use providers::{Flow, FlowAction, FlowForm, Header, OutboundContent, ProductSection};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::draft::FileBody;
use crate::web::Problem;

/// What stands above the words: a line, or a file whose `media` is `image`, `video` or `document`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "must be a text, or a file: media, and url or media_id")]
pub(crate) enum HeaderBody {
    /// A line.
    Text(String),
    /// A file.
    File(FileBody),
}

/// Words with a button that opens a web page.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CtaUrlBody {
    /// What stands above the words.
    header: Option<HeaderBody>,
    /// The words.
    body: String,
    /// A line below the words.
    footer: Option<String>,
    /// What the button says.
    text: String,
    /// The page, an https URL.
    url: String,
}

/// Words with a button that opens a form: exactly one of `flow_id` and `flow_name` says which.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlowBody {
    /// What stands above the words.
    header: Option<HeaderBody>,
    /// The words.
    body: String,
    /// A line below the words.
    footer: Option<String>,
    /// The form's id at Meta.
    flow_id: Option<String>,
    /// The form's name.
    flow_name: Option<String>,
    /// What the button says.
    cta: String,
    /// What comes back with the answer.
    token: Option<String>,
    /// `navigate` or `data_exchange`; Meta takes `navigate`, if not given.
    action: Option<String>,
    /// The screen that is shown first, with `navigate`.
    screen: Option<String>,
    /// What that screen is filled with: an object that is not empty.
    data: Option<Value>,
}

/// Products of a catalogue: one id is shown alone, 2 to 30 as a list, and without any section the whole catalogue.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductsBody {
    /// The catalogue's id at Meta. It must be connected with the account; the whole catalogue is the one that is.
    catalog_id: String,
    /// A line above the words: needed with a list, impossible otherwise.
    header: Option<String>,
    /// The words.
    body: String,
    /// A line below the words.
    footer: Option<String>,
    /// At most 10 sections.
    #[serde(default)]
    sections: Vec<ProductSectionBody>,
}

/// A part of a list of products.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductSectionBody {
    /// Its heading; needed where there are several sections.
    title: Option<String>,
    /// Your own ids of the products, as the catalogue has them.
    ids: Vec<String>,
}

impl HeaderBody {
    pub(super) fn read(self) -> Result<Header, Problem> {
        Ok(match self {
            HeaderBody::Text(text) => Header::Text(text),
            HeaderBody::File(file) => Header::File(Box::new(file.read("content.header")?)),
        })
    }
}

impl CtaUrlBody {
    pub(super) fn read(self) -> Result<OutboundContent, Problem> {
        let Self { header, body, footer, text, url } = self;
        let header = header.map(HeaderBody::read).transpose()?;
        Ok(OutboundContent::CtaUrl { header, body, footer, text, url })
    }
}

impl FlowBody {
    pub(super) fn read(self) -> Result<OutboundContent, Problem> {
        let Self { header, body, footer, flow_id, flow_name, cta, token, action, screen, data } =
            self;
        let form = match (flow_id, flow_name) {
            (Some(id), None) => FlowForm::FlowId(id),
            (None, Some(name)) => FlowForm::FlowName(name),
            _ => {
                let reason = "give exactly one of flow_id and flow_name";
                return Err(Problem::invalid("content.flow_id", reason));
            }
        };
        let action = match action.as_deref() {
            None => None,
            Some("navigate") => Some(FlowAction::Navigate),
            Some("data_exchange") => Some(FlowAction::DataExchange),
            Some(_) => {
                let reason = "must be navigate or data_exchange";
                return Err(Problem::invalid("content.action", reason));
            }
        };
        let header = header.map(HeaderBody::read).transpose()?;
        Ok(OutboundContent::Flow(Box::new(Flow {
            header,
            body,
            footer,
            form,
            cta,
            token,
            action,
            screen,
            data,
        })))
    }
}

impl ProductsBody {
    pub(super) fn read(self) -> OutboundContent {
        let Self { catalog_id, header, body, footer, sections } = self;
        let section =
            |section: ProductSectionBody| ProductSection { title: section.title, ids: section.ids };
        let sections = sections.into_iter().map(section).collect();
        OutboundContent::Products { catalog_id, header, body, footer, sections }
    }
}
