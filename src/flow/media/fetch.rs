//! Fetching the files that came with messages: claimed one by one, asked for as the provider says, kept.
//!
//! A row is the truth: it says that a file is wanted and from when on. A claim moves that time ahead, so a process that dies
//! while it fetches loses nothing but time, and several processes never fetch one file at once for longer than that.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use providers::{Attachment, Media, MediaStep, ProviderResponse};
use serde_json::json;

use super::blob_key;
use super::judge::{Trouble, differs, judge, media_type, verdict};
use super::unwrap::{Broken, Unwrapping};
use tokio::task::JoinSet;

use crate::clock::Timestamp;
use crate::gateway::{DirectoryAccount, Gateway};
use crate::model::{FetchedFile, OrganizationId, WantedFile};
use crate::store::events::Outbox;
use crate::store::{StoreError, media};
use crate::transport::{BlobWriter, DownloadError, Incoming, Limits};

/// How many files are fetched at once, and how many of them for one organization: whoever sends files that never end
/// shall not keep others waiting.
const AT_ONCE: usize = 4;
const AT_ONCE_FOR_ONE: usize = 2;

/// How often others are looked for while some are under way.
const LOOK: Duration = Duration::from_millis(250);

/// How many requests a file may take before its download.
const REQUESTS: usize = 4;

/// How long the answer to one of them may take, and how long a download; together less than a claim lasts.
const ANSWER: Duration = Duration::from_secs(20);
const DOWNLOAD: Duration = Duration::from_mins(5);
const IDLE: Duration = Duration::from_secs(20);
/// How much JSON may stand around a file, in bytes.
const AROUND: u64 = 64 << 10;
const CLAIM: TimeDelta = TimeDelta::minutes(8);

/// How files of an account are fetched: its own ability, unless a test has another.
pub type Reachable = fn(&DirectoryAccount) -> Option<&dyn Media>;

/// How a file is fetched. The account is asked for its ability each time: the ability itself cannot be held while waiting.
struct Way {
    account: Arc<DirectoryAccount>,
    reachable: Reachable,
}

/// When the next file is due.
pub async fn next_due(gateway: &Gateway) -> Result<Option<Timestamp>, StoreError> {
    media::next_due(&mut gateway.store.read_all().await?).await
}

/// Fetches every file that is due, and what becomes due meanwhile; returns how many were tried. Call it again when
/// there is news, and every few seconds.
pub async fn fetch_due(gateway: &Arc<Gateway>) -> Result<usize, StoreError> {
    fetch_due_through(gateway, |account| account.account.media()).await
}

/// [`fetch_due`] with another way to reach the files.
pub async fn fetch_due_through(
    gateway: &Arc<Gateway>,
    reachable: Reachable,
) -> Result<usize, StoreError> {
    // Tasks of their own: a fetch that holds SQLite's one writer must go on while the next one is claimed.
    let mut under_way = JoinSet::new();
    let mut whose: Vec<OrganizationId> = Vec::new();
    let mut tried = 0;
    loop {
        while whose.len() < AT_ONCE {
            let Some(wanted) = claim(gateway, &whose).await? else { break };
            whose.push(wanted.organization_id);
            let gateway = Arc::clone(gateway);
            under_way.spawn(async move { fetch(&gateway, reachable, wanted).await });
            tried += 1;
        }
        if under_way.is_empty() {
            return Ok(tried);
        }
        // Whatever is claimed runs on while others are looked for.
        tokio::select! {
            Some(done) = under_way.join_next() => {
                // A fetch that broke is claimed again when its claim has ended.
                let Ok((organization, result)) = done else { return Ok(tried) };
                result?;
                if let Some(place) = whose.iter().position(|other| *other == organization) {
                    whose.swap_remove(place);
                }
            }
            () = tokio::time::sleep(LOOK), if whose.len() < AT_ONCE => {}
        }
    }
}

