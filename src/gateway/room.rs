//! Room in memory for what webhooks bring before it is written, and who has how much of it.
//!
//! A quarter is kept for small bodies, so that large ones keep no message out. Once three quarters are taken, nobody may have
//! more than a quarter: until then a proxy that was not declared, behind which everybody stands, is one peer like any other.
//! Nothing here is locked: every webhook passes through it.

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
    size: usize,
    /// How much of it large bodies may take together.
    for_large: usize,
    /// How much one peer may take where it is narrow.
    share: usize,
    taken: AtomicUsize,
    by_large: AtomicUsize,
    by_peers: Peers,
}

/// How much peers have, by the hash of their addresses. Two peers may meet in a counter, hardly ever in both; nobody can tell
/// beforehand who meets whom. What a peer has is at most the lesser.
struct Peers {
    hasher: RandomState,
    rows: [Box<[AtomicUsize]>; 2],
}

/// The room that one body has. It is given back when this is dropped.
#[derive(Debug)]
pub struct Held<'r> {
    room: &'r Room,
    peer: Option<[usize; 2]>,
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
        Self {
            size,
            for_large: quarters(size, 3).max(largest),
            share: quarters(size, 1).max(largest),
            taken: AtomicUsize::new(0),
            by_large: AtomicUsize::new(0),
            by_peers: Peers::new(),
        }
    }

    /// Room for a body of this peer's, none yet. Who is `None` has no share to keep to.
    pub fn of(&self, peer: Option<IpAddr>) -> Held<'_> {
        let peer = peer.map(|peer| self.by_peers.places(network(peer)));
        Held { room: self, peer, bytes: 0, is_large: false }
    }

    /// How many bytes are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Held<'_> {
    /// Takes room for so many more bytes.
    ///
    /// # Errors
    /// Why there is none; then nothing has changed.
    pub fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let room = self.room;
        let taken = room.taken.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let refuse = |why| {
            room.taken.fetch_sub(bytes, Ordering::Relaxed);
            Err(why)
        };
        if taken > room.size {
            return refuse(NoRoom::Full);
        }
        let becomes_large = !self.is_large && self.bytes + bytes > SMALL;
        // What becomes large moves with all that it has.
        let large = match (self.is_large, becomes_large) {
            (true, _) => bytes,
            (false, true) => self.bytes + bytes,
            (false, false) => 0,
        };
        if large > 0
            && room.by_large.fetch_add(large, Ordering::Relaxed) + large > room.for_large
        {
            room.by_large.fetch_sub(large, Ordering::Relaxed);
            return refuse(NoRoom::Large);
        }
        if let Some(peer) = self.peer {
            let has = room.by_peers.add(peer, bytes);
            if taken > quarters(room.size, 3) && has > room.share {
                room.by_peers.take_off(peer, bytes);
                room.by_large.fetch_sub(large, Ordering::Relaxed);
                return refuse(NoRoom::Share);
            }
        }
        self.bytes += bytes;
        self.is_large |= becomes_large;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let room = self.room;
        room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.is_large {
            room.by_large.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        if let Some(peer) = self.peer {
            room.by_peers.take_off(peer, self.bytes);
        }
    }
}

impl Peers {
    fn new() -> Self {
        let row = || (0..COUNTERS).map(|_| AtomicUsize::new(0)).collect();
        Self { hasher: RandomState::new(), rows: [row(), row()] }
    }

    /// A peer's counter in each row.
    fn places(&self, peer: IpAddr) -> [usize; 2] {
        let hash = self.hasher.hash_one(peer);
        [hash, hash >> 32].map(|half| usize::try_from(half % COUNTERS as u64).unwrap_or_default())
    }

    /// Returns how much the peer has then, at most.
    fn add(&self, places: [usize; 2], bytes: usize) -> usize {
        let counters = self.rows.iter().zip(places);
        let has = counters.map(|(row, at)| row[at].fetch_add(bytes, Ordering::Relaxed) + bytes);
        has.min().unwrap_or(bytes)
    }

    fn take_off(&self, places: [usize; 2], bytes: usize) {
        for (row, at) in self.rows.iter().zip(places) {
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
        IpAddr::V6(address) => {
            IpAddr::V6((u128::from(address) >> 64 << 64).into())
        }
        address => address,
    }
}

fn quarters(size: usize, count: usize) -> usize {
    size / 4 * count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    const PIECE: usize = 128 << 10;

    /// Room for 64 pieces, and how many pieces large bodies find, each of a peer.
    fn filled<'r>(room: &'r Room, peer: impl Fn(u8) -> Option<IpAddr>) -> Vec<Held<'r>> {
        let mut all = Vec::new();
        for number in 0..=255 {
            let mut held = room.of(peer(number));
            if held.take(PIECE).is_err() {
                break;
            }
            all.push(held);
        }
        all
    }

    #[test]
    fn a_quarter_is_kept_for_small_bodies() {
        let room = Room::new(64 * PIECE, PIECE);
        let large = filled(&room, peer);
        assert_eq!(large.len(), 48);
        let mut one = room.of(peer(1));
        one.take(SMALL).unwrap();
        assert_eq!(one.take(1), Err(NoRoom::Large), "what was small would be large");
        let mut small = Vec::new();
        while let Ok(held) = {
            let mut held = room.of(peer(small.len() as u8));
            held.take(SMALL).map(|()| held)
        } {
            small.push(held);
        }
        assert_eq!(room.taken(), 64 * PIECE);
        assert_eq!(room.of(peer(1)).take(1), Err(NoRoom::Full));
        drop((large, small, one));
        assert_eq!(room.taken(), 0);
        assert_eq!(filled(&room, peer).len(), 48, "all of it was given back");
    }

    #[test]
    fn a_share_binds_only_where_it_is_narrow() {
        let room = Room::new(64 * PIECE, PIECE);
        let everybody = filled(&room, |_| peer(1));
        assert_eq!(everybody.len(), 48, "one proxy may bring everybody's");
        assert_eq!(room.of(peer(1)).take(1), Err(NoRoom::Share));
        assert_eq!(room.of(peer(2)).take(1), Ok(()));
        assert_eq!(room.of(None).take(1), Ok(()), "a proxy of ours has no share");
    }

    #[test]
    fn the_largest_body_finds_room_in_the_least() {
        let room = Room::new(PIECE, PIECE);
        assert_eq!(room.of(peer(1)).take(PIECE), Ok(()));
    }

    #[test]
    fn a_machine_with_many_addresses_is_one_peer() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
