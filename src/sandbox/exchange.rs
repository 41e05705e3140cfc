//! Requests and answers, as the emulators see them. Knows HTTP and no provider.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

/// A request with its body.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    /// The path as it came, beginning with `/`.
    pub(super) path: String,
    /// The query as it came.
    pub(super) raw_query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer, and what shall happen to the connection.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// Whether this answer is about a message that was taken by this very request.
    pub(super) accepted: bool,
}

/// What a handler returns: both are answers, the second ends it early.
pub(super) type Handled = Result<Answer, Answer>;

/// A part of a multipart form.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) filename: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) bytes: Bytes,
}

impl Request {
    /// The path's segments, decoded, without the first `skip`.
    pub(super) fn segments(&self, skip: usize) -> Vec<String> {
        let decode = |segment: &str| {
            let encoded = segment.replace('+', "%2B");
            let pair = url::form_urlencoded::parse(encoded.as_bytes()).next();
            pair.map(|(name, _)| name.into_owned()).unwrap_or_default()
        };
        self.path.split('/').filter(|segment| !segment.is_empty()).skip(skip).map(decode).collect()
    }

    /// The query's pairs.
    pub(super) fn query(&self) -> Form {
        Form::parse(self.raw_query.as_bytes())
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of `Authorization: Bearer`.
    pub(super) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ").map(str::trim)
    }

    /// User name and password of `Authorization: Basic`.
    pub(super) fn basic(&self) -> Option<(String, String)> {
        let encoded = self.header("authorization")?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// Whether the body has this media type.
    pub(super) fn is(&self, media_type: &str) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
    }

    /// The body as JSON, if it says that it is and is.
    pub(super) fn json(&self) -> Option<Value> {
        self.is("application/json").then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    /// The body as a form; empty if it says that it is something else.
    pub(super) fn form(&self) -> Form {
        let is_form = self.is("application/x-www-form-urlencoded");
        if is_form { Form::parse(&self.body) } else { Form::default() }
    }

    /// The parts of a `multipart/form-data` body; `None` if it is none or is malformed.
    pub(super) fn parts(&self) -> Option<Vec<Part>> {
        if !self.is("multipart/form-data") {
            return None;
        }
        let kind = self.header("content-type")?;
        let (_, boundary) = kind.split_once("boundary=")?;
        let boundary = boundary.split(';').next()?.trim().trim_matches('"');
        let delimiter = format!("\r\n--{boundary}");
        // The first delimiter has no line break before it.
        let mut rest = self.body.slice(find(&self.body, &delimiter.as_bytes()[2..])?..);
        rest = rest.slice(delimiter.len() - 2..);
        let mut parts = Vec::new();
        while !rest.starts_with(b"--") {
            let end = find(&rest, delimiter.as_bytes())?;
            parts.push(part(&rest.slice(2..end))?);
            rest = rest.slice(end + delimiter.len()..);
        }
        Some(parts)
    }
}

fn part(text: &Bytes) -> Option<Part> {
    let head = find(text, b"\r\n\r\n")?;
    let headers = std::str::from_utf8(&text[..head]).ok()?;
    let (mut name, mut filename, mut content_type) = (None, None, None);
    for line in headers.split("\r\n") {
        let (header, value) = line.split_once(':')?;
        if header.eq_ignore_ascii_case("content-type") {
            content_type = Some(value.trim().to_owned());
        } else if header.eq_ignore_ascii_case("content-disposition") {
            for parameter in value.split(';').map(str::trim) {
                if let Some(value) = parameter.strip_prefix("name=") {
                    name = Some(value.trim_matches('"').to_owned());
                } else if let Some(value) = parameter.strip_prefix("filename=") {
                    filename = Some(value.trim_matches('"').to_owned());
                }
            }
        }
    }
    Some(Part { name: name?, filename, content_type, bytes: text.slice(head + 4..) })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The pairs of a form or a query, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl Form {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The first value of that name that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().find(|value| !value.is_empty())
    }

    /// All values of that name.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The pairs as a JSON object; a repeated name becomes a list.
    pub(super) fn to_json(&self) -> Value {
        let mut object = serde_json::Map::new();
        for (name, _) in &self.0 {
            let values = self.all(name);
            let value = if values.len() == 1 { values[0].into() } else { values.into() };
            object.insert(name.clone(), value);
        }
        Value::Object(object)
    }
}

/// Writes pairs as a form.
pub(super) fn write_form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Bytes {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    form.finish().into()
}

impl Answer {
    /// A JSON answer.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into(), accepted: false }
    }

    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), accepted: false }
    }

    /// An answer of any media type.
    pub(super) fn of(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", media_type.to_owned())];
        Self { status, headers, body: body.into(), accepted: false }
    }

    /// The same with a further header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, as the answer to a message that was taken.
    pub(super) fn accepted(mut self) -> Self {
        self.accepted = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, body: &'static str) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        Request {
            method: Method::POST,
            path: "/meta/v25.0/a%2Bb/c+d".to_owned(),
            raw_query: String::new(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn parts_are_cut_at_their_boundaries() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nimage/png\r\n--x\r\n\
                    Content-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\
                    \r\n--\r\n\r\n--x--\r\n";
        let parts = request("multipart/form-data; boundary=x", body).parts().unwrap();
        assert_eq!((parts[0].name.as_str(), &parts[0].bytes[..]), ("type", &b"image/png"[..]));
        assert_eq!(parts[1].filename.as_deref(), Some("a.png"));
        assert_eq!(&parts[1].bytes[..], b"\r\n--\r\n");
        assert!(request("multipart/form-data; boundary=y", body).parts().is_none());
    }

    #[test]
    fn segments_are_decoded_once() {
        assert_eq!(request("text/plain", "").segments(2), ["a+b", "c+d"]);
    }
}