/// Claims the next file of an organization that has not its share under way.
async fn claim(
    gateway: &Gateway,
    whose: &[OrganizationId],
) -> Result<Option<WantedFile>, StoreError> {
    let mut busy = [None; AT_ONCE / AT_ONCE_FOR_ONE];
    let count = |one: OrganizationId| whose.iter().filter(|other| **other == one).count();
    for organization in whose.iter().filter(|one| count(**one) >= AT_ONCE_FOR_ONE) {
        match busy.iter().position(|one| one.is_none_or(|one| one == *organization)) {
            Some(place) => busy[place] = Some(*organization),
            None => return Ok(None),
        }
    }
    let now = gateway.clock.now();
    // Most of the time there is nothing, and a look costs less than a transaction that writes.
    if next_due(gateway).await?.is_none_or(|due| due > now) {
        return Ok(None);
    }
    let mut session = gateway.store.write_all().await?;
    let wanted = media::claim(&mut session, busy, now, now + CLAIM).await?;
    session.commit().await?;
    Ok(wanted)
}

/// Fetches one file and writes down what became of it.
async fn fetch(
    gateway: &Gateway,
    reachable: Reachable,
    wanted: WantedFile,
) -> (OrganizationId, Result<(), StoreError>) {
    let organization = wanted.organization_id;
    let result = match bring(gateway, reachable, &wanted).await {
        Ok(file) => settle(gateway, &wanted, Ok(file)).await,
        Err(Trouble::Store(error)) => Err(error),
        Err(trouble) => settle(gateway, &wanted, Err(trouble)).await,
    };
    (organization, result)
}

impl Way {
    fn media(&self) -> Result<&dyn Media, Trouble> {
        (self.reachable)(&self.account).ok_or_else(|| {
            Trouble::Failed("it cannot be fetched with this account's credentials".to_owned())
        })
    }

    fn step(&self, file: &Attachment, answers: &[ProviderResponse]) -> Result<MediaStep, Trouble> {
        let step = self.media()?.step(file, answers);
        step.map_err(|failure| judge(failure, !answers.is_empty()))
    }

    /// What a download that was refused means for the file.
    fn refused(&self, error: DownloadError) -> Trouble {
        use DownloadError::{Forbidden, Lost, Redirect, Refused, TooLarge};
        match error {
            Refused(answer) => match self.media() {
                Ok(media) => judge(media.refused(&answer), true),
                Err(trouble) => trouble,
            },
            Lost(lost) => Trouble::Again(lost.to_string(), None),
            Forbidden(_) | Redirect(_) | TooLarge(_) => Trouble::Failed(error.to_string()),
        }
    }
}

/// Brings the file.
async fn bring(
    gateway: &Gateway,
    reachable: Reachable,
    wanted: &WantedFile,
) -> Result<FetchedFile, Trouble> {
    let way = Way { account: account_of(gateway, wanted).await?, reachable };
    let mut answers: Vec<ProviderResponse> = Vec::new();
    loop {
        let (download, member) = match way.step(&wanted.attachment, &answers)? {
            MediaStep::Download(download) => (download, None),
            MediaStep::Unwrap { download, member } => (download, Some(member)),
            MediaStep::Ask(_) if answers.len() >= REQUESTS => {
                return Err(Trouble::Failed("it takes too many requests".to_owned()));
            }
            MediaStep::Ask(request) => {
                let (behalf, clock) = (way.account.behalf(), &gateway.clock);
                let answer = gateway.transport.exchange(&request, behalf, clock, ANSWER).await;
                answers.push(answer.map_err(|lost| Trouble::Again(lost.to_string(), None))?);
                continue;
            }
        };
        let bytes = gateway.config.media.fetch_bytes;
        // Base64 is a third longer than what it stands for.
        let arriving = match member {
            Some(_) => (bytes / 3).saturating_mul(4).saturating_add(AROUND),
            None => bytes,
        };
        let limits = Limits { bytes: arriving, timeout: DOWNLOAD, idle: IDLE };
        let (request, behalf) = (&download.request, way.account.behalf());
        let arrived = gateway.transport.download(request, behalf, limits, &gateway.clock).await;
        let incoming = arrived.map_err(|error| way.refused(error))?;
        let inside = member.map(|member| Unwrapping::new(member, bytes));
        return keep(gateway, &way, wanted, &download.expected, incoming, inside).await;
    }
}

