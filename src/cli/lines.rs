//! Lines of the log on their way to standard error.
//!
//! Nobody waits for them and nothing fails for them: they are handed to a thread of their own within bounds, and what cannot be
//! handed over or written is dropped and counted. A log may stand on a full disk, its reader may be dead, or be there and not read.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::clock::Clock;
use crate::metrics;

/// How many lines may wait to be written.
const LINES: usize = 8_192;

/// How many bytes of lines may wait.
const BYTES: usize = 8 << 20;

/// How soon it is tried again where standard error takes nothing now.
const AGAIN: Duration = Duration::from_millis(10);

/// The entrance. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    queue: SyncSender<Piece>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether lines are JSON.
    json: bool,
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Lines that were lost since the last one of which the log tells.
    lost: AtomicU64,
}

#[derive(Debug)]
enum Piece {
    Line(Box<[u8]>),
    /// Tells that everything before it is written or lost.
    Flush(SyncSender<()>),
}

impl Lines {
    /// Starts the thread that writes to `out`.
    pub(super) fn start(json: bool, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        Self::bounded(json, LINES, out)
    }

    fn bounded(
        json: bool,
        lines: usize,
        out: impl Write + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, receiver) = sync_channel(lines);
        let state = Arc::new(State { json, ..State::default() });
        let outlet = Outlet { out, state: Arc::clone(&state), torn: false };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || outlet.run(&receiver))?;
        Ok(Self { queue, state })
    }

    /// Hands over a line, or loses it.
    pub(super) fn put(&self, line: &[u8]) {
        let waiting = self.state.waiting.fetch_add(line.len(), Ordering::Relaxed);
        let handed_over =
            waiting + line.len() <= BYTES && self.queue.try_send(Piece::Line(line.into())).is_ok();
        if !handed_over {
            self.state.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            self.state.lose();
        }
    }

    /// Hands over a line of our own, for what cannot go the usual way.
    pub(super) fn tell(&self, level: &str, text: &str) {
        self.put(&self.state.line(level, text));
    }

    /// Returns once everything is written, or after `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let (done, flushed) = sync_channel(1);
        let mut piece = Piece::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(piece) {
            if Instant::now() >= until {
                return;
            }
            piece = back;
            std::thread::sleep(AGAIN);
        }
        let _ = flushed.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// One event of the log is one write.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl State {
    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        metrics::lost_line();
    }

    fn line(&self, level: &str, text: &str) -> Vec<u8> {
        let at = Clock::System.now().format("%Y-%m-%dT%H:%M:%S%.6fZ");
        let line = match self.json {
            true => {
                json!({ "timestamp": at.to_string(), "level": level, "message": text }).to_string()
            }
            false => format!("{at} {level:>5} {text}"),
        };
        format!("{line}\n").into_bytes()
    }
}

/// The thread's side.
struct Outlet<W> {
    out: W,
    state: Arc<State>,
    /// The last line was written in part.
    torn: bool,
}

impl<W: Write> Outlet<W> {
    fn run(mut self, queue: &Receiver<Piece>) {
        while let Ok(piece) = queue.recv() {
            match piece {
                Piece::Line(line) => {
                    self.state.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                    if !self.tell_of_lost() || self.write(&line).is_err() {
                        self.state.lose();
                    }
                }
                Piece::Flush(done) => {
                    let _ = done.try_send(());
                }
            }
        }
    }

    /// Says how many lines are missing, if any are. `false` if that cannot be written either.
    fn tell_of_lost(&mut self) -> bool {
        let lost = self.state.lost.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return true;
        }
        let text = format!("the log could not be written: {lost} lines before this one are lost");
        let told = self.write(&self.state.line("WARN", &text)).is_ok();
        if !told {
            self.state.lost.fetch_add(lost, Ordering::Relaxed);
        }
        told
    }

    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.torn {
            self.write_all(b"\n")?;
            self.torn = false;
        }
        self.write_all(line)
    }

    fn write_all(&mut self, mut rest: &[u8]) -> std::io::Result<()> {
        let whole = rest.len();
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares standard error has made it one that does not wait.
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(AGAIN),
                Err(error) => {
                    self.torn |= rest.len() < whole;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// An outlet of which a test says what it does.
    #[derive(Clone, Default)]
    struct Pen {
        written: Arc<Mutex<Vec<u8>>>,
        /// What the next writes do; after these, all works.
        next: Arc<Mutex<Vec<Result<usize, ErrorKind>>>>,
    }

    impl Pen {
        fn text(&self) -> String {
            String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
        }

        fn then(&self, next: &[Result<usize, ErrorKind>]) {
            *self.next.lock().unwrap() = next.iter().rev().copied().collect();
        }
    }

    impl Write for Pen {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            let most = self.next.lock().unwrap().pop().unwrap_or(Ok(usize::MAX))?;
            let count = most.min(line.len());
            self.written.lock().unwrap().extend(&line[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_told_of() {
        let pen = Pen::default();
        let lines = Lines::start(false, pen.clone()).unwrap();
        lines.put(b"one\n");
        lines.flush(PATIENCE);
        pen.then(&[
            Err(ErrorKind::BrokenPipe),
            Err(ErrorKind::StorageFull),
            Err(ErrorKind::StorageFull),
        ]);
        for line in ["two\n", "three\n", "four\n", "five\n", "six\n"] {
            lines.put(line.as_bytes());
        }
        lines.flush(PATIENCE);
        let text = pen.text();
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(told.len(), 4, "{text}");
        assert!(
            told[1]
                .ends_with("WARN the log could not be written: 3 lines before this one are lost"),
            "{text}"
        );
        assert_eq!((told[0], told[2], told[3]), ("one", "five", "six"));
    }

    #[test]
    fn a_line_that_was_torn_spoils_no_other() {
        let pen = Pen::default();
        let lines = Lines::start(true, pen.clone()).unwrap();
        pen.then(&[
            Ok(2),
            Err(ErrorKind::Interrupted),
            Err(ErrorKind::WouldBlock),
            Ok(1),
            Err(ErrorKind::StorageFull),
        ]);
        lines.put(b"torn\n");
        lines.put(b"whole\n");
        lines.flush(PATIENCE);
        let text = pen.text();
        let told: Vec<&str> = text.lines().collect();
        assert_eq!((told[0], told[2]), ("tor", "whole"), "{text}");
        let notice: serde_json::Value = serde_json::from_str(told[1]).unwrap();
        assert_eq!(notice["level"], "WARN");
    }

    /// Blocks until the test ends.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_that_does_not_read() {
        let (_free, stuck) = sync_channel(0);
        let lines = Lines::bounded(false, 16, Stuck(stuck)).unwrap();
        let begun = Instant::now();
        for _ in 0..1_000 {
            lines.put(b"a line\n");
        }
        lines.put(&vec![b'x'; BYTES + 1]);
        lines.flush(Duration::from_millis(50));
        assert!(begun.elapsed() < PATIENCE);
        assert!(
            lines.state.waiting.load(Ordering::Relaxed) <= 17 * 7,
            "what finds no room is lost"
        );
    }
}
