//! Room in memory for what webhooks bring before it is written, and who has how much of it.
//!
//! A quarter is kept for small bodies, so that large ones keep no message out. Where room is narrow, each peer has a share, of
//! what large bodies may take and of what is kept for small ones. It is narrow once three quarters are taken: until then a
//! proxy that was not declared, behind which everybody stands, is one peer like any other. Nothing here is locked: every
//! webhook passes through it.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bodies up to this size are small, in bytes.
const SMALL: usize = 64 << 10;

/// How many counters peers share, in each of two rows.
const COUNTERS: usize = 1 << 10;

/// All the room.
#[derive(Debug)]
pub struct Room {
    hasher: RandomState,
    all: Part,
    /// What large bodies may take of it together.
    large: Part,
}

/// A part of the room.
#[derive(Debug)]
struct Part {
    size: usize,
    taken: AtomicUsize,
    /// How much one peer may take where it is narrow, and how much each has: of `all` in small bodies, of `large` in large ones.
    share: usize,
    by_peers: Peers,
}

/// How much peers have, by the hash of their addresses. Two peers may meet in a counter, hardly ever in both; nobody can tell
/// beforehand who meets whom. What a peer has is at most the lesser.
struct Peers([Box<[AtomicUsize]>; 2]);

/// A peer's counter in each row.
type Places = [usize; 2];

/// The room that one body has. It is given back when this is dropped.
#[derive(Debug)]
pub struct Held<'r> {
    room: &'r Room,
    peer: Option<Places>,
    bytes: usize,
    is_large: bool,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// All of it is taken.
    #[error("too many bytes of webhooks are waiting to be written")]
    Full,
    /// The rest is kept for small bodies.
    #[error("too many large webhooks are waiting to be written")]
    Large,
    /// It is narrow, and the peer has its share.
    #[error("too many bytes of webhooks from this address are waiting to be written")]
    Share,
}

impl Room {
    /// Room for so many bytes; `largest` is the largest body, which finds room whatever the shares.
    pub fn new(size: usize, largest: usize) -> Self {
        let for_large = (size / 4 * 3).max(largest);
        Self {
            hasher: RandomState::new(),
            // Half of what is kept for small bodies: they are many, and never one alone.
            all: Part::new(size, (size / 8).max(SMALL)),
            large: Part::new(for_large, (for_large / 4).max(largest)),
        }
    }

    /// Room for a body of this peer's, none yet. Who is `None` has no share to keep to.
    pub fn of(&self, peer: Option<IpAddr>) -> Held<'_> {
        Held { room: self, peer: peer.map(|peer| self.places(peer)), bytes: 0, is_large: false }
    }

    fn places(&self, peer: IpAddr) -> Places {
        let hash = self.hasher.hash_one(network(peer));
        [hash, hash >> 32].map(|half| usize::try_from(half % COUNTERS as u64).unwrap_or_default())
    }

    /// How many bytes are taken.
    pub fn taken(&self) -> usize {
        self.all.taken.load(Ordering::Relaxed)
    }
}

impl Part {
    fn new(size: usize, share: usize) -> Self {
        Self { size, share, taken: AtomicUsize::new(0), by_peers: Peers::new() }
    }

    /// Takes so many bytes of it, unless it is full then. Returns how much is taken.
    fn take(&self, bytes: usize) -> Option<usize> {
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if taken > self.size {
            self.give(bytes);
            return None;
        }
        Some(taken)
    }

    fn give(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts so many bytes as a peer's, unless it is narrow and the peer has more than its share then.
    fn charge(&self, peer: Option<Places>, bytes: usize, taken: usize) -> bool {
        let Some(peer) = peer else { return true };
        let has = self.by_peers.add(peer, bytes);
        let is_over = taken > self.size / 4 * 3 && has > self.share;
        if is_over {
            self.by_peers.take_off(peer, bytes);
        }
        !is_over
    }

    fn discharge(&self, peer: Option<Places>, bytes: usize) {
        if let Some(peer) = peer {
            self.by_peers.take_off(peer, bytes);
        }
    }
}

impl Held<'_> {
    /// Takes room for so many more bytes.
    ///
    /// # Errors
    /// Why there is none; then nothing has changed.
    pub fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let taken = self.room.all.take(bytes).ok_or(NoRoom::Full)?;
        let result = match self.is_large || self.bytes + bytes > SMALL {
            true => self.take_large(bytes),
            false if self.room.all.charge(self.peer, bytes, taken) => Ok(()),
            false => Err(NoRoom::Share),
        };
        match result {
            Ok(()) => self.bytes += bytes,
            Err(_) => self.room.all.give(bytes),
        }
        result
    }

    fn take_large(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let large = &self.room.large;
        // What becomes large moves with all that it has.
        let moved = if self.is_large { bytes } else { self.bytes + bytes };
        let taken = large.take(moved).ok_or(NoRoom::Large)?;
        if !large.charge(self.peer, moved, taken) {
            large.give(moved);
            return Err(NoRoom::Share);
        }
        if !self.is_large {
            self.room.all.discharge(self.peer, self.bytes);
            self.is_large = true;
        }
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Room { all, large, .. } = self.room;
        all.give(self.bytes);
        match self.is_large {
            true => {
                large.give(self.bytes);
                large.discharge(self.peer, self.bytes);
            }
            false => all.discharge(self.peer, self.bytes),
        }
    }
}

