//! `/api/v1/media`: files of messages, and files that are handed to us to be sent; and the links under which providers
//! fetch the latter.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::Answer;
use super::extract::{Access, Id, Query};
use super::pace::Interrupted;
use super::range::{self, Asked};
use super::{App, Problem};
use crate::flow::media;
use crate::model::{MediaFile, MediaId, OrganizationId, Scope};

/// What is known of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MediaView {
    /// Its id.
    id: Uuid,
    /// `pending`, `stored`, `failed` or `expired`.
    state: &'static str,
    /// The message it came with.
    message_id: Option<Uuid>,
    /// Its media type.
    mime_type: Option<String>,
    /// Its name. Untrusted.
    filename: Option<String>,
    /// Its size in bytes.
    size: Option<i64>,
    /// Its SHA-256 in hex, once it is stored.
    sha256: Option<String>,
    /// What is odd about it, such as another hash than was announced.
    warning: Option<String>,
    /// Why fetching it failed last.
    error: Option<String>,
    /// Where it can be had, once it is stored.
    url: String,
}

impl From<MediaFile> for MediaView {
    fn from(file: MediaFile) -> Self {
        Self {
            id: file.id.0,
            state: file.state.word(),
            message_id: file.message_id.map(|id| id.0),
            mime_type: file.mime_type,
            filename: file.filename,
            size: file.size,
            sha256: file.sha256,
            warning: file.warning,
            error: file.last_error,
            url: format!("/api/v1/media/{}", file.id),
        }
    }
}

/// What the file is called.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// Its name, at most 240 characters.
    filename: Option<String>,
}

/// A file, or the part of it that `Range` asks for. Types that a browser might run are sent as attachments.
#[utoipa::path(get, path = "/api/v1/media/{id}", tag = "media", params(("id" = Uuid, Path)), responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>, description = "The file, under its own media type"),
    (status = 206, content_type = "application/octet-stream", body = Vec<u8>, description = "The part of it that was asked for"),
    (status = 304, description = "It is the one that `If-None-Match` names"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json", description = "It is not stored: not yet, no longer, or it could not be fetched"),
    (status = 416, body = Problem, content_type = "application/problem+json", description = "The file is shorter"),
))]
pub(super) async fn get(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MediaId>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let file = media::describe(&app.gateway, organization, id).await?;
    serve(&app, organization, file, &method, &headers).await
}

/// Asks for a file again that failed, expired, or waits to be tried again.
#[utoipa::path(post, path = "/api/v1/media/{id}/fetch", tag = "media", params(("id" = Uuid, Path)), responses(
    (status = 200, body = MediaView),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn fetch(
    State(app): State<App>,
    access: Access,
    Id(id): Id<MediaId>,
) -> Result<Answer<MediaView>, Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    let file = media::ask_again(&app.gateway, &access.actor(), id).await?;
    Ok(Answer(file.into()))
}

/// Takes a file, to be sent later. The body is the file itself, and `Content-Type` its media type.
#[utoipa::path(post, path = "/api/v1/media", tag = "media", params(Named),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 201, body = MediaView),
    (status = 408, body = Problem, content_type = "application/problem+json", description = "It came more slowly than 4 KiB a second"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn upload(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Named>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Answer<MediaView>), Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    let limit = app.gateway.config.media.upload_bytes;
    let too_large = || Problem::too_large(usize::try_from(limit).unwrap_or(usize::MAX));
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let announced = header(header::CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let kind = header(header::CONTENT_TYPE)
        .ok_or_else(|| Problem::invalid("Content-Type", "is missing: say the file's media type"))?;
    let name = query.filename.as_deref();
    let mut upload = media::begin(&app.gateway, &access.actor(), kind, name).await?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let taken = match piece {
            Ok(piece) => upload.write(&piece).await.map_err(Problem::from),
            Err(error) if Interrupted::is_slowness(&error) => Err(Problem::too_slow()),
            Err(_) => Err(Problem::malformed("the body broke off")),
        };
        if let Err(problem) =
            taken.and_then(|size| if size > limit { Err(too_large()) } else { Ok(()) })
        {
            upload.abort().await;
            return Err(problem);
        }
    }
    let file = upload.finish(&app.gateway).await?;
    Ok((StatusCode::CREATED, Answer(file.into())))
}

/// A file by a link that we gave to a provider.
pub(super) async fn linked(
    State(app): State<App>,
    Path(token): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (organization, file) = media::redeem(&app.gateway, &token).await?;
    serve(&app, organization, file, &method, &headers).await
}

