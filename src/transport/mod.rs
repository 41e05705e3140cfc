//! The only way out: every connection the gateway opens to somebody else is opened here.
//!
//! Knows sockets, names and addresses, and on whose behalf a request leaves: that decides where it may go. It knows no
//! provider: what is sent comes as data, and what came back goes back as data.

mod blob;
mod client;
mod deliver;
mod download;
mod exchange;
mod guard;

pub use blob::{BlobError, BlobWriter, Blobs, S3};
pub use client::{Behalf, Transport, TransportError};
pub use deliver::{Courier, Fetched};
pub use download::{DownloadError, Incoming, Limits};
pub use exchange::Lost;
