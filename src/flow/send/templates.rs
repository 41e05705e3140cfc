//! Whether what messages say of templates fits what the account's provider lists. A template that was never listed is passed on:
//! the provider knows it, or refuses it.

use std::collections::HashMap;

use providers::{Channel, ListedTemplate, OutboundContent, Template};

use super::desk::{Desk, Wanted, own, under};
use crate::flow::FlowError;
use crate::model::AccountId;
use crate::store::Session;
use crate::store::lines::templates as rows;

/// The listed templates of each account, by what messages call them.
pub(super) type Known = HashMap<AccountId, HashMap<String, Vec<ListedTemplate>>>;

/// What of a message names templates: what shall carry it, what it says, and what goes in its place.
pub(super) type Naming<'m> = (Channel, &'m OutboundContent, Option<&'m Template>);

impl Desk<'_> {
    /// Looks up what is known of the templates that these messages name: once for all of them.
    pub(super) async fn look_up_templates(
        &mut self,
        session: &mut Session,
        messages: impl Iterator<Item = Naming<'_>>,
    ) -> Result<(), FlowError> {
        self.templates.clear();
        let mut asked: HashMap<Channel, Vec<&str>> = HashMap::new();
        for (channel, content, fallback) in messages {
            let said = match content {
                OutboundContent::Template(template) => Some(template),
                _ => None,
            };
            for template in said.into_iter().chain(fallback) {
                asked.entry(channel).or_default().push(&template.name);
            }
        }
        for (channel, mut names) in asked {
            names.sort_unstable();
            names.dedup();
            // Whether there is a way at all is each message's own affair.
            let Ok(carrier) = own(self.carrier(session, channel).await)? else { continue };
            if carrier.account.account.templates().is_none() {
                continue;
            }
            let (organization, account) = (self.organization, carrier.account.id);
            let known = self.templates.entry(account).or_default();
            for found in rows::named(session, organization, account, &names).await? {
                let listed = found.listed;
                if listed.id != listed.name && names.binary_search(&listed.id.as_str()).is_ok() {
                    known.entry(listed.id.clone()).or_default().push(listed.clone());
                }
                known.entry(listed.name.clone()).or_default().push(listed);
            }
        }
        Ok(())
    }

    /// Whether a message fits the templates that it names, as far as they are known.
    pub(super) fn fit_templates(&self, wanted: &Wanted) -> Result<(), FlowError> {
        if let OutboundContent::Template(template) = &wanted.content {
            self.fit_template(wanted, template)?;
        }
        match &wanted.fallback {
            Some(template) => self
                .fit_template(wanted, template)
                .map_err(|error| under("fallback_template", error)),
            None => Ok(()),
        }
    }

    fn fit_template(&self, wanted: &Wanted, template: &Template) -> Result<(), FlowError> {
        let account = &wanted.carrier.account;
        let known = self.templates.get(&account.id).and_then(|known| known.get(&template.name));
        let (Some(templates), Some(known)) = (account.account.templates(), known) else {
            return Ok(());
        };
        let listed: Vec<&ListedTemplate> = known.iter().collect();
        let fits = templates.fits(template, &listed);
        fits.map_err(|unfit| FlowError::invalid(unfit.field, unfit.reason))
    }
}
