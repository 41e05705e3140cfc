//! `/api/v1/queue`, `/api/v1/dead-letters`: what waits, what holds it back, what was given up.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::flow::send::manage::{self, Decision, LaneView};
use crate::model::{Purpose, Scope};
use crate::store::sending::journal::{self, Attempt};
use crate::store::sending::outbound::{self, Queued};
use crate::web::answer::Answer;
use crate::web::body::Json;
use crate::web::communications::channel;
use crate::web::extract::{Access, Query, cursor, limit};
use crate::web::times::At;
use crate::web::{App, Problem, limits};

/// What an organization sends on a channel.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueView {
    /// The channel.
    channel: &'static str,
    /// How many messages wait, and when the first of them became due.
    due: CountView,
    /// How many are being sent.
    claimed: CountView,
    /// Of how many nobody knows whether they arrived.
    unknown: CountView,
    /// How many were given up.
    dead: CountView,
    /// The share of its pace that the provider allows now: 1 is all of it.
    pace_share: Option<f64>,
    /// Nothing is sent before this.
    paused_until: Option<At>,
    /// Why.
    pause_reason: Option<String>,
    /// Whether the account refused everything when it was last tried.
    account_unwell: bool,
}

/// How many, and since when.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct CountView {
    /// How many.
    count: i64,
    /// When the first of them was due.
    oldest: Option<At>,
}

/// All queues of an organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueList {
    /// One a channel that anything was ever sent on.
    items: Vec<QueueView>,
}

/// A message that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterView {
    /// The message.
    id: Uuid,
    /// The channel.
    channel: &'static str,
    /// Where it can be read.
    url: String,
    /// What it says.
    content: Value,
    /// `marketing`, if it was said to be that.
    purpose: Option<&'static str>,
    /// How often it was tried.
    attempts: i64,
    /// Why it was given up.
    failure: Option<Value>,
    /// When.
    given_up_at: At,
    /// Everything that was tried, without credentials.
    journal: Vec<AttemptView>,
}

/// One try to send a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// Which, from 1.
    attempt: i64,
    /// The account.
    account_id: Uuid,
    /// Its provider.
    provider: String,
    /// When it began.
    started_at: At,
    /// When it ended; null while it is under way.
    finished_at: Option<At>,
    /// `sent`, `transient`, `rate_limited`, `permanent` or `indeterminate`.
    outcome: Option<String>,
    /// The provider's error code.
    code: Option<String>,
    /// What went wrong.
    detail: Option<String>,
    /// The requests and their answers, without credentials. Of an answer that has none of the provider's forms only the size.
    exchanges: Value,
    /// What a status told of it after it had been taken, if it failed then: `at`, `failure`, what followed in `then`
    /// (`sent_again`, `template_sent`, `given_up`, `unknown`), and `next_attempt_at`.
    failed_later: Option<Value>,
}

/// A page of messages that were given up, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterList {
    /// The messages.
    items: Vec<DeadLetterView>,
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<Uuid>,
}

/// Which to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// Only of this channel.
    channel: Option<String>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What to do with all that were given up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideAllBody {
    /// `retry` or `discard`.
    action: String,
    /// Only of this channel.
    channel: Option<String>,
}

/// How many it was done to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecidedAllView {
    /// How many; with a thousand there may be more: ask again.
    messages: usize,
}

/// Which queue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResumeBody {
    /// `whatsapp` or `sms`.
    channel: String,
}

impl From<LaneView> for QueueView {
    fn from(lane: LaneView) -> Self {
        let count = |state: &str| {
            let found = lane.depth.iter().find(|depth| depth.state == state);
            found.map_or_else(CountView::default, |depth| CountView {
                count: depth.count,
                oldest: Some(depth.oldest.into()),
            })
        };
        let row = lane.row.as_ref();
        Self {
            channel: lane.channel.word(),
            due: count("due"),
            claimed: count("claimed"),
            unknown: count("unknown"),
            dead: count("dead"),
            pace_share: row.map(|row| row.factor),
            paused_until: row.and_then(|row| row.paused_until).map(At::from),
            pause_reason: row.and_then(|row| row.pause_reason.clone()),
            account_unwell: row.is_some_and(|row| row.unwell),
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            account_id: attempt.account_id.0,
            provider: attempt.provider,
            started_at: attempt.started_at.into(),
            finished_at: attempt.finished_at.map(At::from),
            outcome: attempt.outcome,
            code: attempt.code,
            detail: attempt.detail,
            exchanges: attempt.exchanges.map_or(Value::Null, |exchanges| exchanges.0),
            failed_later: attempt.failed_later.map(|told| told.0),
        }
    }
}