/// The answer to a request for a file.
async fn serve(
    app: &App,
    organization: OrganizationId,
    file: MediaFile,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let size = file.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    let tag = file.sha256.as_ref().map(|hash| format!("\"{hash}\""));
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let same = |given: &str| {
        let mut tags = given.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
        tag.as_deref().is_some_and(|ours| tags.any(|tag| tag == "*" || tag == ours))
    };
    // A part of another state of the file must not be put together with one of this.
    let asked = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(same));
    let asked = range::read(asked, size);
    let part = match &asked {
        Asked::Whole => 0..size,
        Asked::Part(part) => part.clone(),
        Asked::Beyond => 0..0,
    };
    let stream = media::read(&app.gateway, organization, &file, part.clone()).await?;
    if text(header::IF_NONE_MATCH).is_some_and(same) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), &file, tag.as_deref());
        return Ok(response);
    }
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => Body::from_stream(stream),
    };
    let mut response = Response::new(body);
    let content_range = match asked {
        Asked::Whole => None,
        Asked::Part(_) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            Some(format!("bytes {}-{}/{size}", part.start, part.end - 1))
        }
        Asked::Beyond => {
            let mut response = Problem::range_beyond(size).into_response();
            put(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    describe(response.headers_mut(), &file, tag.as_deref());
    put(response.headers_mut(), header::CONTENT_LENGTH, &(part.end - part.start).to_string());
    if let Some(range) = content_range {
        put(response.headers_mut(), header::CONTENT_RANGE, &range);
    }
    Ok(response)
}

/// What a browser is told about a file, so that it cannot be made to run one that a stranger sent.
fn describe(headers: &mut HeaderMap, file: &MediaFile, tag: Option<&str>) {
    let kind = file.mime_type.as_deref().unwrap_or("application/octet-stream");
    let kind = HeaderValue::from_str(kind).ok();
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(unknown));
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(headers, header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    put(headers, header::CACHE_CONTROL, "private, max-age=3600");
    put(headers, header::ACCEPT_RANGES, "bytes");
    put(headers, header::CONTENT_DISPOSITION, &disposition(file));
    if let Some(tag) = tag {
        put(headers, header::ETAG, tag);
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Pictures, sound and films are shown; everything else is saved. The name is given twice: in letters that every client
/// reads, and as it is.
fn disposition(file: &MediaFile) -> String {
    let kind = file.mime_type.as_deref().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let shown = match essence.split_once('/') {
        Some(("image", subtype)) => !subtype.contains("xml") && !subtype.contains("svg"),
        Some(("audio" | "video", _)) => true,
        _ => false,
    };
    let how = if shown { "inline" } else { "attachment" };
    let Some(name) = file.filename.as_deref().and_then(plain_name) else {
        return how.to_owned();
    };
    let simple =
        |c: char| if c.is_ascii_graphic() && !"\"\\%;".contains(c) || c == ' ' { c } else { '_' };
    let ascii: String = name.chars().map(simple).collect();
    let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let encoded = encoded.replace('+', "%20");
    format!("{how}; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// The last part of a name, without what could mislead a file system or a reader.
fn plain_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    // Marks that turn the direction of writing make `gpj.exe` look like `exe.jpg`.
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = last.chars().filter(|c| !c.is_control() && !turns(*c)).take(200).collect();
    let name = name.trim().trim_start_matches('.').trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// Whether a request brings a file: it may take longer than others.
pub(super) fn is_upload(method: &Method, path: &str) -> bool {
    *method == Method::POST && path == "/api/v1/media"
}

/// A path as it may be logged: a link's token is a key to a file.
pub(super) fn loggable(path: &str) -> &str {
    if path.starts_with("/media/") { "/media/[link]" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MediaState;

    fn named(mime_type: &str, filename: &str) -> String {
        disposition(&MediaFile {
            id: MediaId(Uuid::nil()),
            message_id: None,
            state: MediaState::Stored,
            mime_type: Some(mime_type.to_owned()),
            filename: Some(filename.to_owned()),
            size: Some(1),
            sha256: None,
            blob_key: None,
            warning: None,
            last_error: None,
        })
    }

    #[test]
    fn what_a_browser_might_run_is_saved() {
        for kind in ["text/html", "image/svg+xml", "IMAGE/SVG+XML; x=1", "application/pdf", "odd"] {
            assert!(named(kind, "a").starts_with("attachment"), "{kind}");
        }
        assert!(named("image/png", "a.png").starts_with("inline"));
        assert!(named("audio/ogg; codecs=opus", "a.ogg").starts_with("inline"));
    }

    #[test]
    fn a_name_cannot_leave_its_place() {
        let whole = named("image/png", "../../etc/pass\"wd\r\nx: y");
        assert_eq!(whole, "inline; filename=\"pass_wdx: y\"; filename*=UTF-8''pass%22wdx%3A%20y");
        assert_eq!(named("image/png", "..\\"), "inline");
        let turned = named("image/png", "photo\u{202e}gpj.exe");
        assert!(!turned.contains("%E2%80%AE"), "{turned}");
        assert!(
            named("image/png", "é.png").contains("filename=\"_.png\"; filename*=UTF-8''%C3%A9.png")
        );
    }
}
