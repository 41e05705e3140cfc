//! A message's key: whose message, in which chat, and who is at the other end.

use super::webhook::Unreadable;
use super::wire::Key;
use crate::bridge::jids::{self, Chat};
use crate::lenient::Maybe;
use crate::{Address, MessageRef};

/// What a key says.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ours: bool,
    pub(super) reference: MessageRef,
    pub(super) chat: Chat,
    /// The other side's addresses; in groups, the author's.
    pub(super) people: Vec<Address>,
}

impl Place {
    /// `None` for what was written in public: status updates, broadcasts, newsletters.
    pub(super) fn read(key: &Key) -> Result<Option<Self>, Unreadable> {
        let id = key.id.get().map(str::trim).filter(|id| jids::is_bare_id(id));
        let id = id.ok_or_else(|| Unreadable("`key.id` is missing or no id".to_owned()))?;
        let jids = [key.remote_jid.get(), key.remote_jid_alt.get()];
        let mut jids = jids.into_iter().flatten();
        let missing = || Unreadable("the message names no chat".to_owned());
        let jid = jids.clone().next().ok_or_else(missing)?;
        let chat = jids
            .find_map(Chat::read)
            .ok_or_else(|| Unreadable(format!("the chat `{jid}` is of an unknown kind")))?;
        let ours = key.from_me.unwrap_or_default();
        let named: Vec<&Maybe> = match &chat {
            Chat::Public => return Ok(None),
            // Nobody is the other end of what we write to a group.
            Chat::Group(_) if ours => Vec::new(),
            Chat::Group(_) => {
                let others = [&key.participant_alt, &key.participant_pn, &key.participant_lid];
                [&key.participant].into_iter().chain(others).collect()
            }
            Chat::Person(_) => {
                // These two name the author, who is us in what we wrote.
                let author = [&key.sender_pn, &key.sender_lid].into_iter().filter(|_| !ours);
                [&key.remote_jid, &key.remote_jid_alt].into_iter().chain(author).collect()
            }
        };
        let named = named.into_iter().filter_map(|jid| jid.get().and_then(jids::person));
        let people = jids::sorted(named);
        Ok(Some(Self { ours, reference: jids::reference(ours, id), chat, people }))
    }

    pub(super) fn group_id(&self) -> Option<String> {
        match &self.chat {
            Chat::Group(id) => Some(id.clone()),
            _ => None,
        }
    }
}
