//! Who has a place: how many connections there are, whose they are, and which of them goes when another one comes.
//!
//! Nobody is kept out by those who say nothing. Where no place is left, the connection that has been idle for longest goes, of
//! the peer that has most. Once three quarters are taken, a peer that has a quarter makes room among its own: until then a
//! proxy that nobody declared, behind which everybody stands, may have them all. The lock is taken when a connection comes
//! or goes, never for a request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::seat::{Idle, Seat};
use crate::gateway::network;

/// For how long a client must have taken nothing of an answer before its connection may go for another's.
const STUCK: Duration = Duration::from_secs(5);

/// How long to wait before it is looked again whether a connection has become idle.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// All the places.
#[derive(Debug)]
pub(super) struct House {
    places: usize,
    inside: Mutex<Inside>,
    /// Rings when a place is given back.
    left: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    taken: usize,
    next: u64,
    peers: HashMap<IpAddr, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    /// One of our own proxies: it has no share to keep to, and its connections go last.
    is_ours: bool,
    seats: HashMap<u64, Arc<Seat>>,
}

/// A place that is taken; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    house: Arc<House>,
    peer: IpAddr,
    number: u64,
    pub(super) seat: Arc<Seat>,
}

/// What becomes of a connection that comes.
#[derive(Debug)]
pub(super) enum Admission {
    /// It has a place. Another connection may have gone for it.
    Placed(Place),
    /// Its peer has its share, and all of that is at work.
    OverShare,
    /// All places are taken, and all are at work.
    Full,
}

/// Which connection goes first: the least of these.
type Rank = (bool, std::cmp::Reverse<usize>, Idle);

impl House {
    pub(super) fn new(places: usize) -> Arc<Self> {
        let places = places.max(1);
        Arc::new(Self { places, inside: Mutex::default(), left: Notify::new() })
    }

    /// How many places are free.
    pub(super) fn free(&self) -> usize {
        self.places.saturating_sub(self.inside().taken)
    }

