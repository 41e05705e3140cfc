//! Asking a provider whether an account's credentials work.

use super::{account, ask, not_supported};
use crate::flow::{Actor, FlowError};
use crate::gateway::Gateway;
use crate::model::AccountId;

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Whether the credentials work.
    pub ok: bool,
    /// The provider's code of what is wrong; `no_answer` where it did not answer, `destination_refused` where it was not asked
    /// because its address is none that may be asked.
    pub code: Option<String>,
    /// What is wrong.
    pub detail: Option<String>,
}

/// Asks. An account that is unwell is an answer, not an error.
pub async fn run(gateway: &Gateway, actor: &Actor, id: AccountId) -> Result<Diagnosis, FlowError> {
    let account = account(gateway, actor.organization_id, id).await?;
    let health = account.account.health();
    let health = health.ok_or_else(|| not_supported(&account, "tell how it is doing"))?;
    Ok(match ask(gateway, &account, &health.probe()).await {
        Err(lost) => {
            let code = lost.word().to_owned();
            Diagnosis { ok: false, code: Some(code), detail: Some(lost.to_string()) }
        }
        Ok(answer) => match health.diagnose(&answer) {
            Ok(()) => Diagnosis { ok: true, code: None, detail: None },
            Err(failure) => {
                Diagnosis { ok: false, code: failure.code, detail: Some(failure.detail) }
            }
        },
    })
}
