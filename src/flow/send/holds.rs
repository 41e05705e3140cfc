//! Templates that were paused and are active again, or ended for good: what waited for them goes on.

use crate::gateway::Gateway;
use crate::store::StoreError;
use crate::store::sending::holds;

/// How many templates one look takes up, and how many messages one transaction lets go on.
const TEMPLATES: i64 = 100;
const AT_ONCE: i64 = 1_000;

/// Lets everything go on that need not wait any more.
pub async fn look(gateway: &Gateway) -> Result<(), StoreError> {
    if !holds::any(&mut gateway.store.read_all().await?).await? {
        return Ok(());
    }
    let mut session = gateway.store.write_all().await?;
    holds::doubt(&mut session, gateway.clock.now()).await?;
    session.commit().await?;
    let over = holds::over(&mut gateway.store.read_all().await?, TEMPLATES).await?;
    for hold in over {
        let mut released = 0;
        loop {
            let mut session = gateway.store.write(hold.organization_id).await?;
            let now = gateway.clock.now();
            let count = holds::release(&mut session, &hold, AT_ONCE, now).await?;
            session.commit().await?;
            released += count;
            if count == 0 {
                break;
            }
            gateway.due.notify_one();
        }
        if released == 0 {
            continue;
        }
        tracing::info!(organization = %hold.organization_id, account = %hold.account_id, template = hold.name,
            state = hold.state.word(), messages = released, "messages that waited for a template go on");
    }
    Ok(())
}
