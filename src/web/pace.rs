//! Bodies that come at a pace: who sends one byte now and then keeps nothing of ours for long.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// The least pace of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// On average.
    bytes_a_second: u32,
    /// How long a body may take beyond that.
    grace: Duration,
}

impl Pace {
    /// Of what is read into memory.
    pub(super) const USUAL: Self = Self { bytes_a_second: 32 << 10, grace: Duration::from_secs(1) };

    /// Of files, which may come over any line and are not kept in memory.
    pub(super) const UPLOAD: Self = Self { bytes_a_second: 4 << 10, grace: Duration::from_secs(1) };
}

/// A body that must keep its pace. Only the time counts in which we wait for it: how long we take ourselves is not the
/// client's fault.
#[derive(Debug)]
pub(super) struct Paced<B> {
    body: B,
    pace: Pace,
    received: u64,
    /// For how long we have waited for pieces that came.
    waited: Duration,
    /// Since when we wait for the next one.
    waiting: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

/// Why a body did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Interrupted {
    /// It did not keep its pace.
    #[error("the body came too slowly")]
    TooSlow,
    /// The connection or the framing broke.
    #[error("the body broke off")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

impl Interrupted {
    /// Whether an error tells, in whatever it is wrapped, of a body that did not keep its pace.
    pub(super) fn is_slowness(error: &(dyn Error + 'static)) -> bool {
        match error.downcast_ref() {
            Some(Self::TooSlow) => true,
            _ => error.source().is_some_and(Self::is_slowness),
        }
    }
}

impl<B> Paced<B> {
    pub(super) fn new(body: B, pace: Pace) -> Self {
        let waited = Duration::ZERO;
        Self { body, pace, received: 0, waited, waiting: None, alarm: None }
    }

    /// For how long may be waited in all, after so many bytes.
    fn allowed(&self) -> Duration {
        let rate = u64::from(self.pace.bytes_a_second.max(1));
        self.pace.grace + Duration::from_millis(self.received.saturating_mul(1_000) / rate)
    }

    /// Whether the next piece is late.
    fn is_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let until = since + self.allowed().saturating_sub(self.waited);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if alarm.deadline() != until {
            alarm.as_mut().reset(until);
        }
        alarm.as_mut().poll(cx)
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.is_late(cx));
            return Poll::Ready(Some(Err(Interrupted::TooSlow)));
        };
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame
            && let Some(piece) = frame.data_ref()
        {
            self.received += piece.len() as u64;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| Interrupted::Broken(error.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// A body of so many pieces, each of which comes so long after the one before.
    async fn outcome(
        pieces: usize,
        size: usize,
        apart: Duration,
        pace: Pace,
    ) -> Result<usize, String> {
        let piece = move |_| async move {
            tokio::time::sleep(apart).await;
            Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![0; size])))
        };
        let stream = futures_util::stream::iter(0..pieces).then(piece);
        let body = Paced::new(StreamBody::new(Box::pin(stream)), pace);
        let whole = body.collect().await.map_err(|error| error.to_string())?;
        Ok(whole.to_bytes().len())
    }

    #[tokio::test]
    async fn a_body_must_keep_its_pace() {
        let slow = Err("the body came too slowly".to_owned());
        let pace = Pace { bytes_a_second: 10_000, grace: Duration::from_millis(300) };
        let apart = Duration::from_millis(20);
        // Ten times as fast as it must be, and five times as slow.
        assert_eq!(outcome(40, 2_000, apart, pace).await, Ok(80_000));
        assert_eq!(outcome(40, 40, apart, pace).await, slow);
        assert_eq!(outcome(1, 1, apart, pace).await, Ok(1), "a small one has its time");
        assert_eq!(outcome(1, 1, Duration::from_secs(3), pace).await, slow);
    }

    #[tokio::test]
    async fn how_long_we_take_ourselves_does_not_count() {
        let pieces = futures_util::stream::iter(0..3)
            .map(|_| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"x"))));
        let pace = Pace { bytes_a_second: 1_000_000, grace: Duration::from_millis(1) };
        let mut body = Paced::new(StreamBody::new(pieces), pace);
        while let Some(frame) = body.frame().await {
            assert!(frame.is_ok());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn slowness_is_found_in_whatever_wraps_it() {
        let body = StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, std::io::Error>,
        >());
        let pace = Pace { bytes_a_second: 1_000, grace: Duration::from_millis(5) };
        let body = axum::body::Body::new(Paced::new(body, pace));
        let error = axum::body::to_bytes(body, 1_000).await.unwrap_err();
        assert!(Interrupted::is_slowness(&error), "{error:?}");
        let broken = Interrupted::Broken("cut".into());
        assert!(!Interrupted::is_slowness(&broken));
    }
}