fn dead_letter(queued: Queued, journal: Vec<Attempt>) -> DeadLetterView {
    DeadLetterView {
        id: queued.id.0,
        channel: queued.lane.channel.word(),
        url: format!("/api/v1/messages/{}", queued.id),
        content: serde_json::to_value(&queued.content).unwrap_or_default(),
        purpose: queued.purpose.map(Purpose::word),
        attempts: queued.attempts,
        failure: queued.last_failure,
        given_up_at: queued.updated_at.into(),
        journal: journal.into_iter().map(AttemptView::from).collect(),
    }
}

/// What waits to be sent, by channel, and what holds it back.
#[utoipa::path(get, path = "/api/v1/queue", tag = "sending", responses((status = 200, body = QueueList)))]
pub(crate) async fn overview(
    State(app): State<App>,
    access: Access,
) -> Result<Answer<QueueList>, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let gateway = app.gateway.clone();
    let lanes = async move { manage::overview(&gateway, organization).await };
    let lanes = limits::search(&app, organization, lanes).await?;
    Ok(Answer(QueueList { items: lanes.into_iter().map(QueueView::from).collect() }))
}

/// Lets a paused queue go on at once.
#[utoipa::path(post, path = "/api/v1/queue/resume", tag = "sending", request_body = ResumeBody, responses(
    (status = 200, body = QueueList),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn resume(
    State(app): State<App>,
    access: Access,
    Json(body): Json<ResumeBody>,
) -> Result<Answer<QueueList>, Problem> {
    let organization = access.needs(Scope::CommunicationsWrite)?;
    manage::resume(&app.gateway, &access.actor(), channel(&body.channel)?).await?;
    let lanes = manage::overview(&app.gateway, organization).await?;
    Ok(Answer(QueueList { items: lanes.into_iter().map(QueueView::from).collect() }))
}

/// Messages that were given up, newest first, with everything that was tried.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "sending", params(Filter), responses(
    (status = 200, body = DeadLetterList),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn dead_letters(
    State(app): State<App>,
    access: Access,
    Query(query): Query<Filter>,
) -> Result<Answer<DeadLetterList>, Problem> {
    let organization = access.needs(Scope::CommunicationsRead)?;
    let limit = limit(query.limit)?;
    let only = query.channel.as_deref().map(channel).transpose()?.map(providers::Channel::word);
    let before = cursor(query.cursor.as_deref())?;
    let mut session = app.gateway.store.read(organization).await?;
    let mut dead = outbound::dead(&mut session, organization, only, before, limit + 1).await?;
    let more = i64::try_from(dead.len()).is_ok_and(|found| found > limit);
    dead.truncate(usize::try_from(limit).unwrap_or_default());
    let next_cursor = dead.last().filter(|_| more).map(|last| last.id.0);
    let mut items = Vec::with_capacity(dead.len());
    for queued in dead {
        let journal = journal::list(&mut session, organization, queued.id).await?;
        items.push(dead_letter(queued, journal));
    }
    Ok(Answer(DeadLetterList { items, next_cursor }))
}

/// Sends all messages that were given up again, or discards them; at most a thousand at a time.
#[utoipa::path(post, path = "/api/v1/dead-letters", tag = "sending", request_body = DecideAllBody, responses(
    (status = 200, body = DecidedAllView),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn decide_all(
    State(app): State<App>,
    access: Access,
    Json(body): Json<DecideAllBody>,
) -> Result<Answer<DecidedAllView>, Problem> {
    access.needs(Scope::CommunicationsWrite)?;
    let decision = match body.action.as_str() {
        "retry" => Decision::Retry,
        "discard" => Decision::Discard,
        _ => return Err(Problem::invalid("action", "must be retry or discard")),
    };
    let only = body.channel.as_deref().map(channel).transpose()?;
    let messages = manage::decide_all(&app.gateway, &access.actor(), only, &decision).await?;
    Ok(Answer(DecidedAllView { messages }))
}
