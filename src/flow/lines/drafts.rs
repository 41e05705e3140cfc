//! Templates made, changed and deleted at the provider. What is known of them changes at once with the provider's answer, and is
//! compared with its list soon after.

use std::sync::Arc;

use providers::{
    Failure, FailureClass, ListedTemplate, ProviderResponse, Step, TemplateDraft, TemplateDrafts,
};
use serde_json::{Value, json};

use super::{account, ask, not_supported, templates};
use crate::flow::audit::{self, Deed};
use crate::flow::{Actor, FlowError};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{AccountId, Template};
use crate::store::events::Outbox;
use crate::store::lines::templates as rows;
use crate::store::sending::holds::{self, HoldState};
use crate::transport::Lost;

/// How many requests making a template may take.
const STEPS: usize = 4;

/// What shall be different about a template.
#[derive(Debug, Clone, Default)]
pub struct TemplateChange {
    /// Its category.
    pub category: Option<String>,
    /// All of its parts.
    pub components: Option<Value>,
}

/// Makes a template.
///
/// # Errors
/// The account's provider makes none, would refuse it, refused it, or did not answer: then it may have been made.
pub async fn create(
    gateway: &Gateway,
    actor: &Actor,
    id: AccountId,
    draft: &TemplateDraft,
) -> Result<Template, FlowError> {
    let desk = Desk::of(gateway, actor, id, "make templates").await?;
    let drafts = desk.drafts()?;
    check(drafts, draft)?;
    let subject = json!({ "name": draft.name, "language": draft.language });
    let mut answers: Vec<ProviderResponse> = Vec::new();
    for _ in 0..STEPS {
        let request = match drafts.create(draft, &answers) {
            Ok(Step::Next(request)) => request,
            Ok(Step::Done(made)) => return desk.keep("template.create", made).await,
            Err(failure) => return Err(desk.failed("template.create", subject, failure).await?),
        };
        match ask(gateway, &desk.account, &request).await {
            Ok(answer) => answers.push(answer),
            Err(lost) => return Err(desk.lost("template.create", subject, lost).await?),
        }
    }
    let detail = "the provider wants too many requests for one template".to_owned();
    Err(FlowError::ProviderRefused { code: None, detail })
}

/// Changes a template, which is named by its id or, where that leaves one, by its name.
///
/// # Errors
/// As [`create`]; or there is no such template.
pub async fn change(
    gateway: &Gateway,
    actor: &Actor,
    id: AccountId,
    named: &str,
    change: TemplateChange,
) -> Result<Template, FlowError> {
    let desk = Desk::of(gateway, actor, id, "change templates").await?;
    let drafts = desk.drafts()?;
    let known = single(desk.known(named).await?)?;
    if change.category.is_none() && change.components.is_none() {
        return Err(FlowError::invalid("components", "give components, category or both"));
    }
    let draft = TemplateDraft {
        name: known.name.clone(),
        language: known.language.clone(),
        category: change.category.or_else(|| known.category.clone()),
        parameter_format: None,
        components: change.components.unwrap_or_else(|| known.components.clone()),
    };
    let Some(request) = drafts.change(&known, &draft) else {
        let title = desk.account.provider.title;
        let detail = format!(
            "{title} never changes a template: make another one with POST /api/v1/accounts/{id}/templates, and delete this one"
        );
        return Err(FlowError::refused("not_supported", detail));
    };
    check(drafts, &draft)?;
    let subject = subject(&known);
    let answer = match ask(gateway, &desk.account, &request).await {
        Ok(answer) => answer,
        Err(lost) => return Err(desk.lost("template.change", subject, lost).await?),
    };
    match drafts.changed(&known, &draft, &answer) {
        Ok(changed) => desk.keep("template.change", changed).await,
        Err(failure) => Err(desk.failed("template.change", subject, failure).await?),
    }
}

