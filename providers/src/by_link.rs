//! Files that a provider fetches itself: it is given an address for each, never the bytes.

use crate::api::web_url;
use crate::{
    Cause, Failure, FailureClass, FileSource, MediaKind, OutboundFile, OutboundMessage, Unfit,
    media_type,
};

/// Why a file without an address cannot go.
const NEEDS_LINK: &str = "the provider fetches files by itself: a public URL of this gateway, or an http or https URL \
                          of the file, is needed";

/// Characters of an address; Telnyx takes no more.
/// <https://developers.telnyx.com/development/api-fundamentals/api-errors>
const LINK: usize = 2_000;

/// How many files a message may have, and how large they may be together.
pub(crate) struct FileLimits {
    pub(crate) most: usize,
    /// In bytes.
    pub(crate) together: i64,
}

/// Whether the files keep the limits. Those that are loaded must have an address.
pub(crate) fn check(
    message: &OutboundMessage,
    files: &[OutboundFile],
    limits: &FileLimits,
) -> Result<(), Unfit> {
    let field = "content.files";
    if files.is_empty() || files.len() > limits.most {
        let reason = match limits.most {
            1 => "must be exactly one file".to_owned(),
            most => format!("must be 1 to {most} files"),
        };
        return Err(Unfit::new(field, reason));
    }
    let sizes = files.iter().filter_map(|file| file.size);
    let together = sizes.fold(0_i64, |sum, size| sum.saturating_add(size.max(0)));
    if together > limits.together {
        let most = limits.together;
        return Err(Unfit::new(field, format!("must be at most {most} bytes together")));
    }
    media_type::check(files)?;
    for (index, file) in files.iter().enumerate() {
        let is_reachable = match (&file.source, message.files.get(index)) {
            (_, Some(loaded)) => loaded.link.as_deref().is_some_and(is_link),
            (_, None) if !message.files.is_empty() => false,
            (FileSource::Link(link), None) => is_link(link),
            // Its address is made when it is loaded.
            (FileSource::Stored(_), None) => true,
        };
        if !is_reachable {
            return Err(Unfit::new(format!("{field}[{index}]"), NEEDS_LINK));
        }
    }
    Ok(())
}

/// MMS knows no stickers, and takes no `image/webp`.
pub(crate) fn no_sticker(files: &[OutboundFile]) -> Result<(), Unfit> {
    match files.iter().position(|file| file.media == MediaKind::Sticker) {
        None => Ok(()),
        Some(index) => {
            let field = format!("content.files[{index}].media");
            Err(Unfit::new(field, "MMS has no stickers; send a picture as image"))
        }
    }
}

/// The addresses of the files, in order.
pub(crate) fn links(message: &OutboundMessage, count: usize) -> Result<Vec<String>, Failure> {
    let links = message.files.iter().filter_map(|file| file.link.clone());
    let links: Vec<String> = links.filter(|link| is_link(link)).collect();
    if links.len() == count {
        Ok(links)
    } else {
        Err(Failure::new(FailureClass::Permanent(Cause::Message), NEEDS_LINK))
    }
}

fn is_link(text: &str) -> bool {
    text.len() <= LINK && web_url(text).is_some()
}
