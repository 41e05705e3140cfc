//! Nobody's words disappear: whatever kind of message a provider invents, and whatever it leaves out of a kind that we know, as
//! long as it can be told which message it is and who is at the other end, there is that message, with the words that stand in
//! it.

use providers::{Content, EventKind, Message, outside};
use serde_json::{Map, Value, json};

use crate::fixtures::{self, Fixture};

/// Members that hold words in what every provider sends.
const WORDS: [&str; 6] = ["body", "text", "caption", "title", "formatted_name", "conversation"];

/// Members beside what a message says: they tell which message it is, whose, and what surrounds it.
const BESIDE: [&str; 30] = [
    "_data",
    "ack",
    "ackName",
    "author",
    "context",
    "contextInfo",
    "errors",
    "from",
    "fromMe",
    "from_parent_user_id",
    "from_user_id",
    "group_id",
    "hasMedia",
    "history_context",
    "id",
    "identity",
    "messageContextInfo",
    "participant",
    "quotedMessage",
    "referral",
    "replyTo",
    "source",
    "timestamp",
    "to",
    "to_parent_user_id",
    "to_user_id",
    "type",
    "edit",
    "revoke",
    "base64",
];

/// A message in a webhook: where what it says stands, and where the word for its kind.
struct Told {
    content: String,
    kind: Option<String>,
}

fn messages(fixture: &Fixture) -> Vec<Message> {
    let events = fixture.batch().events;
    let message = |kind: EventKind| match kind {
        EventKind::Message(message) => Some(*message),
        _ => None,
    };
    events.into_iter().filter_map(|event| message(event.kind)).collect()
}

/// Where a message stands in the JSON of its provider.
fn place(provider: &str, body: &Value, message: &Message) -> Option<Told> {
    let told = |content: &str, kind: &str| {
        let is_there = body.pointer(content).is_some_and(Value::is_object);
        let kind = Some(kind.to_owned()).filter(|kind| body.pointer(kind).is_some());
        is_there.then(|| Told { content: content.to_owned(), kind })
    };
    match provider {
        "meta" => {
            let at = find(body, &message.reference.0, &mut String::new())?;
            told(&at, &format!("{at}/type"))
        }
        "telnyx" => told("/data/payload/body", "/data/payload/body/type"),
        // The envelope of a vote stands inside it.
        "waha" if body.pointer("/payload/id").is_none() => None,
        "waha" => told("/payload", "/payload/_data/type"),
        "evolution" => told("/data/message", "/data/messageType"),
        _ => None,
    }
}

fn find(value: &Value, id: &str, at: &mut String) -> Option<String> {
    let length = at.len();
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(members)
            if members.get("id") == Some(&json!(id)) && members.contains_key("timestamp") =>
        {
            return Some(at.clone());
        }
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect()
        }
        _ => return None,
    };
    inside.into_iter().find_map(|(name, value)| {
        at.truncate(length);
        at.push('/');
        at.push_str(&name);
        find(value, id, at)
    })
}

/// Every way in which the message is made one that we do not know, with the words that are left in it.
fn garbled(provider: &str, body: &Value, told: &Told) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let kind = told.kind.as_deref();
    let mut add = |what: String, change: &dyn Fn(&mut Value)| {
        let mut changed = body.clone();
        change(&mut changed);
        all.push((what, changed));
    };
    let rename_kind = |body: &mut Value| {
        if let Some(word) = kind.and_then(|kind| body.pointer_mut(kind)) {
            *word = json!(format!("{}_v2", word.as_str().unwrap_or_default()));
        }
    };
    let members = |body: &mut Value| {
        body.pointer_mut(&told.content).unwrap().as_object_mut().unwrap().clone()
    };
    let content = members(&mut body.clone());
    let set = |body: &mut Value, members: Map<String, Value>| {
        *body.pointer_mut(&told.content).unwrap() = Value::Object(members);
    };
    add("its kind is another".to_owned(), &rename_kind);
    let blocks = content.iter().filter(|(name, value)| {
        !BESIDE.contains(&name.as_str()) && (value.is_object() || value.is_array())
    });
    for (name, block) in blocks {
        add(format!("`{name}` is called otherwise"), &|body| {
            let mut members = content.clone();
            let block = members.remove(name).unwrap();
            members.insert(format!("{name}_v2"), block);
            set(body, members);
            // Evolution names the member as the kind.
            if provider == "evolution" {
                rename_kind(body);
            }
        });
        add(format!("`{name}` is in another member"), &|body| {
            let mut members = content.clone();
            let block = members.remove(name).unwrap();
            members.insert("novelty".to_owned(), json!({ "inside": [block], "n": 7 }));
            set(body, members);
            rename_kind(body);
        });
        let Value::Object(inside) = block else { continue };
        add(format!("`{name}` has more"), &|body| {
            let mut members = content.clone();
            members[name]["novelty"] = json!({ "n": [null, 7, true] });
            set(body, members);
        });
        for member in
            inside.keys().filter(|member| !BESIDE.contains(&member.as_str()) || *member == "id")
        {
            add(format!("`{name}.{member}` is missing"), &|body| {
                let mut members = content.clone();
                members[name].as_object_mut().unwrap().remove(member);
                set(body, members);
            });
        }
    }
    all
}

