//! Whether the account's credentials work.
//! <https://www.twilio.com/docs/iam/api/account#fetch-an-account-resource>

use serde::Deserialize;

use super::{TwilioAccount, answers};
use crate::destination::foreign;
use crate::lenient::Maybe;
use crate::{Cause, Failure, FailureClass, Health, ProviderRequest, ProviderResponse};

/// An account; of a list of messages, nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireAccount {
    status: Maybe,
}

impl Health for TwilioAccount {
    /// Asks for the account. A standard API key may not see it, so with a key one message is listed instead, which is
    /// nearer to what the key is for.
    fn probe(&self) -> ProviderRequest {
        let client = &self.client;
        let request = if client.has_api_key {
            client.api.get(&client.path("/Messages"), &[("PageSize", "1")])
        } else {
            client.api.get(&client.path(""), &[])
        };
        ProviderRequest::repeatable(request)
    }

    fn diagnose(&self, response: &ProviderResponse) -> Result<(), Failure> {
        if !response.is_success() {
            return Err(answers::refusal(response));
        }
        let account: WireAccount = response.json().unwrap_or_default();
        match account.status.get() {
            None | Some("active") => Ok(()),
            Some(status @ ("suspended" | "closed")) => {
                let detail = format!("the account is {status}");
                Err(Failure::new(FailureClass::Permanent(Cause::Account), detail))
            }
            Some(_) => {
                let detail = foreign("Twilio", response);
                Err(Failure::new(FailureClass::Permanent(Cause::Account), detail))
            }
        }
    }
}