impl Peers {
    fn new() -> Self {
        let row = || (0..COUNTERS).map(|_| AtomicUsize::new(0)).collect();
        Self([row(), row()])
    }

    /// Returns how much the peer has then, at most.
    fn add(&self, places: Places, bytes: usize) -> usize {
        let counters = self.0.iter().zip(places);
        let has = counters.map(|(row, at)| row[at].fetch_add(bytes, Ordering::Relaxed) + bytes);
        has.min().unwrap_or(bytes)
    }

    fn take_off(&self, places: Places, bytes: usize) {
        for (row, at) in self.0.iter().zip(places) {
            row[at].fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peers(..)")
    }
}

/// Who counts as one peer: an IPv4 address, or an IPv6 network of 64 bits, all of whose addresses one machine may have.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    const PIECE: usize = 128 << 10;

    /// Bodies of this size from these peers, as many as find room.
    fn filled(room: &Room, bytes: usize, peer: impl Fn(u8) -> IpAddr) -> Vec<Held<'_>> {
        let mut all = Vec::new();
        for number in 0..=255 {
            let mut held = room.of(Some(peer(number)));
            if held.take(bytes).is_err() {
                break;
            }
            all.push(held);
        }
        all
    }

    #[test]
    fn a_quarter_is_kept_for_small_bodies() {
        let room = Room::new(64 * PIECE, PIECE);
        let large = filled(&room, PIECE, peer);
        assert_eq!(large.len(), 48);
        let mut one = room.of(Some(peer(1)));
        one.take(SMALL).unwrap();
        assert_eq!(one.take(1), Err(NoRoom::Large), "what was small would be large");
        let small = filled(&room, SMALL, peer);
        assert_eq!((small.len(), room.taken()), (31, 64 * PIECE));
        assert_eq!(room.of(Some(peer(1))).take(1), Err(NoRoom::Full));
        drop((large, small, one));
        assert_eq!(room.taken(), 0);
        assert_eq!(filled(&room, PIECE, peer).len(), 48, "all of it was given back");
    }

    #[test]
    fn a_share_binds_only_where_it_is_narrow() {
        let room = Room::new(64 * PIECE, PIECE);
        let everybody = filled(&room, PIECE, |_| peer(1));
        assert_eq!(everybody.len(), 36, "one proxy may bring everybody's, up to three quarters");
        assert_eq!(room.of(Some(peer(1))).take(PIECE), Err(NoRoom::Share));
        let others = filled(&room, PIECE, |_| peer(2));
        assert_eq!(others.len(), 12, "a quarter is left to others");
        assert_eq!(room.of(Some(peer(1))).take(SMALL), Ok(()), "small bodies are another matter");
        let small = filled(&room, SMALL, |_| peer(1));
        assert_eq!(small.len(), 16, "half of what is kept for them");
        assert_eq!(room.of(Some(peer(1))).take(SMALL), Err(NoRoom::Share));
        assert_eq!(room.of(Some(peer(2))).take(SMALL), Ok(()));
        assert_eq!(room.of(None).take(SMALL), Ok(()), "a proxy of ours has no share");
    }

    #[test]
    fn the_largest_body_finds_room_in_the_least() {
        let room = Room::new(PIECE, PIECE);
        assert_eq!(room.of(Some(peer(1))).take(PIECE), Ok(()));
    }

    #[test]
    fn what_was_moved_is_given_back_where_it_went() {
        let room = Room::new(64 * PIECE, PIECE);
        for _ in 0..200 {
            let mut held = room.of(Some(peer(1)));
            for _ in 0..16 {
                held.take(PIECE / 16).unwrap();
            }
        }
        assert_eq!(filled(&room, PIECE, |_| peer(1)).len(), 36);
        assert_eq!(room.taken(), 0);
    }

    #[test]
    fn a_machine_with_many_addresses_is_one_peer() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
