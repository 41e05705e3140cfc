//! The upload of a file: a form of three parts. It knows nothing of messages but the file and an id of ours.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media>

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::compose;
use crate::{MediaKind, OutboundFile};

/// The content type and body of the form. `seed` is our id of the message.
pub(super) fn form(seed: &str, file: &OutboundFile, bytes: &Bytes) -> (HeaderValue, Bytes) {
    let boundary = boundary(seed);
    let mime_type = file.media_type().unwrap_or(usual_type(file.media).into());
    let name = quotable(compose::filename(file).unwrap_or("file"));
    let disposition = "Content-Disposition: form-data; name=";
    let head = format!(
        "--{boundary}\r\n{disposition}\"messaging_product\"\r\n\r\nwhatsapp\r\n\
         --{boundary}\r\n{disposition}\"type\"\r\n\r\n{mime_type}\r\n\
         --{boundary}\r\n{disposition}\"file\"; filename=\"{name}\"\r\n\
         Content-Type: {mime_type}\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let mut body = BytesMut::with_capacity(head.len() + bytes.len() + tail.len());
    body.put_slice(head.as_bytes());
    body.put_slice(bytes);
    body.put_slice(tail.as_bytes());
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
    let content_type = content_type.unwrap_or_else(|_| unreachable!("hex is a header value"));
    (content_type, body.freeze())
}

/// The line between the parts. It stays the same however often the upload is repeated, and a file that holds it would
/// have to have been made with the id of the message that it is sent with.
fn boundary(seed: &str) -> String {
    let digest = Sha256::digest(["switchboard upload ", seed].concat());
    format!("switchboard-{}", hex::encode(&digest[..16]))
}

/// What a file of unknown type is most likely to be.
fn usual_type(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Audio => "audio/mpeg",
        MediaKind::Voice => "audio/ogg; codecs=opus",
        MediaKind::Video => "video/mp4",
        MediaKind::Document => "application/octet-stream",
        MediaKind::Sticker => "image/webp",
    }
}

/// A file's name that can stand between quotation marks in a line.
fn quotable(name: &str) -> String {
    let plain = |c: char| if c.is_control() || c == '"' || c == '\\' { '_' } else { c };
    name.chars().map(plain).collect()
}
