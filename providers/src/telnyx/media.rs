//! Fetching the files of a message. Their addresses work without credentials, for 30 days.
//! <https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks>

use bytes::Bytes;
use http::{Request, StatusCode};

use super::{TelnyxAccount, answers};
use crate::api::web_url;
use crate::{
    Attachment, Cause, Download, Failure, FailureClass, Media, MediaStep, ProviderRequest,
    ProviderResponse,
};

impl Media for TelnyxAccount {
    fn step(&self, file: &Attachment, _answers: &[ProviderResponse]) -> Result<MediaStep, Failure> {
        let url = file.url.as_deref().and_then(web_url);
        let uri = url.and_then(|url| url.as_str().parse().ok());
        let uri = uri.ok_or_else(|| lost("nothing says where the file is"))?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        let request = ProviderRequest::repeatable(request);
        Ok(MediaStep::Download(Download { request, expected: file.clone() }))
    }

    /// The files lie with a storage service, which answers 403 for what has expired.
    fn refused(&self, response: &ProviderResponse) -> Failure {
        match response.http.status() {
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => {
                lost("the file is gone")
            }
            _ => answers::refusal(response),
        }
    }
}

fn lost(detail: &str) -> Failure {
    Failure::new(FailureClass::Permanent(Cause::Message), detail)
}
