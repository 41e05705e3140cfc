//! Answers in JSON.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Problem;

/// How many bytes an answer's buffer begins with. Pages have tens of kilobytes: a small buffer would be copied time and
/// again as it grows.
const BEGINNING: usize = 32 << 10;

/// What a handler answers, as JSON.
#[derive(Debug)]
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(BEGINNING);
        if let Err(error) = serde_json::to_writer(&mut body, &self.0) {
            return Problem::internal(&error).into_response();
        }
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (StatusCode::OK, kind, body).into_response()
    }
}
