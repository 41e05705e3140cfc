//! A connection's bytes, with deadlines for whoever sends too little of them or takes none.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::seat::{Doing, Patience, Seat};

/// The largest piece that is read at once of a head that may not end here, in bytes. hyper asks for twice as much once it is
/// given all that it asked for, at first 8 KiB: whoever trickles heads shall not have its buffers grow ahead of them.
const PIECE: usize = (8 << 10) - 1;

/// For how long a client may take nothing of what is sent to it.
const STUCK: Duration = Duration::from_secs(30);

/// For how long, and for how many bytes, it is read on after the last answer, where the client is still sending: a connection
/// that is closed with bytes unread is reset, and the client might never read why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 8 << 20;

/// A connection's stream.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    seat: Arc<Seat>,
    patience: Patience,
    /// One for all deadlines. It rings at the earliest of those that were asked for, and is set again if that has moved.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether anything has come.
    has_begun: bool,
    /// Since our side is shut: until when it is read on, and how many bytes were.
    lingering: Option<(Instant, usize)>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, seat: Arc<Seat>, patience: Patience) -> Self {
        Self { stream, seat, patience, alarm: None, has_begun: false, lingering: None }
    }

    /// Ready at the deadline.
    fn passes(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !matches!(self.seat.doing(), Doing::New | Doing::Beginning) {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let mut bytes = [0; PIECE];
        let room = buf.remaining().min(PIECE);
        let mut piece = ReadBuf::new(&mut bytes[..room]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        buf.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }

    /// Whether it is time to give up on a client that sends nothing.
    fn is_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(deadline) = self.seat.deadline(self.patience) else { return Poll::Pending };
        ready!(self.passes(deadline, cx));
        let why = match self.seat.doing() {
            Doing::Between => "idle",
            _ => "slow_head",
        };
        crate::metrics::connection_closed(why);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
    }

    /// The same of one that takes nothing.
    fn wrote(
        &mut self,
        n: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.seat.takes(n.is_ready());
        let Some(since) = self.seat.stuck_since() else { return n };
        ready!(self.passes(since + STUCK, cx));
        crate::metrics::connection_closed("stuck");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
    }

    /// Reads what the client still sends, for a while.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (until, mut count) = *self.lingering.get_or_insert((Instant::now() + LINGER, 0));
        let mut bytes = [0; PIECE];
        loop {
            let mut piece = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() && count < LINGER_BYTES => {
                    count += piece.filled().len();
                    self.lingering = Some((until, count));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.passes(until, cx),
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match this.read(cx, buf) {
            Poll::Pending => this.is_late(cx),
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                this.has_begun = true;
                this.seat.received();
                Poll::Ready(Ok(()))
            }
            ended @ Poll::Ready(_) => ended,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has nothing left to write.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.seat.sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            // The head was refused, or the body was not read.
            let is_refused = match this.seat.doing() {
                Doing::New => this.has_begun,
                doing => doing == Doing::Beginning,
            };
            if !is_refused && !this.seat.has_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        ready!(this.linger(cx));
        Poll::Ready(Ok(()))
    }
}
