//! Making and deleting contents, and asking for WhatsApp's approval. A content stays what it is: the API changes none.
//! <https://www.twilio.com/docs/content/content-api-resources>

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::lenient::Maybe;
use crate::twilio::{TwilioAccount, answers, is_sid};
use crate::{
    Failure, ListedTemplate, ProviderRequest, ProviderResponse, Step, TemplateDraft,
    TemplateDrafts, Unfit, api,
};

const PATH: &str = "/v1/Content";

/// Characters of a name that WhatsApp approves.
const NAME_CHARS: usize = 512;

/// Characters of a text's words.
const BODY_CHARS: usize = 1_600;

const CATEGORIES: [&str; 3] = ["marketing", "utility", "authentication"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Made {
    sid: Maybe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Submitted {
    status: Maybe,
    category: Maybe,
}

impl TemplateDrafts for TwilioAccount {
    fn check(&self, draft: &TemplateDraft) -> Result<(), Unfit> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if draft.name.is_empty() || draft.name.len() > NAME_CHARS || !draft.name.bytes().all(plain)
        {
            let reason = format!("must be 1 to {NAME_CHARS} lower-case letters, digits and _");
            return Err(Unfit::new("name", reason));
        }
        let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'-';
        if !(2..=8).contains(&draft.language.len()) || !draft.language.bytes().all(is_letter) {
            return Err(Unfit::new("language", "must have the form `pt_BR`, or `pt`"));
        }
        if draft.category.as_deref().is_some_and(|category| !CATEGORIES.contains(&category)) {
            let reason = "must be marketing, utility or authentication, or be left out: then WhatsApp is not asked to approve it";
            return Err(Unfit::new("category", reason));
        }
        if draft.parameter_format.is_some() {
            let reason =
                "Twilio's variables need none: they are named as `components.variables` has them";
            return Err(Unfit::new("parameter_format", reason));
        }
        types(&draft.components)
    }

    /// The content, then the request for WhatsApp's approval. Where that is refused, the content is deleted again, so that
    /// nothing is left of what was not made as it was wanted.
    fn create(
        &self,
        draft: &TemplateDraft,
        answers: &[ProviderResponse],
    ) -> Result<Step<ListedTemplate>, Failure> {
        let Some((first, rest)) = answers.split_first() else {
            let mut body = Map::new();
            body.insert("friendly_name".to_owned(), json!(draft.name));
            body.insert("language".to_owned(), json!(draft.language));
            body.insert("types".to_owned(), draft.components["types"].clone());
            if draft.components["variables"].is_object() {
                body.insert("variables".to_owned(), draft.components["variables"].clone());
            }
            return Ok(next(self.client.content.post_json(PATH, &Value::Object(body))));
        };
        if !first.is_success() {
            return Err(answers::refusal(first));
        }
        let made: Made = first.json().unwrap_or_default();
        let sid = made.sid.get().filter(|sid| is_sid("HX", sid));
        let sid = sid.ok_or_else(|| api::unreadable_success(first))?;
        let Some(category) = &draft.category else {
            return Ok(Step::Done(listed(draft, sid, "unsubmitted", None)));
        };
        match rest {
            [] => {
                let path = format!("{PATH}/{sid}/ApprovalRequests/whatsapp");
                let body = json!({ "name": draft.name, "category": category.to_uppercase() });
                Ok(next(self.client.content.post_json(&path, &body)))
            }
            [asked] if asked.is_success() => {
                let submitted: Submitted = asked.json().unwrap_or_default();
                let status = submitted.status.get().unwrap_or("received").to_lowercase();
                let category = submitted.category.get().unwrap_or(category).to_lowercase();
                Ok(Step::Done(listed(draft, sid, &status, Some(category))))
            }
            [_] => Ok(next(self.client.content.delete(&format!("{PATH}/{sid}")))),
            [asked, deleted, ..] => {
                let mut failure = answers::refusal(asked);
                if !deleted.is_success() {
                    let left = format!("; it was made as {sid} and is not submitted for approval");
                    failure.detail.push_str(&left);
                }
                Err(failure)
            }
        }
    }

    fn change(&self, _known: &ListedTemplate, _draft: &TemplateDraft) -> Option<ProviderRequest> {
        None
    }

    fn changed(
        &self,
        known: &ListedTemplate,
        _draft: &TemplateDraft,
        response: &ProviderResponse,
    ) -> Result<ListedTemplate, Failure> {
        match response.is_success() {
            true => Ok(known.clone()),
            false => Err(answers::refusal(response)),
        }
    }

    fn delete(&self, template: &ListedTemplate) -> ProviderRequest {
        let id: String = url::form_urlencoded::byte_serialize(template.id.as_bytes()).collect();
        ProviderRequest::repeatable(self.client.content.delete(&format!("{PATH}/{id}")))
    }

    fn delete_all(&self, _name: &str) -> Option<ProviderRequest> {
        None
    }

    fn deleted(&self, response: &ProviderResponse) -> Result<(), Failure> {
        let is_gone = response.http.status().as_u16() == 404 && answers::speaks(response);
        match response.is_success() || is_gone {
            true => Ok(()),
            false => Err(answers::refusal(response)),
        }
    }
}

fn next(request: http::Request<bytes::Bytes>) -> Step<ListedTemplate> {
    Step::Next(Box::new(ProviderRequest::once(request)))
}

/// A content as it is listed.
fn listed(
    draft: &TemplateDraft,
    sid: &str,
    status: &str,
    category: Option<String>,
) -> ListedTemplate {
    let (types, variables) = (&draft.components["types"], &draft.components["variables"]);
    ListedTemplate {
        id: sid.to_owned(),
        name: draft.name.clone(),
        language: draft.language.clone(),
        status: status.to_owned(),
        category,
        parameter_format: None,
        components: json!({ "types": types, "variables": variables }),
    }
}

/// `{types, variables}`: at least one type, words within their bound, an example for each variable.
fn types(components: &Value) -> Result<(), Unfit> {
    let known = ["types", "variables"];
    let members = components.as_object();
    let stranger = members.and_then(|all| all.keys().find(|key| !known.contains(&key.as_str())));
    if let Some(stranger) = stranger {
        let reason = "is no member of Twilio's contents, which have `types` and `variables`";
        return Err(Unfit::new(format!("components.{stranger}"), reason));
    }
    let types = components["types"].as_object().filter(|types| !types.is_empty());
    let types = types.ok_or_else(|| {
        let reason = "must name the content's types, as in {\"twilio/text\": {\"body\": \"…\"}}";
        Unfit::new("components.types", reason)
    })?;
    for (name, content) in types {
        let field = format!("components.types.{name}");
        if !content.is_object() {
            return Err(Unfit::new(field, "must be an object"));
        }
        let given = content["body"].as_str().map_or(0, |body| body.chars().count());
        if given > BODY_CHARS {
            let reason = format!("at most {BODY_CHARS} characters, {given} were given");
            return Err(Unfit::new(format!("{field}.body"), reason));
        }
    }
    let variables = &components["variables"];
    if !(variables.is_object() || variables.is_null()) {
        return Err(Unfit::new(
            "components.variables",
            "must be an object: an example by each variable",
        ));
    }
    let text = components["types"].to_string();
    for rest in text.split("{{").skip(1) {
        let Some((name, _)) = rest.split_once("}}") else { continue };
        let name = name.trim();
        if variables[name].as_str().is_none_or(|example| example.trim().is_empty()) {
            let field = format!("components.variables.{name}");
            return Err(Unfit::new(field, "needs an example, for which WhatsApp asks"));
        }
    }
    Ok(())
}
