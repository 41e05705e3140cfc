//! The files of a message: listed, described, fetched and deleted.
//! <https://www.twilio.com/docs/messaging/api/media-resource>

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::errors::fail;
use super::list;
use super::read::{self, Message};
use crate::clock::Timestamp;
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::journal::Accepted;
use crate::sandbox::world::World;

/// A file of a message.
struct Medium {
    sid: String,
    content_type: String,
    at: Timestamp,
    /// Where it lies: on a host that must not see the credentials.
    location: String,
}

/// Everything below a message.
pub(super) fn answer(
    world: &World,
    account: &SandboxAccount,
    sid: &str,
    path: &[&str],
    request: &Request,
) -> Handled {
    let message = read::find(world, account, sid)?;
    let all = media(world, &message);
    let one = |id: &str| all.iter().find(|medium| medium.sid == id).ok_or_else(|| fail(20_404));
    match (request.method.as_str(), path) {
        ("GET", ["Media.json"]) => {
            let query = request.query();
            let days = list::days(&query, "DateCreated")?;
            let fits = |medium: &&Medium| days.iter().all(|day| day.holds(medium.at));
            let found: Vec<&Medium> = all.iter().filter(fits).collect();
            let ids: Vec<&str> = found.iter().map(|medium| medium.sid.as_str()).collect();
            let names = ["DateCreated", "DateCreated<", "DateCreated>"];
            list::page(request, "media_list", &names, &ids, |index| {
                view(account, sid, found[index])
            })
        }
        ("GET", ["Media", medium]) => match medium.strip_suffix(".json") {
            Some(id) => Ok(Answer::json(200, &view(account, sid, one(id)?))),
            None => Ok(Answer::empty(307).with("location", &one(medium)?.location)),
        },
        ("DELETE", ["Media", medium]) => {
            delete(world, &message, &one(medium.trim_end_matches(".json"))?.sid);
            Ok(Answer::empty(204))
        }
        _ => Err(fail(20_404)),
    }
}

fn media(world: &World, message: &Message) -> Vec<Medium> {
    match message {
        Message::Sent(message) => sent(message),
        Message::Heard(heard) => {
            let files = world.files();
            let medium = |id: &String| {
                let file = files.get(id)?;
                Some(Medium {
                    sid: id.clone(),
                    content_type: file.mime_type.clone(),
                    at: heard.at,
                    location: format!("{}/files/twilio/{id}", world.cdn()),
                })
            };
            heard.files.iter().filter_map(medium).collect()
        }
    }
}

/// The files that a message of ours links to. Twilio hands out copies; here they are where they came from.
fn sent(message: &Accepted) -> Vec<Medium> {
    message.with(|seen| {
        let medium = |link: &str| Medium {
            sid: sid(&seen.id, link),
            content_type: content_type(link).to_owned(),
            at: seen.at,
            location: link.to_owned(),
        };
        read::links(seen).into_iter().map(medium).collect()
    })
}

/// One link of one message has one id.
fn sid(message: &str, link: &str) -> String {
    let digest = Sha256::new().chain_update(message).chain_update(link).finalize();
    format!("ME{}", hex::encode(&digest[..16]))
}

fn content_type(link: &str) -> &'static str {
    let path = link.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "png" => "image/png",
        "gif" => "image/gif",
        "mp4" => "video/mp4",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "pdf" => "application/pdf",
        "vcf" => "text/vcard",
        _ => "image/jpeg",
    }
}

fn view(account: &SandboxAccount, message: &str, medium: &Medium) -> Value {
    let uri = read::uri(account.name(), message);
    json!({
        "sid": medium.sid,
        "account_sid": account.name(),
        "parent_sid": message,
        "content_type": medium.content_type,
        "date_created": read::rfc2822(medium.at),
        "date_updated": read::rfc2822(medium.at),
        "uri": format!("{uri}/Media/{}.json", medium.sid),
    })
}

fn delete(world: &World, message: &Message, id: &str) {
    match message {
        Message::Sent(message) => message.with(|seen| {
            let owner = seen.id.clone();
            let gone = |url: &Value| url.as_str().is_some_and(|link| sid(&owner, link) == id);
            match &mut seen.body["MediaUrl"] {
                Value::Array(urls) => urls.retain(|url| !gone(url)),
                url if gone(url) => *url = Value::Null,
                _ => {}
            }
        }),
        Message::Heard(heard) => {
            world.files().remove(id);
            world.heard().change(&heard.id, |heard| heard.files.retain(|file| file != id));
        }
    }
}
