//! Who sends: a number of an account, a name, or any number of a messaging profile's pool.

use std::sync::Arc;

use serde_json::Value;

use super::errors::fail;
use super::profiles;
use crate::sandbox::accounts::{SandboxAccount, digits, is_e164, is_sender_name};
use crate::sandbox::exchange::Answer;

/// An account and the number or name that it sends from.
pub(super) type Sender = (Arc<SandboxAccount>, String);

/// The numbers of an account's pool.
pub(super) fn pool(account: &SandboxAccount) -> impl Iterator<Item = &str> {
    let numbers = account.routes.iter().filter(|route| route.channel == "sms");
    numbers.map(|route| route.address.as_str()).filter(|number| is_e164(number))
}

/// `from`, or else a number of the profile's pool.
pub(super) fn of(
    accounts: &[Arc<SandboxAccount>],
    body: &Value,
    to: &str,
) -> Result<Sender, Answer> {
    let profile = body["messaging_profile_id"].as_str();
    if let Some(from) = body["from"].as_str() {
        // A name is no number of anybody's: the profile says who sends.
        let named = is_sender_name(from) && profile.is_some();
        let owns = |account: &&Arc<SandboxAccount>| named || account.line("sms", from).is_some();
        let mut owners = accounts.iter().filter(|account| has(account, profile));
        let owner = owners.find(owns).ok_or_else(|| {
            let detail = "The 'from' address is not a number of the messaging profile.";
            fail("40305", Some("/from"), detail)
        })?;
        return Ok((Arc::clone(owner), from.to_owned()));
    }
    if profile.is_none() {
        let detail = "Either 'from' or 'messaging_profile_id' is required.";
        return Err(fail("10004", Some("/from"), detail));
    }
    of_pool(accounts, body, to)
}

fn has(account: &SandboxAccount, profile: Option<&str>) -> bool {
    profile.is_none_or(|profile| profiles(account).contains(&profile))
}

/// A number of the pool of `messaging_profile_id`: always the same for one recipient.
pub(super) fn of_pool(
    accounts: &[Arc<SandboxAccount>],
    body: &Value,
    to: &str,
) -> Result<Sender, Answer> {
    let profile = body["messaging_profile_id"].as_str().ok_or_else(|| {
        let detail = "The 'messaging_profile_id' parameter is required.";
        fail("10004", Some("/messaging_profile_id"), detail)
    })?;
    let account = accounts.iter().find(|account| has(account, Some(profile))).ok_or_else(|| {
        let detail = "The messaging profile does not exist.";
        fail("10015", Some("/messaging_profile_id"), detail)
    })?;
    let numbers: Vec<&str> = pool(account).collect();
    let place = digits(to).bytes().map(usize::from).sum::<usize>() % numbers.len().max(1);
    let number = numbers.get(place).ok_or_else(|| {
        fail("40321", Some("/messaging_profile_id"), "The messaging profile has no usable number.")
    })?;
    Ok((Arc::clone(account), (*number).to_owned()))
}
