//! `messages` and what hangs on them: how a provider's id becomes a reference, and what a message's id leads to.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a message (or call) is found by: the first 16 bytes of SHA-256 of the provider's word, a zero byte and the
/// provider's id. Provider ids are unique within the provider, long, and of any form; this has one length.
pub fn provider_ref(provider: &str, id: &str) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(provider);
    digest.update([0]);
    digest.update(id);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    Uuid::from_bytes(bytes)
}

/// A message's status as a number, in SQL: [`providers::DeliveryStatus::rank`].
pub(super) const RANK_OF_STATUS: &str = "(case messages.status
    when 'queued' then 0 when 'sending' then 1 when 'unknown' then 2 when 'canceled' then 3 when 'received' then 4
    when 'sent' then 5 when 'failed' then 6 when 'delivered' then 7 when 'read' then 8 when 'played' then 9
    else -1 end)";

#[cfg(test)]
mod tests {
    use providers::DeliveryStatus;

    #[test]
    fn the_rank_in_sql_is_the_rank_in_code() {
        for status in DeliveryStatus::ALL {
            let case = format!("when '{}' then {} ", status.word(), status.rank());
            let sql = super::RANK_OF_STATUS.replace('\n', " ");
            assert!(sql.contains(&case), "{case}");
        }
    }
}
