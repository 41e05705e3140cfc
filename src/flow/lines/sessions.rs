//! What people do with linked devices: start them, stop them, unlink them, link them.

use std::sync::Arc;

use providers::{PairingCode, PhoneNumber, ProviderRequest};
use serde_json::json;

use super::judge::judge;
use super::supervise::{bring_up, hold, linkable, report};
use super::{account, ask, not_supported};
use crate::flow::audit::{self, Deed};
use crate::flow::{Actor, FlowError};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{AccountId, Device, OrganizationId, Wish};
use crate::store::lines::sessions as rows;

/// What a person does with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Starts it, and has it started again whenever it breaks. Also after it was logged out.
    Start,
    /// Stops it; it stays linked.
    Stop,
    /// Unlinks it.
    LogOut,
}

/// How a device is doing, as far as is known.
pub async fn view(
    gateway: &Gateway,
    organization: OrganizationId,
    id: AccountId,
) -> Result<Device, FlowError> {
    let account = account(gateway, organization, id).await?;
    linkable(&account)?;
    let mut session = gateway.store.read(organization).await?;
    let found = rows::get(&mut session, organization, id).await?;
    Ok(found.unwrap_or_else(|| Device::new(gateway.clock.now())))
}

/// Runs an errand, and asks how the device is doing then. What is wanted is written first: where the bridge does not
/// answer, starting is tried again by the clock.
pub async fn run(
    gateway: &Gateway,
    actor: &Actor,
    id: AccountId,
    errand: Errand,
) -> Result<Device, FlowError> {
    let account = account(gateway, actor.organization_id, id).await?;
    let sessions = linkable(&account)?;
    if errand == Errand::Stop && sessions.stop().is_none() {
        return Err(not_supported(&account, "stop devices without unlinking them"));
    }
    let held = hold(gateway, account).await?;
    let mut device = held.device(gateway).await?;
    device.next_start_at = None;
    let action = match errand {
        Errand::Start => {
            device = Device { wish: Wish::Run, failures: 0, alerted_at: None, ..device };
            "account.session.start"
        }
        Errand::Stop => {
            device.wish = Wish::Stop;
            "account.session.stop"
        }
        Errand::LogOut => {
            device = Device { wish: Wish::LogOut, linked: false, number: None, ..device };
            "account.session.log_out"
        }
    };
    held.wish(gateway, actor, action, &device).await?;
    let done = carry_out(gateway, &held.account, errand).await;
    let told = report(gateway, &held.account).await;
    let judged = judge(&device, told, gateway.clock.now());
    let after = judged.device.clone();
    held.write(gateway, device.state, judged, true).await?;
    done.map(|()| after)
}

async fn carry_out(
    gateway: &Gateway,
    account: &Arc<DirectoryAccount>,
    errand: Errand,
) -> Result<(), FlowError> {
    let sessions = linkable(account)?;
    let command: ProviderRequest = match errand {
        Errand::Start => return bring_up(gateway, account).await,
        Errand::Stop => sessions
            .stop()
            .ok_or_else(|| not_supported(account, "stop devices without unlinking them"))?,
        Errand::LogOut => sessions.log_out(),
    };
    let answer = ask(gateway, account, &command).await?;
    if !answer.is_success() {
        // The bridge's refusals read the same everywhere; a session that does not exist is stopped.
        sessions.report(&answer)?;
    }
    Ok(())
}

/// Asks for what links a device: a QR code, or with a telephone number a code to type. It is shown to whoever asks, and
/// kept nowhere.
pub async fn pair(
    gateway: &Gateway,
    actor: &Actor,
    id: AccountId,
    phone: Option<&str>,
) -> Result<PairingCode, FlowError> {
    let organization = actor.organization_id;
    let account = account(gateway, organization, id).await?;
    let sessions = linkable(&account)?;
    let number = phone.map(|text| {
        let number = PhoneNumber::international(text).ok().filter(|_| text.starts_with('+'));
        let wrong = || FlowError::invalid("phone", providers::AddressError::Phone.to_string());
        number.ok_or_else(wrong)
    });
    let number = number.transpose()?;
    let mut session = gateway.store.write(organization).await?;
    let by = if number.is_some() { "code" } else { "qr" };
    let deed = Deed {
        action: "account.session.pair",
        subject: id.to_string(),
        detail: json!({ "by": by }),
    };
    audit::note(gateway, &mut session, actor, deed).await?;
    session.commit().await?;
    let request = sessions.pair(number.as_ref().map(PhoneNumber::as_str));
    let answer = ask(gateway, &account, &request).await?;
    Ok(sessions.paired(&answer)?)
}