/// The words that stand in what a message says.
fn words(value: &Value, name: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| !BESIDE.contains(&name.as_str()))
            {
                words(value, name, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| words(item, name, found)),
        Value::String(text) if WORDS.contains(&name) && !text.trim().is_empty() => {
            found.push(text.clone());
        }
        _ => {}
    }
}

/// Every text in a message's content, in one.
fn said(content: &Content) -> String {
    fn texts(value: &Value, all: &mut String) {
        match value {
            Value::Object(members) => members.values().for_each(|value| texts(value, all)),
            Value::Array(items) => items.iter().for_each(|value| texts(value, all)),
            Value::String(text) => {
                all.push_str(text);
                all.push('\n');
            }
            _ => {}
        }
    }
    let mut all = String::new();
    texts(&serde_json::to_value(content).unwrap(), &mut all);
    all
}

fn judge(
    fixture: &Fixture,
    message: &Message,
    what: &str,
    request: http::Request<bytes::Bytes>,
    expected: &[String],
) {
    let name = format!("{}/{}: {what}", fixture.provider.name, fixture.name);
    let batch = fixture.receive(fixture.sign(request)).unwrap();
    let read: Vec<_> = batch
        .events
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Message(read) if read.reference == message.reference => Some(read),
            _ => None,
        })
        .collect();
    assert!(!read.is_empty(), "{name}: the message is lost: {:?}", batch.unparsed);
    for read in read {
        // What a card says of its sender is told by nothing else; the sender's first address stands outside it.
        assert_eq!(read.party.addresses.first(), message.party.addresses.first(), "{name}");
        assert_eq!(read.direction, message.direction, "{name}");
        let mut said = said(&read.content);
        said.extend(read.context.parts.iter().map(|parts| serde_json::to_string(parts).unwrap()));
        for word in expected {
            assert!(
                said.contains(&*outside::clean(word)),
                "{name}: {word:?} is lost: {:?}",
                read.content
            );
        }
    }
}

#[test]
fn kept_whatever_kind_a_message_is_it_is_there_with_its_words() {
    let mut count = 0;
    for fixture in fixtures::all() {
        let Ok(body) = serde_json::from_slice::<Value>(fixture.unsigned.body()) else { continue };
        // What WhatsApp itself says of a person is nobody's words, and may name them inside only.
        let written = |message: &Message| !matches!(message.content, Content::System { .. });
        for message in messages(&fixture).into_iter().filter(written) {
            let Some(told) = place(fixture.provider.name, &body, &message) else { continue };
            for (what, changed) in garbled(fixture.provider.name, &body, &told) {
                let mut expected = Vec::new();
                words(changed.pointer(&told.content).unwrap(), "", &mut expected);
                let bytes = serde_json::to_vec(&changed).unwrap();
                judge(
                    &fixture,
                    &message,
                    &what,
                    fixture.unsigned.clone().map(|_| bytes.into()),
                    &expected,
                );
                count += 1;
            }
        }
    }
    assert!(count > 400, "only {count} messages were made unknown");
}

/// The same of Twilio's flat parameters.
#[test]
fn kept_whatever_parameters_are_missing_the_message_is_there_with_its_words() {
    const SAYING: [&str; 5] = ["Body", "ButtonText", "ListTitle", "Label", "Address"];
    const BESIDE: [&str; 9] = [
        "MessageSid",
        "SmsSid",
        "SmsMessageSid",
        "From",
        "To",
        "WaId",
        "ExternalUserId",
        "NumMedia",
        "SmsStatus",
    ];
    let mut count = 0;
    for fixture in fixtures::of(&providers::twilio::PROVIDER) {
        if fixture.unsigned.method() == http::Method::GET {
            continue;
        }
        let parse = |body: &[u8]| -> Vec<(String, String)> {
            url::form_urlencoded::parse(body).into_owned().collect()
        };
        let fields = parse(fixture.unsigned.body());
        for message in messages(&fixture) {
            let mut changes = vec![("its kind is another".to_owned(), fields.clone())];
            for field in changes[0].1.iter_mut().filter(|(name, _)| name == "MessageType") {
                field.1 = "hologram".to_owned();
            }
            for (name, _) in
                fields.iter().filter(|(name, _)| !BESIDE.contains(&name.as_str()) && name != "Body")
            {
                let rest = fields.iter().filter(|(other, _)| other != name).cloned().collect();
                changes.push((format!("`{name}` is missing"), rest));
            }
            for (what, fields) in changes {
                let saying = fields.iter().filter(|(name, value)| {
                    // Twilio's word for a request is none of the person's.
                    let is_said = !value.trim().is_empty() && value != "VOICE_CALL_REQUEST";
                    SAYING.contains(&name.as_str()) && is_said
                });
                let expected: Vec<String> = saying.map(|(_, value)| value.clone()).collect();
                let body = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(&fields)
                    .finish();
                judge(
                    &fixture,
                    &message,
                    &what,
                    fixture.unsigned.clone().map(|_| body.into()),
                    &expected,
                );
                count += 1;
            }
        }
    }
    assert!(count > 100, "only {count}");
}
