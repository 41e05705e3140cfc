//! `DELETE /v2/messages/{id}`: a scheduled message is taken back.
//! <https://developers.telnyx.com/api-reference/messages/cancel-a-scheduled-message>

use std::sync::Arc;

use chrono::TimeDelta;

use super::errors::fail;
use super::view;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Handled};
use crate::sandbox::schedule;
use crate::sandbox::world::World;

/// In its last minute, a message can no longer be taken back.
const LAST: TimeDelta = TimeDelta::minutes(1);

/// The answer is the message itself, without the `data` around it that other answers have.
pub(super) fn answer(world: &Arc<World>, accounts: &[Arc<SandboxAccount>], id: &str) -> Handled {
    let message = view::find(world, accounts, id);
    let message = message.ok_or_else(|| fail("10005", None, "Resource not found"))?;
    let due = message.with(|seen| seen.scheduled_for);
    let early = due.is_some_and(|due| due - world.later() > LAST);
    if !early || !schedule::cancel(world, &message, "cancelled") {
        let detail = "Only messages with status 'scheduled' and a send_at more than a minute from now can be cancelled.";
        return Err(fail("10010", None, detail));
    }
    Ok(Answer::json(200, &view::view(&message.account, &message.seen())))
}
