//! Files that came with messages. What WhatsApp names is encrypted; the server decrypts it when it is asked by the message's id,
//! and answers with the file as base64 inside JSON. A server with object storage has put it there already.
//! <https://doc.evolution-api.com/v2/api-reference/chat-controller/get-base64>

use serde_json::json;

use super::api::Api;
use super::{EvolutionAccount, errors};
use crate::bridge::jids;
use crate::{
    Attachment, Cause, Download, Failure, FailureClass, Media, MediaStep, ProviderRequest,
    ProviderResponse,
};

impl Media for EvolutionAccount {
    fn step(&self, file: &Attachment, _answers: &[ProviderResponse]) -> Result<MediaStep, Failure> {
        let expected = file.clone();
        if let Some(url) = &file.url {
            let request = Api::file(url).ok_or_else(|| gone("the file's address is no URL"))?;
            let request = ProviderRequest::repeatable(request);
            return Ok(MediaStep::Download(Download { request, expected }));
        }
        let id = file.media_id.as_deref().filter(|id| jids::is_bare_id(id));
        let id = id.ok_or_else(|| gone("nothing says where the file is"))?;
        let body = json!({ "message": { "key": { "id": id } }, "convertToMp4": false });
        let request = self.api.post(["chat", "getBase64FromMediaMessage"], &body);
        let download = Download { request: ProviderRequest::repeatable(request), expected };
        Ok(MediaStep::Unwrap { download, member: "base64" })
    }

    fn refused(&self, response: &ProviderResponse) -> Failure {
        let is_json = response.json::<serde_json::Value>().is_some();
        let failure = errors::of_asking(response);
        match response.http.status().as_u16() {
            // Object storage says in XML that the link has expired; only Evolution's own refusal is about our key.
            400 | 401 | 403 | 404 | 410 if !is_json => gone("the link to the file has expired"),
            // The message is not in the server's store, or its file is no longer at WhatsApp. That the instance is missing is
            // a 404 and may be mended.
            400 if failure.class == FailureClass::Permanent(Cause::Message) => {
                gone("the file is no longer there")
            }
            _ => failure,
        }
    }
}

fn gone(detail: &str) -> Failure {
    Failure::new(FailureClass::Permanent(Cause::Message), detail)
}
