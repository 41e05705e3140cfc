//! Bodies that tell their connection's seat how far they have come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body as Answer;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::seat::Seat;

/// A request's body.
#[derive(Debug)]
pub(super) struct Asked {
    body: Incoming,
    has_ended: bool,
    seat: Arc<Seat>,
}

/// An answer's body.
#[derive(Debug)]
pub(super) struct Answered {
    body: Answer,
    seat: Arc<Seat>,
}

impl Asked {
    pub(super) fn new(body: Incoming, seat: &Arc<Seat>) -> Self {
        Self { body, has_ended: false, seat: Arc::clone(seat) }
    }
}

impl Answered {
    pub(super) fn new(body: Answer, seat: Arc<Seat>) -> Self {
        Self { body, seat }
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.has_ended |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.has_ended && !self.body.is_end_stream() {
            self.seat.leaves_unread();
        }
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.seat.answered();
    }
}
