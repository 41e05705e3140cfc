//! Whether the access token works and sees the account's own WABA.
//! <https://developers.facebook.com/docs/graph-api/reference/whats-app-business-account>

use super::graph::Graph;
use super::wire::Named;
use crate::{Cause, Failure, FailureClass, Health, ProviderRequest, ProviderResponse};

impl Health for Graph {
    fn probe(&self) -> ProviderRequest {
        self.get(&format!("{}?fields=id,name", self.waba_id))
    }

    fn diagnose(&self, response: &ProviderResponse) -> Result<(), Failure> {
        let named = response.is_success().then(|| response.json::<Named>()).flatten();
        if named.is_some_and(|named| named.id.get() == Some(&self.waba_id)) {
            return Ok(());
        }
        let failure = self.refusal_of_question(response);
        // The question is always the same, so what is wrong with it is wrong with the account: a WABA that does not
        // exist, or that the token may not see.
        match failure.class {
            FailureClass::Permanent(Cause::Message) => {
                Err(Failure { class: FailureClass::Permanent(Cause::Account), ..failure })
            }
            _ => Err(failure),
        }
    }
}
