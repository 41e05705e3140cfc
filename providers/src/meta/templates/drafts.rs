//! Making, changing and deleting a WABA's templates.
//! <https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates>

use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;

use super::check;
use crate::meta::graph::{Graph, is_id};
use crate::meta::wire::{MadeTemplate, Success};
use crate::{
    Cause, Failure, FailureClass, ListedTemplate, ProviderRequest, ProviderResponse, Step,
    TemplateDraft, TemplateDrafts, Unfit,
};

/// Subcodes of template errors, which say what the code 100 leaves open.
const SUBCODES: std::ops::RangeInclusive<i64> = 2_388_000..=2_388_999;

/// What Meta answers about a template that is not there.
const NOT_FOUND: i64 = 2_593_002;

impl TemplateDrafts for Graph {
    fn check(&self, draft: &TemplateDraft) -> Result<(), Unfit> {
        check::draft(draft)
    }

    fn create(
        &self,
        draft: &TemplateDraft,
        answers: &[ProviderResponse],
    ) -> Result<Step<ListedTemplate>, Failure> {
        let Some(answer) = answers.first() else {
            let mut body = content(draft);
            body.insert("name".to_owned(), json!(draft.name));
            body.insert("language".to_owned(), json!(draft.language));
            body.insert("parameter_format".to_owned(), json!(format(draft).to_uppercase()));
            let path = format!("{}/message_templates", self.waba_id);
            let request = self.post(&path, &Value::Object(body));
            return Ok(Step::Next(Box::new(ProviderRequest::once(request))));
        };
        let made = answer.is_success().then(|| answer.json::<MadeTemplate>()).flatten();
        let Some((id, made)) = made.and_then(|made| Some((made.id.get()?.to_owned(), made))) else {
            return Err(self.refusal_of_template(answer));
        };
        let lower = |word: Option<&str>| word.map(str::to_lowercase);
        Ok(Step::Done(ListedTemplate {
            id,
            name: draft.name.clone(),
            language: draft.language.clone(),
            status: lower(made.status.get()).unwrap_or_else(|| "pending".to_owned()),
            // Meta may put it into another category than it was made in.
            category: lower(made.category.get()).or_else(|| draft.category.clone()),
            parameter_format: Some(format(draft).to_owned()),
            components: draft.components.clone(),
        }))
    }

    fn change(&self, known: &ListedTemplate, draft: &TemplateDraft) -> Option<ProviderRequest> {
        if !is_id(&known.id) {
            return None;
        }
        let mut body = content(draft);
        // An approved template stays in its category, and Meta refuses to be told the one that it has.
        if draft.category == known.category {
            body.remove("category");
        }
        let request = self.post(&known.id, &Value::Object(body));
        Some(ProviderRequest::once(request))
    }

    fn changed(
        &self,
        known: &ListedTemplate,
        draft: &TemplateDraft,
        response: &ProviderResponse,
    ) -> Result<ListedTemplate, Failure> {
        self.succeeded(response)?;
        Ok(ListedTemplate {
            // What was changed is looked at by Meta anew.
            status: "pending".to_owned(),
            category: draft.category.clone().or_else(|| known.category.clone()),
            parameter_format: Some(format(draft).to_owned()),
            components: draft.components.clone(),
            ..known.clone()
        })
    }

    fn delete(&self, template: &ListedTemplate) -> ProviderRequest {
        let id: String = byte_serialize(template.id.as_bytes()).collect();
        self.deletion(&format!("hsm_id={id}&name={}", encoded(&template.name)))
    }

    fn delete_all(&self, name: &str) -> Option<ProviderRequest> {
        Some(self.deletion(&format!("name={}", encoded(name))))
    }

    fn deleted(&self, response: &ProviderResponse) -> Result<(), Failure> {
        match crate::meta::refusal::codes(response) {
            (Some(_), Some(NOT_FOUND)) => Ok(()),
            _ => self.succeeded(response),
        }
    }
}

impl Graph {
    /// Deleting twice what is deleted does no harm.
    fn deletion(&self, query: &str) -> ProviderRequest {
        let path = format!("{}/message_templates?{query}", self.waba_id);
        ProviderRequest::repeatable(self.delete_at(&path))
    }

    fn succeeded(&self, response: &ProviderResponse) -> Result<(), Failure> {
        let success = response.is_success().then(|| response.json::<Success>()).flatten();
        match success.as_ref().and_then(|success| success.success.get()) {
            Some("true") => Ok(()),
            _ => Err(self.refusal_of_template(response)),
        }
    }

    /// What a refusal means. The subcode is the code that says what is wrong with a template.
    fn refusal_of_template(&self, response: &ProviderResponse) -> Failure {
        let failure = self.refusal(response);
        let (_, subcode) = crate::meta::refusal::codes(response);
        let Some(subcode) = subcode.filter(|subcode| SUBCODES.contains(subcode)) else {
            return failure;
        };
        let said = self.said_to_people(response);
        let detail = match (meaning(subcode), said) {
            (Some(meaning), Some(said)) => format!("{meaning}: {said}"),
            (Some(meaning), None) => meaning.to_owned(),
            (None, Some(said)) => said,
            (None, None) => failure.detail,
        };
        let class = crate::meta::errors::known_class_of(&subcode.to_string())
            .unwrap_or(FailureClass::Permanent(Cause::Message));
        Failure { class, code: Some(subcode.to_string()), detail, ..failure }
    }
}

/// What a template consists of.
fn content(draft: &TemplateDraft) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(category) = &draft.category {
        body.insert("category".to_owned(), json!(category.to_uppercase()));
    }
    body.insert("components".to_owned(), draft.components.clone());
    body
}

/// How its variables are named: as it says, else as its texts have them.
fn format(draft: &TemplateDraft) -> &str {
    let as_written = match check::is_named(&draft.components) {
        true => "named",
        false => "positional",
    };
    draft.parameter_format.as_deref().unwrap_or(as_written)
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// What a subcode means.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
fn meaning(subcode: i64) -> Option<&'static str> {
    Some(match subcode {
        2_388_019 => "the account has as many templates as it may have",
        2_388_023 => {
            "a template of this name and language is being deleted; its name is free again after four weeks"
        }
        2_388_024 => "there is a template of this name in this language already",
        2_388_040 => "a text is longer than it may be",
        2_388_047 => "the header does not have the form that Meta wants",
        2_388_072 => "the body does not have the form that Meta wants",
        2_388_073 => "the footer does not have the form that Meta wants",
        2_388_293 => "there are too many variables for so few words",
        2_388_299 => "a text begins or ends with a variable",
        _ => return None,
    })
}
