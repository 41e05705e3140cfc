//! Watching over linked devices: each is asked twice a minute, started again when it breaks, and never linked by itself.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt;
use providers::{Failure, FailureClass, Notice, SessionReport, Sessions, Severity, Step};
use serde_json::json;
use uuid::Uuid;

use super::judge::{Judgement, back_off, judge};
use super::{AT_ONCE, able, ask, not_supported};
use crate::flow::send::manage;
use crate::flow::{Actor, FlowError};
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{Device, DeviceState};
use crate::store::events::Outbox;
use crate::store::lines::sessions as rows;
use crate::store::{StoreError, notices};

/// How long a lease lasts that is not given back: longer than everything that is asked under it.
const LEASE: TimeDelta = TimeDelta::seconds(90);

/// How often, and after which pauses, a person's request waits for somebody else's lease.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// How many requests starting may take.
const STEPS: usize = 5;

/// A device that is ours to deal with.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) account: Arc<DirectoryAccount>,
    lease: Uuid,
}

/// Looks at all devices that are due.
pub async fn look(gateway: &Gateway) -> Result<(), StoreError> {
    let is_able = |account: &DirectoryAccount| account.account.sessions().is_some();
    if able(gateway, is_able, &[]).is_empty() {
        return Ok(());
    }
    let now = gateway.clock.now();
    let resting = rows::resting(&mut gateway.store.read_all().await?, now).await?;
    let due = futures_util::stream::iter(able(gateway, is_able, &resting));
    due.for_each_concurrent(AT_ONCE, |account| async move {
        let id = account.id;
        if let Err(error) = look_at(gateway, account).await {
            tracing::warn!(account = %id, %error, "a linked device could not be looked at");
        }
    })
    .await;
    Ok(())
}

async fn look_at(gateway: &Gateway, account: Arc<DirectoryAccount>) -> Result<(), FlowError> {
    let Some(held) = take(gateway, &account, true).await? else { return Ok(()) };
    let before = held.device(gateway).await?;
    let judged = judge(&before, report(gateway, &held.account).await, gateway.clock.now());
    let (start, mut device) = (judged.start, judged.device.clone());
    if !held.write(gateway, before.state, judged, !start).await? || !start {
        return Ok(());
    }
    let id = account.id;
    match bring_up(gateway, &held.account).await {
        Ok(()) => tracing::info!(account = %id, "a linked device was started again"),
        Err(error) if device.failures == 0 => {
            tracing::warn!(account = %id, %error, "a linked device cannot be started; it will be tried again");
        }
        Err(error) => tracing::debug!(account = %id, %error, "a linked device cannot be started"),
    }
    let now = gateway.clock.now();
    device.failures += 1;
    device.next_start_at = Some(now + back_off(device.failures));
    device.due_at = now + back_off(0);
    let unchanged = Judgement { device, changed: false, alarm: false, start: false };
    let state = unchanged.device.state;
    held.write(gateway, state, unchanged, true).await?;
    Ok(())
}

