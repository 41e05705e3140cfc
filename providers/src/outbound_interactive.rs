//! The parts of interactive messages of ours: what stands above the words, forms, products.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::OutboundFile;

/// What stands above the words of an interactive message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Header {
    /// A line.
    Text(String),
    /// A picture, a film or a document.
    File(Box<OutboundFile>),
}

/// Words with a button that opens a form (a WhatsApp Flow).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// What stands above the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    /// The words.
    pub body: String,
    /// A line below the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// Which form.
    #[serde(flatten)]
    pub form: FlowForm,
    /// What the button says.
    pub cta: String,
    /// What comes back with the answer, so that it can be told whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// How the form begins; at the screen that is shown first, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<FlowAction>,
    /// The screen that is shown first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<String>,
    /// What that screen is filled with: an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Which form a message opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowForm {
    /// The one with this id at the provider.
    FlowId(String),
    /// The one of this name.
    FlowName(String),
}

/// How a form begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowAction {
    /// With a screen that the message names, or the form's first one.
    Navigate,
    /// With what the form's own server answers.
    DataExchange,
}

/// A part of a list of products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductSection {
    /// Its heading; a product that is sent alone is shown without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The shop's own ids of the products.
    pub ids: Vec<String>,
}