/// Deletes a template in its one language, by its id; or all languages of a name.
///
/// # Errors
/// As [`create`]; or there is no such template.
pub async fn delete(
    gateway: &Gateway,
    actor: &Actor,
    id: AccountId,
    named: &str,
) -> Result<(), FlowError> {
    let desk = Desk::of(gateway, actor, id, "delete templates").await?;
    let drafts = desk.drafts()?;
    let mut known = desk.known(named).await?;
    let by_id = known.iter().any(|one| one.id == named);
    let request = match drafts.delete_all(named).filter(|_| !by_id) {
        Some(request) => request,
        None => {
            let one = single(known)?;
            let request = drafts.delete(&one);
            known = vec![one];
            request
        }
    };
    let subject = match by_id {
        true => known.first().map(subject).unwrap_or_default(),
        false => json!({ "name": named, "languages": known.len() }),
    };
    let answer = match ask(gateway, &desk.account, &request).await {
        Ok(answer) => answer,
        Err(lost) => return Err(desk.lost("template.delete", subject, lost).await?),
    };
    match drafts.deleted(&answer) {
        Ok(()) => desk.forget(known, subject).await,
        Err(failure) => Err(desk.failed("template.delete", subject, failure).await?),
    }
}

/// Somebody's request about an account's templates.
struct Desk<'a> {
    gateway: &'a Gateway,
    actor: &'a Actor,
    account: Arc<DirectoryAccount>,
    what: &'static str,
    /// How often the account's templates had changed when the request began.
    changes: i64,
}

impl<'a> Desk<'a> {
    async fn of(
        gateway: &'a Gateway,
        actor: &'a Actor,
        id: AccountId,
        what: &'static str,
    ) -> Result<Self, FlowError> {
        let organization = actor.organization_id;
        let account = account(gateway, organization, id).await?;
        let mut session = gateway.store.read(organization).await?;
        let changes = rows::changes(&mut session, organization, id).await?;
        Ok(Self { gateway, actor, account, what, changes })
    }

    fn drafts(&self) -> Result<&dyn TemplateDrafts, FlowError> {
        let drafts = self.account.account.templates().and_then(|templates| templates.drafts());
        drafts.ok_or_else(|| not_supported(&self.account, self.what))
    }

    /// The one template of that id, or all of that name.
    async fn known(&self, named: &str) -> Result<Vec<ListedTemplate>, FlowError> {
        let organization = self.actor.organization_id;
        let mut session = self.gateway.store.read(organization).await?;
        let found = rows::named(&mut session, organization, self.account.id, &[named]).await?;
        let found: Vec<ListedTemplate> = found.into_iter().map(|one| one.listed).collect();
        let by_id: Vec<ListedTemplate> =
            found.iter().filter(|one| one.id == named).cloned().collect();
        match (by_id.is_empty(), found.is_empty()) {
            (false, _) => Ok(by_id),
            (true, false) => Ok(found),
            (true, true) => Err(FlowError::NotFound(
                "template; POST …/templates/sync lists what the account has",
            )),
        }
    }

    /// Writes a template as the provider has it now, and who made or changed it.
    async fn keep(&self, action: &str, template: ListedTemplate) -> Result<Template, FlowError> {
        let (organization, id) = (self.actor.organization_id, self.account.id);
        let now = self.gateway.clock.now();
        let mut session = self.gateway.store.write(organization).await?;
        let mut outbox = Outbox::lock(&mut session, [organization]).await?;
        let is_old = rows::changes(&mut session, organization, id).await? != self.changes;
        rows::put(&mut session, organization, id, &template, now).await?;
        rows::touch(&mut session, organization, id, now).await?;
        let count = rows::count(&mut session, organization, id).await?;
        outbox.push(organization, "templates.changed", id.0, Some(json!({ "templates": count })));
        self.note(&mut session, action, subject(&template)).await?;
        outbox.flush(&mut session, now).await?;
        session.commit().await?;
        self.gateway.wake_readers();
        if is_old {
            // A webhook outran the answer, and perhaps said more of this template than the answer does.
            if let Err(error) = templates::carry_out(self.gateway, &self.account).await {
                tracing::debug!(account = %id, %error, "templates could not be listed");
            }
        }
        Ok(Template { account_id: id, listed: template, synced_at: now })
    }

