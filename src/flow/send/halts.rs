//! What is said of requests that cannot be carried out now, or not to their end.

use crate::flow::FlowError;
use crate::model::MessageId;

/// After how many seconds to ask again where another request is at work.
const COME_BACK: u32 = 5;

/// Others of the organization are at it.
pub(super) fn busy() -> FlowError {
    let detail = "other requests with many messages of this organization are being carried out, one after the other: ask \
                  again later";
    FlowError::Busy { code: "bulk_in_progress", detail: detail.to_owned(), after: COME_BACK }
}

/// The request ended before this message was reached.
pub(super) fn out_of_time() -> FlowError {
    let detail = "the request ran out of time before this was accepted: send it again; with an Idempotency-Key the same \
                  request goes on where it stopped";
    FlowError::Later { code: "unavailable", detail: detail.to_owned() }
}

/// What keeps the request from going on is not this message's.
pub(super) fn not_now() -> FlowError {
    let detail = "not accepted: the gateway could not go on with the request; send it again";
    FlowError::Later { code: "unavailable", detail: detail.to_owned() }
}

/// A commit was not answered.
pub(super) fn nobody_knows(id: MessageId) -> FlowError {
    let detail = format!(
        "the database went away while this was written: it was accepted if GET /api/v1/messages/{id} finds it, once the \
         database is back"
    );
    FlowError::Later { code: "outcome_unknown", detail }
}
