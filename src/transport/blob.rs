//! Where files are kept: a folder, or an S3-compatible store. Everything in it is sealed; it sees no file's content, and
//! only the names that it is given.

use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, Stream, StreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;

use crate::vault::file::{self, CHUNK, FileCipher, HEADER};
use crate::vault::{DataKey, SealError};

/// How much of a file is in memory before it is handed on, in bytes: the smallest part that S3 takes.
const PART: usize = 5 << 20;

/// An S3-compatible store.
#[derive(Debug, Clone)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// Where it is; Amazon's own address of the region if empty. `http` is allowed here.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// The access key; the machine's own identity if empty.
    pub access_key: secrecy::SecretString,
    /// The secret key.
    pub secret_key: secrecy::SecretString,
}

/// The files.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

/// Why a file cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is none of that name.
    #[error("the file is no longer kept")]
    Missing,
    /// It was changed, cut off, or sealed with another key.
    #[error("the kept file is damaged: {0}")]
    Damaged(SealError),
    /// The folder or the store does not answer, or refuses.
    #[error("the file store: {0}")]
    Unavailable(String),
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<SealError> for BlobError {
    fn from(error: SealError) -> Self {
        Self::Damaged(error)
    }
}

impl Blobs {
    /// Files in a folder, which must exist. What is written survives power loss.
    pub fn folder(folder: &FilePath) -> Result<Self, BlobError> {
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self { store: Arc::new(store.with_automatic_cleanup(true)) })
    }

    /// Files in an S3-compatible store. It is not asked for anything yet.
    pub fn s3(s3: &S3) -> Result<Self, BlobError> {
        use secrecy::ExposeSecret;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&s3.bucket)
            .with_region(&s3.region)
            .with_allow_http(s3.endpoint.starts_with("http://"));
        if !s3.endpoint.is_empty() {
            builder = builder.with_endpoint(&s3.endpoint);
        }
        if !s3.access_key.expose_secret().is_empty() {
            builder = builder
                .with_access_key_id(s3.access_key.expose_secret())
                .with_secret_access_key(s3.secret_key.expose_secret());
        }
        Ok(Self { store: Arc::new(builder.build()?) })
    }

    /// Begins a file of that name, which takes the place of one that is there once it is finished.
    pub fn write(&self, name: &str, key: &DataKey) -> Result<BlobWriter, BlobError> {
        let cipher = key.new_file(name)?;
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), Path::from(name), PART);
        Ok(BlobWriter { writer, cipher, held: BytesMut::new(), number: 0 })
    }

    /// The bytes `part` of the file of that name, which has `size` bytes, chunk by chunk. Only what is needed is read and
    /// opened.
    ///
    /// # Errors
    /// [`BlobError::Missing`]; and if it has another size, or its header is not one, [`BlobError::Damaged`]. A damaged
    /// chunk is an error of the stream, which ends there.
    pub async fn read(
        &self,
        name: &str,
        key: &DataKey,
        size: u64,
        part: Range<u64>,
    ) -> Result<impl Stream<Item = Result<Bytes, BlobError>> + Send + use<>, BlobError> {
        let path = Path::from(name);
        let get = |range: Range<u64>| GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let head = self.store.get_opts(&path, get(0..HEADER)).await?;
        if head.meta.size != file::sealed_size(size) {
            return Err(SealError::Form.into());
        }
        let cipher = key.open_file(name, &head.bytes().await?)?;
        let part = part.start.min(size)..part.end.min(size);
        let part = if part.is_empty() { 0..0 } else { part };
        let span = file::span(size, &part);
        let sealed = self.store.get_opts(&path, get(span.sealed.clone())).await?.into_stream();
        let opening = Opening {
            sealed,
            held: BytesMut::new(),
            cipher,
            number: span.first,
            last: file::chunks(size) - 1,
            skip: span.skip,
            left: part.end - part.start,
            done: false,
        };
        Ok(futures_util::stream::unfold(opening, |mut opening| async {
            Some((opening.next().await.transpose()?, opening))
        }))
    }

    /// Deletes the file of that name; it is well if there is none.
    pub async fn delete(&self, name: &str) -> Result<(), BlobError> {
        match self.store.delete(&Path::from(name)).await.map_err(BlobError::from) {
            Err(BlobError::Missing) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A file that is being written. Dropped before it is finished, it leaves what was there before.
pub struct BlobWriter {
    writer: BufWriter,
    cipher: FileCipher,
    /// What does not fill a chunk yet, or may be the last one.
    held: BytesMut,
    number: u64,
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter").field("number", &self.number).finish_non_exhaustive()
    }
}

impl BlobWriter {
    /// Adds to the file.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let chunk = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        self.held.extend_from_slice(bytes);
        // A full chunk is held until more comes: it may be the last one.
        while self.held.len() > chunk {
            let plain = self.held.split_to(chunk);
            self.put(&plain, false).await?;
        }
        Ok(())
    }

    /// Ends the file; from now on it is there.
    pub async fn finish(mut self) -> Result<(), BlobError> {
        let plain = std::mem::take(&mut self.held);
        self.put(&plain, true).await?;
        self.writer.shutdown().await.map_err(|error| BlobError::Unavailable(error.to_string()))
    }

    /// Gives the file up, and takes back what a store was given of it.
    pub async fn abort(mut self) {
        // What cannot be taken back is never seen, and the store's own rules clean it up.
        let _ = self.writer.abort().await;
    }

    async fn put(&mut self, plain: &[u8], last: bool) -> Result<(), BlobError> {
        if self.number == 0 {
            self.writer.put(self.cipher.header()).await?;
        }
        self.writer.put(self.cipher.seal(self.number, last, plain)?).await?;
        self.number += 1;
        Ok(())
    }
}

