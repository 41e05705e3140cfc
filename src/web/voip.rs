//! `/api/v1/crm/communications/voip/call-completed`: telephone systems report calls.

use axum::extract::State;
use providers::CallStage;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::Answer;
use super::body::Json;
use super::communications::{CommunicationView, direction};
use super::extract::Telephony;
use super::times::At;
use super::{App, Problem};
use crate::flow::record::{self, CompletedCall};

/// A call that is over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CompletedCallBody {
    /// Your own id of the call. A second report of the same id completes the first.
    call_id: String,
    /// What the telephone system is called; `voip` if not given.
    provider: Option<String>,
    /// `inbound` or `outbound`.
    direction: String,
    /// Who called.
    from: Option<String>,
    /// Who was called.
    to: Option<String>,
    /// `completed`, `busy`, `no_answer`, `rejected`, `canceled` or `failed`; `completed` if not given.
    status: Option<String>,
    /// When it began.
    started_at: Option<At>,
    /// When it was answered.
    answered_at: Option<At>,
    /// When it ended.
    ended_at: Option<At>,
    /// How long it lasted from answer to end, in seconds.
    duration_seconds: Option<i64>,
    /// Where the recording is.
    recording_url: Option<String>,
    /// What was said.
    transcript: Option<String>,
    /// Anything else, as an object.
    #[serde(default)]
    metadata: serde_json::Map<String, Value>,
}

/// Records a call that a telephone system reports as over. Authenticated by `X-VoIP-API-Key`, an API key with the scope
/// `voip:write`; the key says whose call it is.
#[utoipa::path(post, path = "/api/v1/crm/communications/voip/call-completed", tag = "communications",
    security(("voip" = [])), request_body = CompletedCallBody, responses(
    (status = 200, body = CommunicationView),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn report(
    State(app): State<App>,
    Telephony(actor): Telephony,
    Json(body): Json<CompletedCallBody>,
) -> Result<Answer<CommunicationView<'static>>, Problem> {
    let call = CompletedCall {
        call_id: body.call_id,
        provider: body.provider,
        direction: direction(&body.direction)?,
        from: body.from,
        to: body.to,
        state: stage(body.status.as_deref())?,
        started_at: body.started_at.map(|At(at)| at),
        answered_at: body.answered_at.map(|At(at)| at),
        ended_at: body.ended_at.map(|At(at)| at),
        duration_seconds: body.duration_seconds,
        recording_url: body.recording_url,
        transcript: body.transcript,
        metadata: Value::Object(body.metadata),
    };
    let recorded = record::completed_call(&app.gateway, &actor, call).await?;
    Ok(Answer(recorded.into()))
}

fn stage(word: Option<&str>) -> Result<CallStage, Problem> {
    let stage = CallStage::from_word(word.unwrap_or("completed")).filter(|stage| stage.is_final());
    stage.ok_or_else(|| {
        let reason = "must be completed, busy, no_answer, rejected, canceled or failed";
        Problem::invalid("status", reason)
    })
}
