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
        let written = written(|body| {
            serde_json::to_writer(body, &self.0).map_err(|error| Problem::internal(&error))
        });
        match written {
            Ok(answer) => answer,
            Err(problem) => problem.into_response(),
        }
    }
}

/// The answer that `write` writes as JSON.
pub(super) fn written(
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Problem>,
) -> Result<Response, Problem> {
    let mut body = Vec::with_capacity(BEGINNING);
    write(&mut body)?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((StatusCode::OK, kind, body).into_response())
}