/// A part of a file on its way out.
struct Opening {
    sealed: BoxStream<'static, object_store::Result<Bytes>>,
    held: BytesMut,
    cipher: FileCipher,
    number: u64,
    /// The number of the file's last chunk.
    last: u64,
    skip: u64,
    left: u64,
    done: bool,
}

impl Opening {
    /// The next piece. After an error nothing more comes.
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        if self.done || self.left == 0 {
            return Ok(None);
        }
        let piece = self.open().await;
        self.done = piece.is_err();
        piece.map(Some)
    }

    async fn open(&mut self) -> Result<Bytes, BlobError> {
        while self.held.len() < file::sealed_chunk() {
            match self.sealed.next().await {
                Some(more) => self.held.extend_from_slice(&more?),
                None => break,
            }
        }
        let sealed = self.held.split_to(self.held.len().min(file::sealed_chunk()));
        let mut plain = self.cipher.open(self.number, self.number == self.last, &sealed)?;
        self.number += 1;
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(plain.len());
        let mut plain = plain.split_off(skip);
        plain.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.skip = 0;
        self.left -= plain.len() as u64;
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder =
            std::env::temp_dir().join(format!("switchboard-blobs-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    async fn read(
        blobs: &Blobs,
        key: &DataKey,
        size: usize,
        part: Range<usize>,
    ) -> Result<Vec<u8>, BlobError> {
        let part = part.start as u64..part.end as u64;
        let stream = blobs.read("org/file", key, size as u64, part).await?;
        let pieces: Vec<_> = stream.collect().await;
        let pieces: Result<Vec<Bytes>, BlobError> = pieces.into_iter().collect();
        Ok(pieces?.concat())
    }

    async fn write(blobs: &Blobs, key: &DataKey, plain: &[u8]) {
        let mut writer = blobs.write("org/file", key).unwrap();
        for piece in plain.chunks(50_000) {
            writer.write(piece).await.unwrap();
        }
        writer.finish().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_is_read_in_whole_and_in_parts() {
        let folder = folder("parts");
        let (blobs, key) = (Blobs::folder(&folder).unwrap(), DataKey::random().unwrap());
        for size in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000, 6_000_000] {
            let plain: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            write(&blobs, &key, &plain).await;
            assert_eq!(read(&blobs, &key, size, 0..size).await.unwrap(), plain, "{size}");
            for part in [0..1, 65_530..65_540, 65_536..131_072, 131_072..131_073, 199_999..200_000]
            {
                let inside = part.start.min(size)..part.end.min(size);
                let got = read(&blobs, &key, size, part).await.unwrap();
                assert_eq!(got, plain[inside.clone()], "{size}: {inside:?}");
            }
        }
        blobs.delete("org/file").await.unwrap();
        blobs.delete("org/file").await.unwrap();
        assert!(matches!(read(&blobs, &key, 1, 0..1).await, Err(BlobError::Missing)));
    }

    #[tokio::test]
    async fn a_changed_shortened_or_reordered_file_is_noticed() {
        let folder = folder("damaged");
        let (blobs, key) = (Blobs::folder(&folder).unwrap(), DataKey::random().unwrap());
        let plain = vec![7; 200_000];
        write(&blobs, &key, &plain).await;
        let path = folder.join("org/file");
        let kept = std::fs::read(&path).unwrap();
        assert!(!kept.windows(16).any(|bytes| bytes == [7; 16]), "it is not sealed");
        let chunk = file::sealed_chunk();
        let mut changed = kept.clone();
        changed[20 + chunk + 5] ^= 1;
        let mut swapped = kept.clone();
        swapped[20..20 + 2 * chunk].rotate_left(chunk);
        let cut = kept[..20 + 2 * chunk].to_vec();
        for damaged in [changed, swapped, cut.clone()] {
            std::fs::write(&path, &damaged).unwrap();
            let result = read(&blobs, &key, 200_000, 0..200_000).await;
            assert!(matches!(result, Err(BlobError::Damaged(_))), "{result:?}");
        }
        // Even if the size that is known were changed with it.
        std::fs::write(&path, &cut).unwrap();
        let result = read(&blobs, &key, 131_072, 0..131_072).await;
        assert!(matches!(result, Err(BlobError::Damaged(_))), "{result:?}");
        std::fs::write(&path, &kept).unwrap();
        let other = DataKey::random().unwrap();
        assert!(read(&blobs, &other, 200_000, 0..200_000).await.is_err(), "another key");
        assert_eq!(read(&blobs, &key, 200_000, 0..200_000).await.unwrap(), plain);
    }

    #[tokio::test]
    async fn a_file_that_is_given_up_leaves_what_was_there() {
        let folder = folder("aborted");
        let (blobs, key) = (Blobs::folder(&folder).unwrap(), DataKey::random().unwrap());
        write(&blobs, &key, b"before").await;
        let mut writer = blobs.write("org/file", &key).unwrap();
        writer.write(&vec![1; 6_000_000]).await.unwrap();
        writer.abort().await;
        assert_eq!(read(&blobs, &key, 6, 0..6).await.unwrap(), b"before");
    }
}