/// The account that brought the message. It may have been connected by another process a moment ago.
async fn account_of(
    gateway: &Gateway,
    wanted: &WantedFile,
) -> Result<Arc<DirectoryAccount>, Trouble> {
    let gone = || Trouble::Failed("the account it came through is not connected".to_owned());
    let id = wanted.account_id.ok_or_else(gone)?;
    let find = || {
        let snapshot = gateway.directory.snapshot();
        let account = snapshot.account(id).cloned();
        account.filter(|account| account.organization_id == wanted.organization_id)
    };
    if let Some(account) = find() {
        return Ok(account);
    }
    gateway.refresh_directory().await?;
    if let Some(account) = find() {
        return Ok(account);
    }
    let locked = gateway.directory.snapshot().locked() > 0;
    Err(if locked {
        Trouble::Again("the account's credentials cannot be opened".to_owned(), None)
    } else {
        gone()
    })
}

/// Keeps the file as it comes.
async fn keep(
    gateway: &Gateway,
    way: &Way,
    wanted: &WantedFile,
    expected: &Attachment,
    mut incoming: Incoming,
    mut inside: Option<Unwrapping>,
) -> Result<FetchedFile, Trouble> {
    let mut session = gateway.store.read_all().await?;
    let key = gateway.keys.key(&mut session, wanted.organization_id).await?;
    drop(session);
    let name = blob_key(wanted.organization_id, wanted.id);
    let mut blob = gateway.blobs.write(&name, &key)?;
    if let Err(trouble) = copy(way, &mut incoming, &mut blob, inside.as_mut()).await {
        blob.abort().await;
        return Err(trouble);
    }
    // What surrounds a file says nothing of the file's own type.
    let content_type = incoming.content_type().filter(|_| inside.is_none());
    let mime_type = media_type(content_type, expected, &wanted.attachment);
    let (size, hash) = match inside.map(Unwrapping::finish) {
        None => incoming.finish(),
        Some(Ok(told)) => told,
        Some(Err(broken)) => {
            blob.abort().await;
            return Err(broken.into());
        }
    };
    blob.finish().await?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let warning = differs(expected, size, &hash);
    Ok(FetchedFile { mime_type, size, sha256: hex::encode(hash), blob_key: name, warning })
}

async fn copy(
    way: &Way,
    incoming: &mut Incoming,
    blob: &mut BlobWriter,
    mut inside: Option<&mut Unwrapping>,
) -> Result<(), Trouble> {
    while let Some(chunk) = incoming.chunk().await.map_err(|error| way.refused(error))? {
        match &mut inside {
            None => blob.write(&chunk).await?,
            Some(unwrapping) => blob.write(&unwrapping.read(&chunk)?).await?,
        }
    }
    Ok(())
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        match broken {
            // The bridge may have failed to fetch it from WhatsApp this time.
            Broken::NoFile | Broken::Damaged => Self::Again(broken.to_string(), None),
            Broken::TooLarge(_) => Self::Failed(broken.to_string()),
        }
    }
}

/// Writes down what became of a file, and tells.
async fn settle(
    gateway: &Gateway,
    wanted: &WantedFile,
    outcome: Result<FetchedFile, Trouble>,
) -> Result<(), StoreError> {
    let organization = wanted.organization_id;
    let now = gateway.clock.now();
    let mut session = gateway.store.write_all().await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let (kind, held, data) = match outcome {
        Ok(file) => {
            let held = media::stored(&mut session, wanted, &file).await?;
            let mut data = json!({ "attachment_id": wanted.id, "state": "stored" });
            if let Some(warning) = file.warning {
                tracing::warn!(file = %wanted.id, warning, "a file is not as it was announced");
                data["warning"] = warning.into();
            }
            (Some("attachment.stored"), held, data)
        }
        Err(trouble) => {
            let (state, again, error) = verdict(wanted, now, trouble);
            tracing::debug!(file = %wanted.id, state = state.word(), error, "a file did not come");
            let held = media::not_stored(&mut session, wanted, state, again, &error).await?;
            let kind = again.is_none().then_some("attachment.failed");
            let data = json!({ "attachment_id": wanted.id, "state": state.word(), "error": error });
            (kind, held, data)
        }
    };
    if let Some(kind) = kind.filter(|_| held) {
        outbox.push(organization, kind, wanted.message_id.0, Some(data));
    }
    outbox.flush(&mut session, now).await?;
    session.commit().await?;
    if kind.is_some() {
        gateway.wake_readers();
    }
    Ok(())
}
