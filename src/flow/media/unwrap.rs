//! Files that come as base64 inside JSON, taken out as they arrive: neither the text nor the file is ever whole in memory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// How many characters are decoded at once; a multiple of four.
const BLOCK: usize = 64 << 10;

/// The longest name of a member that is told from others.
const NAME_BYTES: usize = 64;

/// Why a file cannot be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// There is no such member, or it is no text.
    #[error("the answer holds no file")]
    NoFile,
    /// The text is cut short, or holds something else than base64.
    #[error("the file in the answer is damaged")]
    Damaged,
    /// It is larger than a file may be, in bytes.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
}

/// Takes the file out of one member of an object. Members are told apart by reading the JSON, so that no text inside
/// another member can pass for the file.
#[derive(Debug)]
pub(super) struct Unwrapping {
    member: &'static str,
    most: u64,
    place: Place,
    /// How deep inside objects and lists.
    depth: usize,
    /// The outermost text that was read last, if it is short enough to be a name.
    name: Option<Vec<u8>>,
    is_escaped: bool,
    /// Characters that wait to be decoded.
    waiting: Vec<u8>,
    size: u64,
    hash: Sha256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between texts.
    Outside,
    /// In a text that is not the file.
    Text,
    /// After the colon that follows the member's name.
    Before,
    /// In the file.
    File,
    /// After it; nothing more is read.
    After,
}

impl Unwrapping {
    pub(super) fn new(member: &'static str, most: u64) -> Self {
        Self {
            member,
            most,
            place: Place::Outside,
            depth: 0,
            name: None,
            is_escaped: false,
            waiting: Vec::with_capacity(BLOCK),
            size: 0,
            hash: Sha256::new(),
        }
    }

    /// What a piece of the answer adds to the file.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<Bytes, Broken> {
        let mut file = Vec::new();
        for byte in piece {
            self.step(*byte)?;
            if self.waiting.len() >= BLOCK {
                self.decode(&mut file)?;
            }
        }
        // What is left over from a group of four waits for the rest.
        if self.place == Place::After {
            self.decode(&mut file)?;
        }
        Ok(file.into())
    }

    /// How many bytes came, and their SHA-256.
    pub(super) fn finish(self) -> Result<(u64, [u8; 32]), Broken> {
        match self.place {
            Place::After => Ok((self.size, self.hash.finalize().into())),
            Place::File => Err(Broken::Damaged),
            _ => Err(Broken::NoFile),
        }
    }

    fn step(&mut self, byte: u8) -> Result<(), Broken> {
        match self.place {
            Place::After => {}
            Place::File => match byte {
                b'"' if !self.is_escaped => self.place = Place::After,
                // A slash may be written with a stroke before it; nothing else in base64 may.
                b'\\' if !self.is_escaped => self.is_escaped = true,
                b'/' => {
                    self.is_escaped = false;
                    self.waiting.push(byte);
                }
                _ if self.is_escaped => return Err(Broken::Damaged),
                _ => self.waiting.push(byte),
            },
            Place::Before => match byte {
                b'"' => self.place = Place::File,
                byte if byte.is_ascii_whitespace() => {}
                _ => return Err(Broken::NoFile),
            },
            Place::Text => self.in_text(byte),
            Place::Outside => self.outside(byte),
        }
        Ok(())
    }

    fn in_text(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => {
                self.is_escaped = false;
                self.name = None;
            }
            b'\\' => self.is_escaped = true,
            b'"' => self.place = Place::Outside,
            _ => match &mut self.name {
                Some(name) if name.len() < NAME_BYTES => name.push(byte),
                _ => self.name = None,
            },
        }
    }

    fn outside(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.place = Place::Text;
                self.name = (self.depth == 1).then(Vec::new);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b':' if self.depth == 1 => {
                let is_file = self.name.as_deref() == Some(self.member.as_bytes());
                if is_file {
                    self.place = Place::Before;
                }
            }
            byte if byte.is_ascii_whitespace() => return,
            _ => {}
        }
        if byte != b'"' {
            self.name = None;
        }
    }

    /// Decodes what waits: whole groups of four, and at the end everything.
    fn decode(&mut self, file: &mut Vec<u8>) -> Result<(), Broken> {
        let whole = match self.place {
            Place::After => self.waiting.len(),
            _ => self.waiting.len() - self.waiting.len() % 4,
        };
        let before = file.len();
        STANDARD.decode_vec(&self.waiting[..whole], file).map_err(|_| Broken::Damaged)?;
        self.waiting.drain(..whole);
        self.size += (file.len() - before) as u64;
        if self.size > self.most {
            return Err(Broken::TooLarge(self.most));
        }
        self.hash.update(&file[before..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(answer: &str, piece: usize) -> Result<Vec<u8>, Broken> {
        let mut unwrapping = Unwrapping::new("base64", 200_000);
        let mut file = Vec::new();
        for piece in answer.as_bytes().chunks(piece) {
            file.extend_from_slice(&unwrapping.read(piece)?);
        }
        let (size, hash) = unwrapping.finish()?;
        assert_eq!((size, hash), (file.len() as u64, Sha256::digest(&file).into()));
        Ok(file)
    }

    #[test]
    fn a_file_is_taken_out_however_it_is_cut() {
        let file: Vec<u8> = (0..150_001_u32).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
        let text = STANDARD.encode(&file);
        let escaped = text.replace('/', "\\/");
        for text in [&text, &escaped] {
            let answer = format!(
                "{{\"mediaType\":\"base64\", \"fileName\": \"\\\"base64\\\":\\\"QQ==\\\"\",\"size\":{{\"base64\":\"QQ==\"}},\
                 \"list\":[\"base64\",\"x\"],\"base64\" : \"{text}\",\"buffer\":null}}"
            );
            for piece in [1, 3, 7, 4_096, answer.len()] {
                assert_eq!(taken(&answer, piece).as_ref(), Ok(&file), "pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let cases = [
            ("", Broken::NoFile),
            ("{}", Broken::NoFile),
            ("{\"base64\":null}", Broken::NoFile),
            ("{\"a\":{\"base64\":\"QQ==\"}}", Broken::NoFile),
            ("[\"base64\",\"QQ==\"]", Broken::NoFile),
            ("{\"base64\":\"QQ", Broken::Damaged),
            ("{\"base64\":\"Q\"}", Broken::Damaged),
            ("{\"base64\":\"Q\\u0041==\"}", Broken::Damaged),
            ("{\"base64\":\"Q Q=\"}", Broken::Damaged),
        ];
        for (answer, broken) in cases {
            assert_eq!(taken(answer, 5), Err(broken), "{answer}");
        }
        let large = format!("{{\"base64\":\"{}\"}}", STANDARD.encode(vec![0; 200_001]));
        assert_eq!(taken(&large, 999), Err(Broken::TooLarge(200_000)));
    }
}
