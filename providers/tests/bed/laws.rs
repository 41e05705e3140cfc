//! The laws that hold for every provider, so that a new one is judged by the same measure.

use bytes::Bytes;
use providers::{Batch, EventKey, Inbound, PROVIDERS, Proof, Secret};
use serde_json::Value;

use crate::fixtures::{self, ENOUGH, Fixture, now};

/// Headers by which the providers sign.
pub const SIGNATURE_HEADERS: [&str; 7] = [
    "x-hub-signature-256",
    "x-twilio-signature",
    "x-twilio-webhooks-signature-settings",
    "telnyx-signature-ed25519",
    "telnyx-timestamp",
    "x-webhook-hmac",
    "authorization",
];

/// Arrays whose elements are items of their own, each of which may be broken alone.
const ITEM_LISTS: [&str; 9] = [
    "entry",
    "changes",
    "messages",
    "statuses",
    "message_echoes",
    "calls",
    "history",
    "threads",
    "state_sync",
];

/// Every fixture in every way in which its provider may sign it.
pub fn signed_fixtures() -> impl Iterator<Item = Fixture> {
    let fixtures = fixtures::all().into_iter().filter(|fixture| !fixture.is_challenge());
    fixtures.flat_map(|fixture| {
        let shared = fixture.with_shared_key();
        std::iter::once(fixture).chain(shared)
    })
}

pub fn assert_rejected(fixture: &Fixture, request: http::Request<Bytes>, what: &str) {
    let verdict = fixture.receive(request);
    assert!(verdict.is_err(), "{}/{}: {what}", fixture.provider.name, fixture.name);
}

#[test]
fn forged_every_changed_byte_of_a_signature_is_rejected() {
    for fixture in signed_fixtures() {
        let signed = fixture.signed();
        for name in SIGNATURE_HEADERS {
            let Some(value) = signed.headers().get(name) else {
                continue;
            };
            for index in 0..value.len() {
                let mut bytes = value.as_bytes().to_vec();
                bytes[index] = if bytes[index] == b'1' { b'2' } else { b'1' };
                let mut forged = signed.clone();
                let value = http::HeaderValue::from_bytes(&bytes).unwrap();
                forged.headers_mut().insert(name, value);
                assert_rejected(&fixture, forged, &format!("byte {index} of {name} was changed"));
            }
            let mut without = signed.clone();
            without.headers_mut().remove(name);
            assert_rejected(&fixture, without, &format!("{name} was taken away"));
            let mut twice = signed.clone();
            twice.headers_mut().append(name, signed.headers()[name].clone());
            assert_rejected(&fixture, twice, &format!("{name} was given twice"));
        }
    }
}

#[test]
fn forged_a_changed_body_is_rejected() {
    let signs = |fixture: &Fixture| fixture.provider.proof == Proof::Request;
    for fixture in signed_fixtures().filter(signs) {
        let signed = fixture.signed();
        let body = signed.body().clone();
        let assert_noticed = |bytes: Vec<u8>, what: &str| {
            if !is_same_signed_form(&signed, &bytes) {
                assert_rejected(&fixture, signed.clone().map(|_| bytes.into()), what);
            }
        };
        for index in (0..body.len()).step_by(1 + body.len() / 97) {
            let mut bytes = body.to_vec();
            bytes[index] ^= 0x01;
            assert_noticed(bytes, "the body was changed");
        }
        if !body.is_empty() {
            assert_noticed(body[..body.len() - 1].to_vec(), "the body was cut");
            // A blank after a form's last value is part of that value; after JSON it is part of the bytes.
            assert_noticed([&body[..], b" "].concat(), "the body was lengthened");
        }
    }
}

/// What a provider says of its proof is the truth: where it covers the sender alone, a changed body is believed. Whoever
/// mends that must say so, and then the law above holds for that provider, too.
#[test]
fn forged_a_proof_of_the_sender_alone_covers_no_body() {
    let proves_sender = |fixture: &Fixture| fixture.provider.proof == Proof::Sender;
    for fixture in signed_fixtures().filter(proves_sender) {
        let changed = fixture.signed().map(|_| Bytes::from_static(b"{\"changed\":true}"));
        let mut without = changed.clone();
        assert!(fixture.receive(changed).is_ok(), "{}", fixture.name);
        for name in SIGNATURE_HEADERS {
            without.headers_mut().remove(name);
        }
        assert_rejected(&fixture, without, "nothing proves it");
    }
    assert!(PROVIDERS.iter().any(|provider| provider.proof == Proof::Sender));
}

