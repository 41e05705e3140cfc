//! Files that come with messages and files that are handed in, for tests.

use bytes::Bytes;
use http::Request;
use providers::{
    Attachment, Cause, Download, Failure, FailureClass, Media, MediaStep, ProviderRequest,
    ProviderResponse,
};
use serde_json::{Value, json};
use switchboard::flow::media;

use super::meta::{self, AURORA};
use super::{Answer, Org, TestGateway};

/// Fetches a file from where the webhook says it is; one whose id begins with `ask` after asking there first.
struct Scripted;

static SCRIPTED: Scripted = Scripted;

impl Media for Scripted {
    fn step(&self, file: &Attachment, answers: &[ProviderResponse]) -> Result<MediaStep, Failure> {
        let get = |url: &str| {
            let request = Request::get(url).body(Bytes::new()).unwrap();
            ProviderRequest::repeatable(request)
        };
        let nowhere = || Failure::new(FailureClass::Permanent(Cause::Message), "no address");
        let url = file.url.as_deref().ok_or_else(nowhere)?;
        let asks = file.media_id.as_deref().is_some_and(|id| id.starts_with("ask"));
        let mut expected = file.clone();
        match answers.last() {
            None if asks => return Ok(MediaStep::Ask(get(url))),
            Some(answer) if !answer.is_success() => return Err(self.refused(answer)),
            Some(answer) => {
                let facts: Value = answer.json().unwrap();
                expected.url = facts["url"].as_str().map(ToOwned::to_owned);
                expected.size = facts["file_size"].as_i64();
            }
            None => {}
        }
        let request = get(expected.url.as_deref().unwrap());
        Ok(MediaStep::Download(Download { request, expected }))
    }

    fn refused(&self, response: &ProviderResponse) -> Failure {
        match response.http.status().as_u16() {
            404 => Failure::new(FailureClass::Permanent(Cause::Message), "it is gone"),
            _ => Failure::of_status(response.http.status()),
        }
    }
}

pub const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A message with a picture that is to be had at `url`.
pub fn picture(id: &str, url: &str, more: &Value) -> Value {
    let mut image = json!({ "id": format!("media-{id}"), "mime_type": "image/png", "url": url });
    image.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "id": id, "from": "5511987654321", "timestamp": "1793534400", "type": "image", "image": image })
}

impl TestGateway {
    pub async fn receive_picture(&self, id: &str, url: &str, more: &Value) {
        self.meta(&[meta::change(AURORA, &[picture(id, url, more)], &[])]).await.expect(200);
    }

    pub async fn fetch_files(&self) -> usize {
        media::fetch_due_through(&self.gateway, |_| Some(&SCRIPTED)).await.unwrap()
    }

    /// The one file of the organization's newest message.
    pub async fn file(&self, org: &Org) -> Value {
        self.communications(org).await[0]["metadata"]["attachments"][0].clone()
    }

    /// Where a file lies on the disk.
    pub fn kept_file(&self, org: &Org, file: &Value) -> std::path::PathBuf {
        let name = format!("media/{}/{}", org.id, file["id"].as_str().unwrap());
        self.database.folder.join(name)
    }

    pub async fn get_with(&self, org: &Org, path: &str, header: (&str, &str)) -> Answer {
        let request = Request::get(path)
            .header("authorization", format!("Bearer {}", org.key))
            .header("x-org-id", org.id.to_string())
            .header(header.0, header.1);
        self.send(request.body(Bytes::new()).unwrap()).await
    }

    pub async fn hand_in(&self, org: &Org, query: &str, kind: &str, body: &[u8]) -> Answer {
        let request = Request::post(format!("/api/v1/media{query}"))
            .header("authorization", format!("Bearer {}", org.key))
            .header("x-org-id", org.id.to_string())
            .header("content-type", kind);
        self.send(request.body(Bytes::copy_from_slice(body)).unwrap()).await
    }
}
