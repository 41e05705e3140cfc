//! Messages cancelled, redacted and deleted.
//! <https://www.twilio.com/docs/messaging/api/message-resource#update-a-message-resource>

use std::sync::Arc;

use serde_json::json;

use super::errors::fail;
use super::read::{self, Message};
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Form, Handled};
use crate::sandbox::journal::Accepted;
use crate::sandbox::schedule;
use crate::sandbox::world::World;

/// `Status=canceled` takes back a scheduled message, `Body=` makes its text empty; never both at once.
pub(super) fn update(
    world: &Arc<World>,
    account: &SandboxAccount,
    sid: &str,
    form: &Form,
) -> Handled {
    let message = read::find(world, account, sid)?;
    match (&form.all("Status")[..], &form.all("Body")[..]) {
        (["canceled"], []) => cancel(world, &message)?,
        ([], [""]) => redact(world, &message)?,
        _ => return Err(fail(30_400)),
    }
    Ok(Answer::json(200, &read::find(world, account, sid)?.view()))
}

fn cancel(world: &Arc<World>, message: &Message) -> Result<(), Answer> {
    match message {
        Message::Sent(message) if schedule::cancel(world, message, "canceled") => Ok(()),
        _ => Err(fail(30_409)),
    }
}

fn redact(world: &World, message: &Message) -> Result<(), Answer> {
    match message {
        Message::Sent(message) => {
            finished(message)?;
            message.with(|seen| seen.body["Body"] = json!(""));
        }
        Message::Heard(heard) => {
            world.heard().change(&heard.id, |heard| heard.view["body"] = json!(""));
        }
    }
    Ok(())
}

/// Nothing is changed of a message that has not left yet.
fn finished(message: &Accepted) -> Result<(), Answer> {
    let waits = message.with(|seen| {
        matches!(seen.status.as_str(), "accepted" | "scheduled" | "queued" | "sending")
    });
    if waits { Err(fail(20_009)) } else { Ok(()) }
}

/// Deletes a message and its files.
pub(super) fn delete(world: &World, account: &SandboxAccount, sid: &str) -> Handled {
    match read::find(world, account, sid)? {
        Message::Sent(message) => {
            finished(&message)?;
            message.with(|seen| seen.deleted = true);
        }
        Message::Heard(heard) => {
            world.heard().remove(&heard.id);
            let mut files = world.files();
            for file in &heard.files {
                files.remove(file);
            }
        }
    }
    Ok(Answer::empty(204))
}
