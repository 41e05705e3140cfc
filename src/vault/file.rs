//! Authenticated encryption of files, in chunks, so that a part can be read without the rest.
//!
//! A sealed file is a header (one byte of form, 19 random bytes) and then chunks of 64 KiB, each sealed on its own; the last
//! one may be shorter, and is empty only if the file is. A chunk's nonce holds the random bytes, its number and whether it
//! is the last: a chunk that was moved, left out, repeated, or taken from another file does not open, and neither does a
//! file that was cut off.

use std::ops::Range;

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use super::{DataKey, SealError};

const FORM: u8 = 1;
const PREFIX: usize = 19;
const TAG: u64 = 16;

/// How much of a file one chunk holds, in bytes.
pub const CHUNK: u64 = 64 * 1024;

/// How long the header is, in bytes.
pub const HEADER: u64 = 1 + PREFIX as u64;

const SEALED_CHUNK: u64 = CHUNK + TAG;

/// Seals or opens the chunks of one file.
pub struct FileCipher {
    cipher: XChaCha20Poly1305,
    prefix: [u8; PREFIX],
    place: String,
}

/// Which chunks hold a part of a file, and where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where the sealed chunks stand, header included in the count.
    pub sealed: Range<u64>,
    /// The number of the first.
    pub first: u64,
    /// How many bytes at the beginning of the first are not wanted.
    pub skip: u64,
}

impl DataKey {
    /// Begins a new file. `place` says what it is and whose, as in [`DataKey::seal`].
    pub fn new_file(&self, place: &str) -> Result<FileCipher, SealError> {
        let mut prefix = [0; PREFIX];
        getrandom::fill(&mut prefix).map_err(|_| SealError::Randomness)?;
        Ok(self.cipher_of(place, prefix))
    }

    /// The cipher of the file with that header.
    pub fn open_file(&self, place: &str, header: &[u8]) -> Result<FileCipher, SealError> {
        match header.split_first() {
            Some((&FORM, prefix)) => {
                let prefix = prefix.try_into().map_err(|_| SealError::Form)?;
                Ok(self.cipher_of(place, prefix))
            }
            _ => Err(SealError::Form),
        }
    }

    fn cipher_of(&self, place: &str, prefix: [u8; PREFIX]) -> FileCipher {
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.bytes()));
        FileCipher { cipher, prefix, place: place.to_owned() }
    }
}

impl FileCipher {
    /// What the file begins with.
    pub fn header(&self) -> Bytes {
        [&[FORM], &self.prefix[..]].concat().into()
    }

    /// Seals chunk `number`: [`CHUNK`] bytes, or fewer if it is the last.
    pub fn seal(&self, number: u64, last: bool, plain: &[u8]) -> Result<Bytes, SealError> {
        let payload = Payload { msg: plain, aad: self.place.as_bytes() };
        let sealed = self.cipher.encrypt(&self.nonce(number, last)?, payload);
        sealed.map(Bytes::from).map_err(|_| SealError::Refused)
    }

    /// Opens chunk `number`.
    pub fn open(&self, number: u64, last: bool, sealed: &[u8]) -> Result<Bytes, SealError> {
        let payload = Payload { msg: sealed, aad: self.place.as_bytes() };
        let plain = self.cipher.decrypt(&self.nonce(number, last)?, payload);
        plain.map(Bytes::from).map_err(|_| SealError::Refused)
    }

    fn nonce(&self, number: u64, last: bool) -> Result<XNonce, SealError> {
        let number = u32::try_from(number).map_err(|_| SealError::Form)?;
        let mut nonce = [0; PREFIX + 5];
        nonce[..PREFIX].copy_from_slice(&self.prefix);
        nonce[PREFIX..PREFIX + 4].copy_from_slice(&number.to_be_bytes());
        nonce[PREFIX + 4] = u8::from(last);
        Ok(XNonce::from(nonce))
    }
}

impl std::fmt::Debug for FileCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileCipher(..)")
    }
}

/// How many chunks a file of `size` bytes has: at least one.
pub fn chunks(size: u64) -> u64 {
    size.div_ceil(CHUNK).max(1)
}

/// How long a file of `size` bytes is once it is sealed.
pub fn sealed_size(size: u64) -> u64 {
    HEADER + size + chunks(size) * TAG
}

/// Where the bytes `part` of a file of `size` bytes stand. The part must not be empty, unless the file is, and not reach
/// beyond the file.
pub fn span(size: u64, part: &Range<u64>) -> Span {
    let first = part.start / CHUNK;
    let end = part.end.div_ceil(CHUNK).max(first + 1);
    let sealed_end = (HEADER + end * SEALED_CHUNK).min(sealed_size(size));
    Span { sealed: HEADER + first * SEALED_CHUNK..sealed_end, first, skip: part.start % CHUNK }
}

/// How long a sealed chunk that is not the last is, in bytes.
pub fn sealed_chunk() -> usize {
    usize::try_from(SEALED_CHUNK).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_opens_in_its_place_only() {
        let key = DataKey::random().unwrap();
        let file = key.new_file("organizations/1/media/1").unwrap();
        let sealed = file.seal(0, false, b"first").unwrap();
        let opened = |place: &str, number, last| {
            let again = key.open_file(place, &file.header()).unwrap();
            again.open(number, last, &sealed)
        };
        let place = "organizations/1/media/1";
        assert_eq!(opened(place, 0, false).unwrap(), &b"first"[..]);
        assert!(opened(place, 1, false).is_err(), "moved");
        assert!(opened(place, 0, true).is_err(), "the file was cut off after it");
        assert!(opened("organizations/2/media/1", 0, false).is_err(), "another organization's");
        let other = key.new_file(place).unwrap();
        assert!(other.open(0, false, &sealed).is_err(), "another file's");
        let mut changed = sealed.to_vec();
        changed[0] ^= 1;
        assert!(file.open(0, false, &changed).is_err(), "changed");
    }

    #[test]
    fn headers_of_other_forms_are_refused() {
        let key = DataKey::random().unwrap();
        let header = key.new_file("p").unwrap().header();
        assert!(key.open_file("p", &header[..10]).is_err());
        assert!(key.open_file("p", &[&[9], &header[1..]].concat()).is_err());
        assert!(key.open_file("p", b"").is_err());
    }

    #[test]
    fn parts_are_found_in_their_chunks() {
        let size = 2 * CHUNK + 10;
        let end = sealed_size(size);
        assert_eq!(end, HEADER + size + 3 * TAG);
        let whole = Span { sealed: HEADER..end, first: 0, skip: 0 };
        assert_eq!(span(size, &(0..size)), whole);
        let second = HEADER + SEALED_CHUNK;
        let inside = Span { sealed: second..second + SEALED_CHUNK, first: 1, skip: 5 };
        assert_eq!(span(size, &(CHUNK + 5..2 * CHUNK)), inside);
        let last = Span { sealed: second + SEALED_CHUNK..end, first: 2, skip: 9 };
        assert_eq!(span(size, &(size - 1..size)), last);
        assert_eq!(span(0, &(0..0)), Span { sealed: HEADER..HEADER + TAG, first: 0, skip: 0 });
        assert_eq!((chunks(0), chunks(CHUNK), chunks(CHUNK + 1)), (1, 1, 2));
    }
}
