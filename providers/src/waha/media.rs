//! Files that came with messages. WAHA serves them itself for some minutes, or leaves them in object storage.
//! <https://waha.devlike.pro/docs/how-to/receive-messages/#files>

use serde::Deserialize;

use super::ids::Id;
use super::wire::Media as WireMedia;
use super::{WahaAccount, errors};
use crate::{
    Attachment, Cause, Download, Failure, FailureClass, Media, MediaStep, ProviderRequest,
    ProviderResponse,
};

impl Media for WahaAccount {
    fn step(&self, file: &Attachment, answers: &[ProviderResponse]) -> Result<MediaStep, Failure> {
        let Some(answer) = answers.last() else {
            return match &file.url {
                Some(url) => self.download(url, file.clone()),
                None => self.ask_again(file),
            };
        };
        if !answer.is_success() {
            return Err(self.refused(answer));
        }
        let media = answer.json::<Shown>().and_then(|shown| shown.media).unwrap_or_default();
        let url = media.url.0.ok_or_else(|| gone("WAHA has no file for this message"))?;
        let expected = Attachment {
            url: Some(url.clone()),
            mime_type: media.mimetype.0.or(file.mime_type.clone()),
            filename: media.filename.0.or(file.filename.clone()),
            ..file.clone()
        };
        self.download(&url, expected)
    }

    fn refused(&self, response: &ProviderResponse) -> Failure {
        let is_json = response.json::<serde_json::Value>().is_some();
        match response.http.status().as_u16() {
            404 | 410 => gone("the file is no longer there"),
            // Object storage says in XML that the link has expired; only WAHA's own refusal is about our key.
            400 | 401 | 403 if !is_json => gone("the link to the file has expired"),
            _ => errors::of_asking(response),
        }
    }
}

impl WahaAccount {
    fn download(&self, url: &str, expected: Attachment) -> Result<MediaStep, Failure> {
        let request = self.api.file(url).ok_or_else(|| gone("the file's address is no URL"))?;
        Ok(MediaStep::Download(Download {
            request: ProviderRequest::repeatable(request),
            expected,
        }))
    }

    /// Has WAHA fetch the file once more: it failed to when the message came.
    fn ask_again(&self, file: &Attachment) -> Result<MediaStep, Failure> {
        let message = file.media_id.as_deref().unwrap_or_default();
        let chat = Id::read(message).and_then(|id| id.chat);
        let chat = chat.ok_or_else(|| gone("nothing says where the file is"))?;
        let path = ["api", self.api.session(), "chats", chat, "messages", message];
        let request = self.api.get(&path, &[("downloadMedia", "true")]);
        Ok(MediaStep::Ask(ProviderRequest::repeatable(request)))
    }
}

/// A message as WAHA shows it when asked.
#[derive(Deserialize)]
struct Shown {
    media: Option<WireMedia>,
}

fn gone(detail: &str) -> Failure {
    Failure::new(FailureClass::Permanent(Cause::Message), detail)
}
