//! The only way out: every connection the gateway opens to somebody else is opened here.
//!
//! Knows sockets, names and addresses. It knows no provider and no tenant: what is sent comes as data, and what came back
//! goes back as data.

mod blob;
mod client;
mod deliver;
mod download;
mod exchange;
mod guard;

pub use blob::{BlobError, BlobWriter, Blobs, S3};
pub use client::{Transport, TransportError};
pub use deliver::{Courier, Fetched};
pub use download::{DownloadError, Incoming, Limits};
pub use exchange::Lost;
