//! Fetching the files of a message.
//! <https://www.twilio.com/docs/messaging/api/media-resource>

use http::StatusCode;

use super::{TwilioAccount, answers};
use crate::{
    Attachment, Cause, Download, Failure, FailureClass, Media, MediaStep, ProviderResponse,
};

impl Media for TwilioAccount {
    /// One download: Twilio redirects to a signed address elsewhere, which needs no credentials and must get none.
    fn step(&self, file: &Attachment, _answers: &[ProviderResponse]) -> Result<MediaStep, Failure> {
        let request = file.url.as_deref().and_then(|url| self.client.download(url));
        let request = request.ok_or_else(|| lost("nothing says where the file is"))?;
        Ok(MediaStep::Download(Download { request, expected: file.clone() }))
    }

    fn refused(&self, response: &ProviderResponse) -> Failure {
        match response.http.status() {
            // The code beside it would blame the account.
            StatusCode::NOT_FOUND | StatusCode::GONE => lost("the file is gone"),
            _ => answers::refusal(response),
        }
    }
}

fn lost(detail: &str) -> Failure {
    Failure::new(FailureClass::Permanent(Cause::Message), detail)
}