/// Twilio signs what a form says, not how it is written: `%2b` and `%2B` are the same form. Its body was changed only if it
/// decodes to other fields, or no longer is a form of fields with plain names. What decodes to a replacement character counts as changed, since
/// different bytes are replaced by it.
fn is_same_signed_form(signed: &http::Request<Bytes>, bytes: &[u8]) -> bool {
    let kind = signed.headers().get("content-type");
    let is_form = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form"));
    let fields = |bytes: &[u8]| -> Vec<(String, String)> {
        let fields = url::form_urlencoded::parse(bytes);
        fields.into_owned().collect()
    };
    let decoded = fields(bytes);
    let is_plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let is_form = is_form
        && decoded.iter().all(|(name, _)| is_plain(name))
        && bytes.split(|byte| *byte == b'&').all(|field| field.contains(&b'='));
    let is_exact = !decoded
        .iter()
        .any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}'));
    signed.headers().contains_key("x-twilio-signature")
        && is_form
        && is_exact
        && decoded == fields(signed.body())
}

#[test]
fn forged_the_signature_of_another_account_is_rejected() {
    for fixture in signed_fixtures() {
        let secret =
            Secret::from("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
        let foreign = (fixture.provider.sign)(&secret, now(), fixture.unsigned.clone());
        assert_rejected(&fixture, foreign, "it was signed by somebody else");
        assert_rejected(&fixture, fixture.unsigned.clone(), "it was not signed");
    }
}

#[test]
fn twice_the_same_request_gives_the_same_keys() {
    let keys = |batch: Batch| -> Vec<EventKey> {
        batch.events.into_iter().map(|event| event.key).collect()
    };
    for fixture in fixtures::all() {
        let later = now() + chrono::TimeDelta::seconds(90);
        let again = fixture.receive_at(fixture.signed(), later).unwrap();
        assert_eq!(keys(fixture.batch()), keys(again), "{}", fixture.name);
    }
}

#[test]
fn twice_one_key_stands_for_one_thing() {
    for fixture in fixtures::all() {
        let events = fixture.batch().events;
        for event in &events {
            let namesakes = events.iter().filter(|other| other.key == event.key);
            for other in namesakes {
                assert_eq!(event, other, "{}: {:?}", fixture.name, event.key);
            }
        }
    }
}

#[test]
fn isolated_a_broken_neighbour_harms_no_item() {
    for fixture in fixtures::all() {
        let Ok(body) = serde_json::from_slice::<Value>(fixture.unsigned.body()) else {
            continue;
        };
        // A webhook of WAHA is one item; its `statuses` are what a session's one status came after.
        if fixture.provider.name == "waha" {
            continue;
        }
        let mut lists = Vec::new();
        find_lists(&body, &mut String::new(), &mut lists);
        for pointer in lists {
            let mut spoiled = body.clone();
            let list = spoiled.pointer_mut(&pointer).unwrap().as_array_mut().unwrap();
            list.insert(0, Value::from(17));
            list.push(serde_json::json!({ "type": [] }));
            let bytes = serde_json::to_vec(&spoiled).unwrap();
            let request = fixture.sign(fixture.unsigned.clone().map(|_| bytes.into()));
            let batch = fixture.receive(request).unwrap();
            for event in fixture.batch().events {
                // What is keyed by a digest of its surroundings changes with them.
                let kept = batch.events.iter().any(|other| other.kind == event.kind)
                    || event.key.0.starts_with("history:")
                    || batch.events.iter().any(|other| other.key == event.key);
                assert!(
                    kept,
                    "{}: {:?} was lost beside a broken {pointer}",
                    fixture.name, event.key
                );
            }
            // What is of no concern to us is not read at all, so nothing in it can be unreadable.
            let is_read = !fixture.name.starts_with("nameless-");
            assert_eq!(!batch.unparsed.is_empty(), is_read, "{}: {pointer}", fixture.name);
        }
    }
}

fn find_lists(value: &Value, pointer: &mut String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let length = pointer.len();
                pointer.push('/');
                pointer.push_str(name);
                if member.is_array() && ITEM_LISTS.contains(&name.as_str()) {
                    found.push(pointer.clone());
                }
                find_lists(member, pointer, found);
                pointer.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let length = pointer.len();
                pointer.push('/');
                pointer.push_str(&index.to_string());
                find_lists(item, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

#[test]
fn quiet_no_secret_is_shown() {
    for provider in PROVIDERS {
        for account in fixtures::accounts(provider) {
            let opened = format!("{:?}", account.open(provider));
            let public = |name: &str| !provider.fields.iter().any(|f| f.name == name && f.secret);
            for (name, value) in &account.secrets {
                assert!(!public(name), "{}: {name} must be a secret field", provider.name);
                let about_keys = name == "public_key";
                assert!(about_keys || !opened.contains(value.as_str()), "{name} is shown");
            }
        }
    }
    for fixture in signed_fixtures() {
        let expected = fixtures::folder(fixture.provider).join("expected");
        let snapshot = expected.join(&fixture.name).with_extension("snap");
        let snapshot = std::fs::read_to_string(snapshot).unwrap();
        let shown = format!("{snapshot}{:?}", fixture.batch());
        for secret in fixture.account.secrets.values().chain([&fixture.account.signing_secret]) {
            assert!(!shown.contains(secret.as_str()), "{} shows a secret", fixture.name);
        }
    }
}

#[test]
fn classes_every_documented_code_means_what_the_table_says() {
    for provider in PROVIDERS {
        let table = crate::codes::classes(provider);
        let kinds: std::collections::BTreeSet<&String> = table.values().collect();
        assert!(kinds.len() >= 4, "{}: the table is too small", provider.name);
        for (code, class) in &table {
            let given = (provider.class_of)(code).name();
            assert_eq!(given, class, "{}: code {code}", provider.name);
        }
        for odd in ["", " ", "-1", "99999999999999999999", "E\u{0}", "0x7f", "1e3"] {
            assert_eq!((provider.class_of)(odd).name(), "permanent:message", "{odd:?}");
        }
    }
}

#[test]
fn bounded_huge_and_nested_bodies_are_kept_whole_and_quickly() {
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(200_000), close.repeat(200_000));
    let bodies = [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!("{{\"object\":\"whatsapp_business_account\",\"entry\":{}}}", deep("[", "]")),
        format!("{{\"data\":{}}}", deep("{\"payload\":", "}")),
        format!("{{\"entry\":[{}17]}}", "17,".repeat(500_000)),
        "a=1&".repeat(200_000),
        "%".repeat(1_000_000),
        "\u{fffd}".repeat(300_000),
    ];
    for provider in PROVIDERS {
        let fixture = signed_fixtures().find(|f| f.provider.name == provider.name).unwrap();
        for body in &bodies {
            let request = fixture.unsigned.clone().map(|_| Bytes::from(body.clone()));
            match fixture.receive(fixture.sign(request)) {
                Ok(batch) => assert!(batch.events.len() <= 1 && batch.reply.body.len() < 1_000),
                // Of a provider that signs sorted fields, more than it ever sends are not even sorted, and what is no field
                // is none of its.
                Err(rejection) => {
                    let is_none = body.split('&').any(|field| !field.contains('='));
                    let is_odd = body.matches('&').count() > 1_000 || is_none;
                    assert!(provider.name == "twilio" && is_odd, "{}: {rejection}", provider.name);
                }
            }
            (provider.claims)(&fixture.unsigned.clone().map(|_| Bytes::from(body.clone())));
        }
    }
}

#[test]
fn complete_every_provider_has_enough_to_show() {
    for provider in PROVIDERS {
        let fixtures = fixtures::of(provider);
        assert!(fixtures.len() >= ENOUGH, "{}: {} fixtures", provider.name, fixtures.len());
        let unreadable = fixtures.iter().filter(|f| f.name.starts_with("unreadable-")).count();
        assert!(unreadable >= 2, "{}: too few unreadable fixtures", provider.name);
        for fixture in &fixtures {
            let batch = fixture.batch();
            let expected = fixture.name.starts_with("unreadable-");
            assert_eq!(!batch.unparsed.is_empty(), expected, "{}/{}", provider.name, fixture.name);
            assert!(
                fixture.is_challenge()
                    || !(provider.claims)(&fixture.unsigned).is_empty()
                    || fixture.name.starts_with("unreadable-")
                    || fixture.name.starts_with("nameless-"),
                "{}/{}: it names no line of ours",
                provider.name,
                fixture.name
            );
        }
        for field in provider.fields {
            assert!(
                field.about.ends_with('.'),
                "{}: {} is not explained",
                provider.name,
                field.name
            );
        }
        let account = fixtures::accounts(provider).remove(0).open(provider);
        assert!(account.webhooks().is_some_and(|webhooks| !webhooks.keys().is_empty()));
    }
}

#[test]
fn complete_a_kept_request_is_read_without_its_signature() {
    for fixture in signed_fixtures() {
        let account = fixture.account.open(fixture.provider);
        let kept = Inbound::Kept { at: now(), request: fixture.unsigned.clone() };
        let batch = account.webhooks().unwrap().receive(&kept).unwrap();
        assert_eq!(batch.events, fixture.batch().events, "{}", fixture.name);
    }
}

#[test]
fn complete_halves_that_rotate_together_name_each_other() {
    for provider in PROVIDERS {
        for field in provider.fields {
            let Some(name) = field.rotates_with else { continue };
            let other = provider.fields.iter().find(|other| other.name == name).unwrap();
            assert_eq!(other.rotates_with, Some(field.name), "{}", provider.name);
            assert!(field.rotates && field.secret, "{}: {}", provider.name, field.name);
        }
    }
}
