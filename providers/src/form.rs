//! `application/x-www-form-urlencoded` bodies, in the order they came.

use std::borrow::Cow;

use crate::outside;

/// The decoded fields of a form, in order, repeated names included.
#[derive(Debug, Clone)]
pub(crate) struct Form<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// How many fields are read; what comes after them is not looked at.
const FIELDS: usize = 1_000;

impl Form<'static> {
    /// Reads a flat JSON object as the form it stands for: numbers and booleans become texts, nested members the JSON
    /// they are, and `null` is left out.
    pub(crate) fn from_json(object: serde_json::Map<String, serde_json::Value>) -> Self {
        let text = |value| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        let fields =
            object.into_iter().filter_map(|(name, value)| Some((name.into(), text(value)?.into())));
        Self { fields: fields.collect() }
    }
}

fn kept(text: Cow<'_, str>) -> Cow<'_, str> {
    match outside::clean(&text) {
        Cow::Owned(clean) => Cow::Owned(clean),
        Cow::Borrowed(_) => text,
    }
}

impl<'a> Form<'a> {
    /// Reads a form. Never fails: broken percent-encoding stays as it is, what no text can hold is replaced.
    pub(crate) fn parse(body: &'a [u8]) -> Self {
        let fields = url::form_urlencoded::parse(body).take(FIELDS);
        Self { fields: fields.map(|(name, value)| (kept(name), kept(value))).collect() }
    }

    /// The first value of `name` that is not blank.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(key, _)| key == name);
        values.find(|(_, value)| !value.trim().is_empty()).map(|(_, value)| value.as_ref())
    }

    /// The first value of `name` as it came, blank or not.
    pub(crate) fn exact(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// Whether there is a field `name`, blank or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.exact(name).is_some()
    }

    /// The first of `names` that has a value.
    pub(crate) fn any(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// The value of `name` as an owned text.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(ToOwned::to_owned)
    }

    /// The value of `name` as a whole number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.trim().parse().ok()
    }

    /// All fields.
    pub(crate) fn fields(&self) -> &[(Cow<'a, str>, Cow<'a, str>)] {
        &self.fields
    }

    /// The form as one JSON object; a repeated name keeps its last value.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let member = |(key, value): &(Cow<'_, str>, Cow<'_, str>)| {
            (key.to_string(), serde_json::Value::String(value.to_string()))
        };
        serde_json::Value::Object(self.fields.iter().map(member).collect())
    }
}
