//! Fetching files that came with messages: first where the file is, then the file.
//!
//! Meta keeps a file for 7 days under its id. Its address is good for 5 minutes, so it is asked for anew each time.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media>

use super::graph::{Graph, is_id};
use super::wire::WireFile;
use crate::{
    Attachment, Cause, Download, Failure, FailureClass, Media, MediaStep, ProviderResponse,
};

impl Media for Graph {
    fn step(&self, file: &Attachment, answers: &[ProviderResponse]) -> Result<MediaStep, Failure> {
        let gone = |detail: &str| Failure::new(FailureClass::Permanent(Cause::Message), detail);
        let Some(id) = file.media_id.as_deref() else {
            // Newer webhooks name the address at once.
            let address = file.url.as_deref().ok_or_else(|| gone("nothing says where it is"))?;
            return self.fetch(address, file.clone());
        };
        let Some(answer) = answers.last() else {
            let refusal = || gone("the file's id does not have the form of one");
            return is_id(id).then(|| MediaStep::Ask(self.get(id))).ok_or_else(refusal);
        };
        let found = answer.is_success().then(|| answer.json::<WireFile>()).flatten();
        let Some((address, found)) = found.and_then(|found| Some((found.url.0.clone()?, found)))
        else {
            return Err(self.refusal_of_question(answer));
        };
        // The digest of the webhook is the one that Meta documents.
        let expected = Attachment {
            url: Some(address.clone()),
            size: found.file_size.number().or(file.size),
            mime_type: found.mime_type.0.or(file.mime_type.clone()),
            sha256: file.sha256.clone().or(found.sha256.0),
            ..file.clone()
        };
        self.fetch(&address, expected)
    }

    fn refused(&self, response: &ProviderResponse) -> Failure {
        let failure = self.refusal_of_question(response);
        // Where files are kept, an address that is too old is answered with a page. That says nothing about the account,
        // even where its status is that of a wrong token.
        match response.http.status().as_u16() {
            401 | 403 | 404 | 410 if failure.code.is_none() => {
                let detail = format!("the file is no longer there: {}", failure.detail);
                Failure::new(FailureClass::Permanent(Cause::Message), detail)
            }
            _ => failure,
        }
    }
}

impl Graph {
    fn fetch(&self, address: &str, expected: Attachment) -> Result<MediaStep, Failure> {
        let request = self.download(address)?;
        Ok(MediaStep::Download(Download { request, expected }))
    }
}
