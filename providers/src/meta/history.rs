//! A number's past, handed over when it is taken into the platform while it stays in use on a telephone.
//! <https://developers.facebook.com/docs/whatsapp/embedded-signup/custom-flows/onboarding-business-app-users>

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::messages::{self, Envelope, People};
use super::notices;
use super::webhook::{Scope, Unreadable};
use super::wire::{HistoryChunk, HistoryProgress, Thread, WireMessage};
use crate::{Direction, EventKind, Notice, Party, Severity};

/// Reads one of `value.history[]`: threads of old messages, and how far the import is.
pub(super) fn read(scope: &mut Scope<'_>, raw: &RawValue) -> Result<(), Unreadable> {
    let chunk: HistoryChunk<'_> = serde_json::from_str(raw.get())?;
    if !chunk.errors.is_empty() {
        return notices::push(scope, "history", raw);
    }
    scope.each("threads", &chunk.threads, read_thread);
    let progress = chunk.metadata.unwrap_or_default();
    scope.batch.push(
        format!("history:{}", hex::encode(&Sha256::digest(raw.get())[..16])),
        scope.at,
        scope.line.clone(),
        EventKind::Notice(notice(&progress)),
    );
    Ok(())
}

fn notice(progress: &HistoryProgress) -> Notice {
    let show = |maybe: &crate::lenient::Maybe| maybe.get().unwrap_or("?").to_owned();
    let (phase, chunk) = (show(&progress.phase), show(&progress.chunk_order));
    let percent = show(&progress.progress);
    Notice {
        topic: "history".to_owned(),
        title: format!("History import: phase {phase}, chunk {chunk}, {percent} % done"),
        severity: Severity::Info,
        data: serde_json::json!({ "phase": phase, "chunk_order": chunk, "progress": percent }),
    }
}

fn read_thread(scope: &mut Scope<'_>, raw: &RawValue) -> Result<(), Unreadable> {
    let thread: Thread<'_> = serde_json::from_str(raw.get())?;
    let context = thread.context.unwrap_or_default();
    let person = thread.id.get().or(context.wa_id.get());
    let party = People::read(&[]).party(person, context.user_id.get(), None);
    scope.each("messages", &thread.messages, |scope, raw| {
        read_message(scope, &party, raw)
    });
    Ok(())
}

fn read_message(scope: &mut Scope<'_>, party: &Party, raw: &RawValue) -> Result<(), Unreadable> {
    let wire: WireMessage = serde_json::from_str(raw.get())?;
    let at = messages::time(&wire)?;
    let digits = |text: &str| {
        text.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    let from_us = match (wire.from.get(), scope.number.get()) {
        (Some(from), Some(ours)) => digits(from) == digits(ours),
        _ => false,
    };
    let direction = if from_us {
        Direction::Outbound
    } else {
        Direction::Inbound
    };
    let party = party.clone();
    messages::push(
        scope,
        &wire,
        &[],
        Envelope {
            at,
            party,
            direction,
            historical: true,
        },
    )
}
