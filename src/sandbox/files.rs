//! Files that were uploaded, and files that came with messages of people. Bounded in bytes.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::exchange::{Answer, Request};
use super::world::World;
use crate::clock::Timestamp;

/// How many bytes are kept; the oldest files go first.
const BYTES: usize = 256 << 20;

/// A file.
#[derive(Debug, Clone)]
pub(super) struct StoredFile {
    /// The account it belongs to: provider and name.
    pub(super) owner: (String, String),
    pub(super) mime_type: String,
    pub(super) filename: Option<String>,
    pub(super) bytes: Bytes,
    pub(super) at: Timestamp,
}

impl StoredFile {
    pub(super) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

/// The files by id.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: HashMap<String, StoredFile>,
    order: VecDeque<String>,
    bytes: usize,
}

impl Files {
    pub(super) fn put(&mut self, id: String, file: StoredFile) {
        self.bytes += file.bytes.len();
        self.order.push_back(id.clone());
        self.files.insert(id, file);
        while self.bytes > BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            self.remove(&oldest);
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&StoredFile> {
        self.files.get(id)
    }

    pub(super) fn remove(&mut self, id: &str) -> bool {
        let removed = self.files.remove(id);
        self.bytes -= removed.as_ref().map_or(0, |file| file.bytes.len());
        removed.is_some()
    }
}

/// The providers' file servers, which stand on a host of their own: `/files/{provider}/{id}`. They need no credentials, and
/// as signed links do, they refuse a request that brings some.
pub(super) fn answer(world: &World, request: &Request) -> Answer {
    if request.header("authorization").is_some() || request.header("x-api-key").is_some() {
        let reason = "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>";
        return Answer::of(400, "application/xml", reason);
    }
    let path = request.segments(1);
    let [provider, id] = &path[..] else { return Answer::empty(404) };
    let files = world.files();
    let Some(file) = files.get(id).filter(|file| file.owner.0 == *provider) else {
        return Answer::of(404, "application/xml", "<Error><Code>NoSuchKey</Code></Error>");
    };
    let answer = Answer::of(200, &file.mime_type, file.bytes.clone());
    match &file.filename {
        Some(name) => answer.with("content-disposition", format!("inline; filename=\"{name}\"")),
        None => answer,
    }
}
