//! Whether a message is marketing: decided here for messages that are accepted and for those that are sent now, which may say
//! something else by then.

use providers::OutboundContent;

use crate::model::{AccountId, OrganizationId, Purpose};
use crate::store::lines::templates;
use crate::store::{Session, StoreError};

/// Whether it was said to be marketing, or is a template that the account's provider has approved as marketing. Everything else is
/// not, a template that is not known (yet) included.
pub(super) async fn is_marketing(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    purpose: Option<Purpose>,
    content: &OutboundContent,
) -> Result<bool, StoreError> {
    match (purpose, content) {
        (Some(Purpose::Marketing), _) => Ok(true),
        (None, OutboundContent::Template(template)) => {
            let language = template.language.as_deref();
            templates::is_marketing(session, organization, account, &template.name, language).await
        }
        (None, _) => Ok(false),
    }
}
