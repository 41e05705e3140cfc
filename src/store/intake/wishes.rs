//! What people want: not to be written to any more, or to be again; no more marketing, or some again.

use providers::{Address, Channel, Direction, Preference};

use super::messages::Row;
use super::writer::{Work, Writer};
use crate::model::SuppressionScope;
use crate::store::StoreError;
use crate::store::sending::suppressions::{self, Cause};

/// A wish, and whose it is: every address under which the provider names them.
struct Wish<'a> {
    channel: Channel,
    person: &'a [Address],
    scope: SuppressionScope,
    /// Whether they want to be written to.
    wanted: bool,
}

/// People whose messages say so.
pub(super) async fn of_messages(
    writer: &mut Writer<'_>,
    rows: &[&Row<'_>],
) -> Result<(), StoreError> {
    for row in rows {
        let message = row.message;
        let wanted = match message.context.opt_out.as_deref() {
            Some("stop") => false,
            Some("start") => true,
            _ if message.context.opt_in_word => true,
            _ => continue,
        };
        // Old messages must not set anything off.
        if message.direction != Direction::Inbound || message.historical {
            continue;
        }
        let wish = Wish {
            channel: message.channel,
            person: &message.party.addresses,
            scope: SuppressionScope::All,
            wanted,
        };
        grant(writer, &row.work, &wish).await?;
    }
    Ok(())
}

/// Somebody who told the channel what they want of marketing.
pub(super) async fn of_preference(
    writer: &mut Writer<'_>,
    work: &Work<'_>,
    preference: &Preference,
) -> Result<(), StoreError> {
    let wish = Wish {
        channel: preference.channel,
        person: &preference.person,
        scope: SuppressionScope::Marketing,
        wanted: preference.marketing,
    };
    grant(writer, work, &wish).await
}

async fn grant(
    writer: &mut Writer<'_>,
    work: &Work<'_>,
    wish: &Wish<'_>,
) -> Result<(), StoreError> {
    let organization = work.item.organization_id;
    let (scope, since, now) = (wish.scope, work.item.event.at, writer.now);
    let session = &mut writer.session;
    for address in wish.person {
        if wish.wanted {
            let channel = wish.channel;
            suppressions::resume(session, organization, channel, address, scope, since, now)
                .await?;
        } else {
            let cause = Cause { reason: "opted_out", scope, detail: None, until: None, since };
            suppressions::put(session, organization, wish.channel, address, &cause, now).await?;
        }
    }
    Ok(())
}