    /// Finds a place for a peer's connection, by having another one go if it must.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, is_ours: bool) -> Admission {
        let peer = network(peer);
        let mut inside = self.inside();
        let has = inside.peers.get(&peer).map_or(0, |peer| peer.seats.len());
        let is_narrow = inside.taken >= self.places - self.places / 4;
        if is_narrow && !is_ours && has >= self.share() {
            if !inside.dismiss(|whose| *whose == peer, "over_share") {
                return Admission::OverShare;
            }
        } else if inside.taken >= self.places && !inside.dismiss(|_| true, "no_place") {
            return Admission::Full;
        }
        let seat = Arc::new(Seat::new());
        let number = inside.next;
        inside.next += 1;
        inside.taken += 1;
        let known = inside.peers.entry(peer).or_default();
        known.is_ours = is_ours;
        known.seats.insert(number, Arc::clone(&seat));
        Admission::Placed(Place { house: Arc::clone(self), peer, number, seat })
    }

    /// Has the connection go whose turn it is, if any is idle.
    pub(super) fn dismiss_one(&self) -> bool {
        self.inside().dismiss(|_| true, "no_descriptor")
    }

    /// Waits until it is worth while to ask for a place again.
    pub(super) async fn changes(&self) {
        let _ = tokio::time::timeout(LOOK_AGAIN, self.left.notified()).await;
    }

    /// How many places a peer may have where they are scarce.
    fn share(&self) -> usize {
        (self.places / 4).max(1)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Has a connection go: of those peers, the longest idle of the one that has most. Its place is free at once. Returns
    /// whether one went.
    fn dismiss(&mut self, of: impl Fn(&IpAddr) -> bool, why: &'static str) -> bool {
        // One that begins a request just now stays, and the next is asked.
        while let Some((peer, number)) = self.first(&of) {
            let Some(seat) = self.remove(peer, number) else { return false };
            if seat.dismiss(STUCK) {
                crate::metrics::connection_closed(why);
                return true;
            }
            self.put_back(peer, number, seat);
        }
        false
    }

    /// Whose turn it is to go.
    fn first(&self, of: impl Fn(&IpAddr) -> bool) -> Option<(IpAddr, u64)> {
        let mut found: Option<(Rank, IpAddr, u64)> = None;
        for (address, peer) in self.peers.iter().filter(|(address, _)| of(address)) {
            let standing = (peer.is_ours, std::cmp::Reverse(peer.seats.len()));
            let is_behind = |(rank, _, _): &(Rank, _, _)| (rank.0, rank.1) < standing;
            if found.as_ref().is_some_and(is_behind) {
                continue;
            }
            for (number, seat) in &peer.seats {
                let Some(idle) = seat.idle(STUCK) else { continue };
                let rank = (standing.0, standing.1, idle);
                if found.as_ref().is_none_or(|(first, _, _)| rank < *first) {
                    found = Some((rank, *address, *number));
                }
            }
        }
        found.map(|(_, peer, number)| (peer, number))
    }

    fn remove(&mut self, peer: IpAddr, number: u64) -> Option<Arc<Seat>> {
        let known = self.peers.get_mut(&peer)?;
        let seat = known.seats.remove(&number)?;
        if known.seats.is_empty() {
            self.peers.remove(&peer);
        }
        self.taken -= 1;
        Some(seat)
    }

    fn put_back(&mut self, peer: IpAddr, number: u64, seat: Arc<Seat>) {
        self.peers.entry(peer).or_default().seats.insert(number, seat);
        self.taken += 1;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that was told to go has given its place back already.
        if self.house.inside().remove(self.peer, self.number).is_some() {
            self.house.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn place(house: &Arc<House>, last: u8) -> Place {
        match house.admit(peer(last), false) {
            Admission::Placed(place) => place,
            other => panic!("{other:?}"),
        }
    }

    fn has_gone(place: &Place) -> bool {
        !place.seat.begin()
    }

    #[tokio::test]
    async fn a_full_house_has_the_longest_idle_of_the_greatest_go() {
        let house = House::new(8);
        let one = place(&house, 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let two: Vec<Place> = (0..2).map(|_| place(&house, 2)).collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut others: Vec<Place> = (3..8).map(|last| place(&house, last)).collect();
        assert_eq!(house.free(), 0);
        assert!(two[0].seat.begin(), "a request is under way, and stays");
        others.push(place(&house, 9));
        assert!(has_gone(&two[1]) && house.free() == 0);
        others.push(place(&house, 10));
        assert!(has_gone(&one), "of peers that have as many, the longest idle goes");
        drop(two);
        assert_eq!(house.free(), 1, "a place is given back once");
        drop((one, others));
        assert_eq!(house.free(), 8);
    }

    #[tokio::test]
    async fn a_share_binds_only_while_three_quarters_are_taken() {
        let house = House::new(16);
        let mut many = Vec::new();
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            many.push(place(&house, 1));
        }
        let next = place(&house, 1);
        assert!(has_gone(&many[0]), "its own longest idle makes room");
        assert_eq!(house.free(), 4, "the rest is for others");
        many.push(next);
        assert!(many.iter().skip(1).all(|place| place.seat.begin()));
        assert!(matches!(house.admit(peer(1), false), Admission::OverShare));
        assert!(matches!(house.admit(peer(1), true), Admission::Placed(_)), "a proxy of ours may");
        let others: Vec<Place> = (2..6).map(|last| place(&house, last)).collect();
        assert!(others.iter().all(|place| place.seat.begin()));
        assert!(matches!(house.admit(peer(9), false), Admission::Full));
    }

    #[tokio::test]
    async fn our_own_proxies_go_last() {
        let house = House::new(4);
        let ours: Vec<Admission> = (0..3).map(|_| house.admit(peer(1), true)).collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let other = place(&house, 2);
        let _new = place(&house, 3);
        assert!(has_gone(&other));
        assert_eq!(ours.len(), 3);
    }

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_as_good_as_idle() {
        let seat = Seat::new();
        let moment = Duration::from_millis(20);
        assert!(seat.begin() && seat.idle(moment).is_none());
        seat.takes(false);
        assert!(!seat.dismiss(moment), "it may have been busy for a moment");
        tokio::time::sleep(moment * 2).await;
        let idle = seat.idle(moment).unwrap();
        let really_idle = Seat::new();
        assert!(really_idle.idle(moment).unwrap() < idle, "who is really idle goes before it");
        seat.takes(true);
        assert!(!seat.dismiss(moment));
        seat.takes(false);
        tokio::time::sleep(moment * 2).await;
        assert!(seat.dismiss(moment) && !seat.begin());
    }
}
