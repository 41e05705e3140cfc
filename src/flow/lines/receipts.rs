//! Telling people that their message was read, and that we are typing.

use providers::{Channel, Direction, MessageRef, Sender};

use super::{account, ask, not_supported};
use crate::flow::{Actor, FlowError};
use crate::gateway::{Gateway, line_key};
use crate::model::{AccountId, MessageId, OrganizationId};
use crate::store::messages::Passage;
use crate::store::{Session, StoreError, contacts, messages, routes};

/// Marks a message that came in as read, through the account that received it; with `typing` its author sees us typing.
/// Repeating it is harmless. Nothing is written: how far their messages have come is theirs to know.
pub async fn read(
    gateway: &Gateway,
    actor: &Actor,
    id: MessageId,
    typing: bool,
) -> Result<(), FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.read(organization).await?;
    let passage = messages::passage(&mut session, organization, id).await?;
    let passage = passage.ok_or(FlowError::NotFound("message"))?;
    if passage.direction != Direction::Inbound.word() {
        let detail = "only messages that came in can be marked as read";
        return Err(FlowError::refused("not_inbound", detail));
    }
    let unknown = || {
        let detail = "the message did not come through an account, so nobody can be told";
        FlowError::refused("not_supported", detail)
    };
    let account_id = passage.account_id.ok_or_else(unknown)?;
    let reference = passage.provider_message_id.clone().ok_or_else(unknown)?;
    let identity = passage.identity_id.ok_or_else(unknown)?;
    let person = contacts::address_of(&mut session, organization, identity).await?;
    let person = person.ok_or_else(unknown)?;
    let from = line(&mut session, organization, account_id, &passage).await?;
    drop(session);
    let account = match account(gateway, organization, account_id).await {
        Err(FlowError::NotFound(_)) => {
            let detail = "the account that received the message was taken away";
            return Err(FlowError::refused("not_supported", detail));
        }
        found => found?,
    };
    let what = "mark messages of this channel as read";
    let receipts = account.account.receipts().ok_or_else(|| not_supported(&account, what))?;
    let request = receipts.read(&from, &person, &MessageRef(reference), typing);
    let request = request.ok_or_else(|| not_supported(&account, what))?;
    let answer = ask(gateway, &account, &request).await?;
    Ok(receipts.done(&answer)?)
}

/// Our line, with the handle of its route while there is one.
async fn line(
    session: &mut Session,
    organization: OrganizationId,
    account: AccountId,
    passage: &Passage,
) -> Result<Sender, StoreError> {
    let address = passage.our_address.clone().unwrap_or_default();
    let channel = Channel::from_word(&passage.channel);
    let routes = routes::list(session, organization).await?;
    let key = line_key(&address);
    let mut ours = routes.into_iter().filter(|route| {
        route.account_id == account
            && Some(route.channel) == channel
            && line_key(&route.address) == key
    });
    Ok(Sender { handle: ours.next().and_then(|route| route.handle), address })
}