/// Takes a device's lease, waiting a little for whoever has it.
pub(super) async fn hold(
    gateway: &Gateway,
    account: Arc<DirectoryAccount>,
) -> Result<Held, FlowError> {
    for _ in 0..TRIES {
        if let Some(held) = take(gateway, &account, false).await? {
            return Ok(held);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(FlowError::Conflict("somebody else deals with the session now; try again".to_owned()))
}

async fn take(
    gateway: &Gateway,
    account: &Arc<DirectoryAccount>,
    due: bool,
) -> Result<Option<Held>, StoreError> {
    let now = gateway.clock.now();
    let (lease, organization) = (gateway.ids.next(), account.organization_id);
    let mut session = gateway.store.write(organization).await?;
    let until = (lease, now + LEASE);
    let taken = rows::lease(&mut session, organization, account.id, until, due, now).await?;
    session.commit().await?;
    Ok(taken.then(|| Held { account: Arc::clone(account), lease }))
}

/// What a device tells, or why it tells nothing.
pub(super) async fn report(
    gateway: &Gateway,
    account: &DirectoryAccount,
) -> Result<SessionReport, String> {
    let sessions = linkable(account).map_err(|error| error.to_string())?;
    let answer = ask(gateway, account, &sessions.ask()).await.map_err(|lost| lost.to_string())?;
    sessions.report(&answer).map_err(|failure| failure.detail)
}

/// Starts a device. It never links one.
pub(super) async fn bring_up(
    gateway: &Gateway,
    account: &DirectoryAccount,
) -> Result<(), FlowError> {
    let sessions = linkable(account)?;
    let url = gateway.hook_url(account.provider.name, account.id).ok_or_else(|| {
        let detail = "the session must know where to call: set server.public_url";
        FlowError::refused("no_public_url", detail)
    })?;
    let mut answers = Vec::new();
    for _ in 0..STEPS {
        match sessions.start(&url, &answers)? {
            Step::Done(()) => return Ok(()),
            Step::Next(request) => answers.push(ask(gateway, account, &request).await?),
        }
    }
    let detail = "the bridge wants too many requests to start a session";
    Err(Failure::new(FailureClass::Transient, detail).into())
}

pub(super) fn linkable(account: &DirectoryAccount) -> Result<&dyn Sessions, FlowError> {
    account.account.sessions().ok_or_else(|| not_supported(account, "link devices"))
}

impl Held {
    /// The device as it stands; nobody else changes it meanwhile.
    pub(super) async fn device(&self, gateway: &Gateway) -> Result<Device, StoreError> {
        let organization = self.account.organization_id;
        let mut session = gateway.store.read(organization).await?;
        let found = rows::get(&mut session, organization, self.account.id).await?;
        Ok(found.unwrap_or_else(|| Device::new(gateway.clock.now())))
    }

    /// Writes what a person wants, and that they wanted it.
    pub(super) async fn wish(
        &self,
        gateway: &Gateway,
        actor: &Actor,
        action: &str,
        device: &Device,
    ) -> Result<(), FlowError> {
        let (organization, id) = (self.account.organization_id, self.account.id);
        let mut session = gateway.store.write(organization).await?;
        if !rows::put(&mut session, organization, id, self.lease, device, false).await? {
            return Err(FlowError::NotFound("account"));
        }
        let deed = crate::flow::audit::Deed { action, subject: id.to_string(), detail: json!({}) };
        crate::flow::audit::note(gateway, &mut session, actor, deed).await?;
        Ok(session.commit().await?)
    }

    /// Writes a judgement and tells of it. `false` if the lease was lost: then somebody else has judged since.
    pub(super) async fn write(
        &self,
        gateway: &Gateway,
        before: DeviceState,
        judged: Judgement,
        release: bool,
    ) -> Result<bool, StoreError> {
        let (organization, id) = (self.account.organization_id, self.account.id);
        let now = gateway.clock.now();
        let Judgement { device, changed, alarm, .. } = judged;
        let mut session = gateway.store.write(organization).await?;
        let mut outbox = Outbox::lock(&mut session, [organization]).await?;
        if !rows::put(&mut session, organization, id, self.lease, &device, release).await? {
            return Ok(false);
        }
        let data = json!({
            "state": device.state.word(), "before": before.word(), "number": device.number, "detail": device.detail,
        });
        if changed {
            outbox.push(organization, "session.status", id.0, Some(data.clone()));
        }
        if alarm {
            let notice = logged_out(data);
            let key = format!("session:{}", gateway.ids.next());
            notices::tell(&mut session, &mut outbox, (organization, id), &key, &notice, now)
                .await?;
        }
        outbox.flush(&mut session, now).await?;
        let works_again = changed && device.state == DeviceState::Working;
        if works_again {
            manage::account_changed(gateway, &mut session, organization).await?;
        }
        session.commit().await?;
        if changed {
            gateway.wake_readers();
            tracing::info!(account = %id, %organization, before = before.word(), state = device.state.word(),
                "a linked device is in another state");
        }
        if works_again {
            gateway.due.notify_one();
        }
        if alarm {
            tracing::error!(account = %id, %organization, detail = device.detail,
                "a linked device was logged out or banned; it sends and receives nothing until a person starts and links it");
        }
        Ok(true)
    }
}

fn logged_out(data: serde_json::Value) -> Notice {
    Notice {
        topic: "session.status".to_owned(),
        title: "The device was logged out or its number banned; a person must start and link it"
            .to_owned(),
        severity: Severity::Critical,
        number: None,
        template: None,
        preference: None,
        data,
    }
}
