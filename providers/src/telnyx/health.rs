//! Whether the account's API key works.
//! <https://developers.telnyx.com/api-reference/messaging-profiles/list-messaging-profiles>

use super::answers;
use super::client::Client;
use crate::{Failure, Health, ProviderRequest, ProviderResponse};

impl Health for Client {
    /// Lists one messaging profile: a key that may not do that cannot send either.
    fn probe(&self) -> ProviderRequest {
        let request = self.api.get("/v2/messaging_profiles", &[("page[size]", "1")]);
        ProviderRequest::repeatable(request)
    }

    fn diagnose(&self, response: &ProviderResponse) -> Result<(), Failure> {
        if response.is_success() { Ok(()) } else { Err(answers::refusal(response)) }
    }
}
