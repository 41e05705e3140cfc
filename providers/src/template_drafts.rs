//! Templates as people make them: what a provider is asked for, and what it may be asked for at all. Nothing is sent here.

use serde_json::Value;

use crate::{Failure, ListedTemplate, ProviderRequest, ProviderResponse, Step, Unfit};

/// A template that somebody wants made, or as it shall be from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateDraft {
    /// Its name at the provider.
    pub name: String,
    /// Its language, as the provider writes it (`pt_BR`).
    pub language: String,
    /// `marketing`, `utility` or `authentication`, in lower case.
    pub category: Option<String>,
    /// `positional` or `named`, in lower case, where the provider tells these apart.
    pub parameter_format: Option<String>,
    /// Its parts in the provider's own form, as they are listed.
    pub components: Value,
}

/// Making, changing and deleting templates.
pub trait TemplateDrafts: Sync {
    /// Whether the provider can be expected to take it, as far as its documentation says. What people at the provider think of
    /// its words is not known here.
    ///
    /// # Errors
    /// The first member that the provider would refuse, and why.
    fn check(&self, draft: &TemplateDraft) -> Result<(), Unfit>;

    /// How making goes on: with no answers the first request, then what follows from the answers so far. At most four requests.
    /// It brings the template as it would be listed now. None of the requests may be repeated blindly.
    ///
    /// # Errors
    /// What an answer says is wrong: then there is no such template, unless the detail says otherwise.
    fn create(
        &self,
        draft: &TemplateDraft,
        answers: &[ProviderResponse],
    ) -> Result<Step<ListedTemplate>, Failure>;

    /// The request that makes `known` what `draft` says. `None` where a template stays what it is for ever.
    fn change(&self, known: &ListedTemplate, draft: &TemplateDraft) -> Option<ProviderRequest>;

    /// The template as it would be listed after this answer to its change.
    ///
    /// # Errors
    /// What the answer says is wrong: the template is what it was.
    fn changed(
        &self,
        known: &ListedTemplate,
        draft: &TemplateDraft,
        response: &ProviderResponse,
    ) -> Result<ListedTemplate, Failure>;

    /// The request that deletes one template, in its one language.
    fn delete(&self, template: &ListedTemplate) -> ProviderRequest;

    /// The request that deletes all languages of a name. `None` where templates of one name have nothing to do with each other.
    fn delete_all(&self, name: &str) -> Option<ProviderRequest>;

    /// Whether the answer says that what was to be deleted is gone; what was gone before is gone, too.
    ///
    /// # Errors
    /// What the answer says is wrong.
    fn deleted(&self, response: &ProviderResponse) -> Result<(), Failure>;
}