    /// Forgets what was deleted. What waits for it is given up.
    async fn forget(&self, gone: Vec<ListedTemplate>, subject: Value) -> Result<(), FlowError> {
        let (organization, id) = (self.actor.organization_id, self.account.id);
        let now = self.gateway.clock.now();
        let mut session = self.gateway.store.write(organization).await?;
        let mut outbox = Outbox::lock(&mut session, [organization]).await?;
        for template in &gone {
            rows::remove(&mut session, organization, id, &template.id).await?;
            let language = Some(template.language.as_str());
            let (place, ended) = ((organization, id), HoldState::Ended);
            holds::status(&mut session, place, &template.name, language, ended, now).await?;
        }
        rows::touch(&mut session, organization, id, now).await?;
        let count = rows::count(&mut session, organization, id).await?;
        outbox.push(organization, "templates.changed", id.0, Some(json!({ "templates": count })));
        self.note(&mut session, "template.delete", subject).await?;
        outbox.flush(&mut session, now).await?;
        session.commit().await?;
        self.gateway.wake_readers();
        Ok(())
    }

    /// What is said of a request that the provider refused. Where its answer leaves open whether it did it, that is written down
    /// as if there had been none.
    async fn failed(
        &self,
        action: &str,
        subject: Value,
        failure: Failure,
    ) -> Result<FlowError, FlowError> {
        if failure.class == FailureClass::Indeterminate {
            self.unsure(action, subject).await?;
        }
        let title = self.account.provider.title;
        let detail = format!("{title} did not {}: {}", self.what, failure.detail);
        Ok(FlowError::ProviderRefused { code: failure.code, detail })
    }

    /// What is said of a request that got no answer.
    async fn lost(&self, action: &str, subject: Value, lost: Lost) -> Result<FlowError, FlowError> {
        let Lost::Unanswered(detail) = lost else { return Ok(lost.into()) };
        self.unsure(action, subject).await?;
        let detail =
            format!("{detail}; POST …/templates/sync shows whether it was done all the same");
        Ok(FlowError::ProviderUnanswered(detail))
    }

    /// Nobody knows whether it was done: it is written down, and the provider's list will tell.
    async fn unsure(&self, action: &str, mut subject: Value) -> Result<(), FlowError> {
        let organization = self.actor.organization_id;
        let mut session = self.gateway.store.write(organization).await?;
        let now = self.gateway.clock.now();
        rows::touch(&mut session, organization, self.account.id, now).await?;
        subject["answered"] = json!(false);
        self.note(&mut session, action, subject).await?;
        Ok(session.commit().await?)
    }

    async fn note(
        &self,
        session: &mut crate::store::Session,
        action: &str,
        detail: Value,
    ) -> Result<(), FlowError> {
        let deed = Deed { action, subject: self.account.id.to_string(), detail };
        Ok(audit::note(self.gateway, session, self.actor, deed).await?)
    }
}

fn check(drafts: &dyn TemplateDrafts, draft: &TemplateDraft) -> Result<(), FlowError> {
    drafts.check(draft).map_err(|unfit| FlowError::invalid(unfit.field, unfit.reason))
}

/// The one template that was named.
fn single(mut known: Vec<ListedTemplate>) -> Result<ListedTemplate, FlowError> {
    match (known.pop(), known.len()) {
        (Some(one), 0) => Ok(one),
        (_, others) => {
            let reason = format!("names {} templates: name one by its id", others + 1);
            Err(FlowError::invalid("template", reason))
        }
    }
}

/// What is written down of a template.
fn subject(template: &ListedTemplate) -> Value {
    json!({
        "id": template.id,
        "name": template.name,
        "language": template.language,
        "status": template.status,
    })
}
