//! Changes of what proves a request: signatures, their headers, the keys they are made with, and times.

use bytes::Bytes;
use chrono::TimeDelta;
use http::{HeaderName, HeaderValue, Request};
use providers::Secret;
use switchboard::clock::Timestamp;
use switchboard::sandbox;

use super::changes::Change;
use super::origin::{Origin, bearer, token, token_claims};
use crate::hostile::dice::Dice;
use crate::support::beginning;

pub const PROOFS: [(&str, Change); 6] = [
    ("the proof's text", text),
    ("the proof's text", text),
    ("the proof's header", header),
    ("the proof of another", of_another),
    ("another key", another_key),
    ("the timestamp", timestamp),
];

/// A secret that no account has, in a form in which each provider could have it.
const STRANGERS: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The headers that prove a provider's requests.
fn headers(provider: &str) -> &'static [&'static str] {
    match provider {
        "meta" => &["x-hub-signature-256"],
        "twilio" => &["x-twilio-signature", "x-twilio-webhooks-signature-settings"],
        "telnyx" => &["telnyx-signature-ed25519", "telnyx-timestamp"],
        "waha" => &["x-webhook-hmac", "x-webhook-hmac-algorithm"],
        "evolution" => &["authorization"],
        other => panic!("{other}: say here which headers prove its requests"),
    }
}

fn one_header(dice: &mut Dice, origin: &Origin) -> HeaderName {
    HeaderName::from_static(dice.choose(headers(origin.provider.name)))
}

fn text(dice: &mut Dice, origin: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let name = one_header(dice, origin);
    let Some(value) = request.headers().get(&name) else { return };
    let text = value.to_str().unwrap_or_default().to_owned();
    let at = dice.below(text.len());
    let (before, after) = text.split_at(at);
    let changed = match dice.below(20) {
        0 | 1 => before.to_owned(),
        2 => after.to_owned(),
        3 | 4 => format!(
            "{before}{}{}",
            dice.choose(&["0", "a", "Z", "="]),
            after.get(1..).unwrap_or_default()
        ),
        5 => format!("{text}{}", dice.choose(&["0", "=", "==", "A", "00", ","])),
        6 => text.to_ascii_uppercase(),
        7 => text.to_ascii_lowercase(),
        8 => String::new(),
        9 => format!("{text},{text}"),
        10 => format!("{} {text}", dice.choose(&["Bearer", "Basic", "v1", "sha256"])),
        11 => text.replace(
            "sha256=",
            dice.choose(&["sha1=", "sha512=", "SHA256=", "", "sha256=sha256="]),
        ),
        12 => text.replace("sha512", dice.choose(&["sha256", "none", "SHA512", ""])),
        13 => text.replace('+', "-").replace('/', "_"),
        14 => text.trim_end_matches('=').to_owned(),
        15 => format!("\"{text}\""),
        16 => dice.choose(&[" ", "\t"]).to_owned() + &text + dice.choose(&["", " "]),
        17 => text.chars().map(|one| if one.is_ascii_alphanumeric() { '0' } else { one }).collect(),
        18 => text.chars().rev().collect(),
        _ => not_canonical(&text),
    };
    if let Ok(value) = HeaderValue::from_str(&changed) {
        request.headers_mut().insert(name, value);
    }
}

/// Another text for the same bytes, as a lenient reader of base64 would have it: bits that mean nothing are set.
fn not_canonical(text: &str) -> String {
    let digits = text.trim_end_matches('=');
    let (Some(last), true) = (digits.chars().last(), digits.len() < text.len()) else {
        return format!("{text}\u{20}");
    };
    let next = char::from_u32(u32::from(last) + 1).unwrap_or('A');
    format!("{}{next}{}", &digits[..digits.len() - 1], &text[digits.len()..])
}

fn header(dice: &mut Dice, origin: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let name = one_header(dice, origin);
    let value = request.headers().get(&name).cloned();
    let headers = request.headers_mut();
    match (dice.below(5), value) {
        (0 | 1, _) => drop(headers.remove(name)),
        (2, Some(value)) => drop(headers.append(name, value)),
        (3, Some(value)) => {
            headers.insert(&name, HeaderValue::from_static("0"));
            headers.append(name, value);
        }
        (4, Some(value)) => {
            headers.remove(name);
            headers.insert(dice.choose(&["x-hub-signature", "x-signature", "x-api-key"]), value);
        }
        _ => {
            // A key that the account does not have, or has and did not sign with.
            let settings =
                HeaderValue::from_static("key=webhooks_sharedkey_other,algorithm=HMAC_SHA256");
            headers.insert(name, settings);
        }
    }
}

fn of_another(dice: &mut Dice, origin: &Origin, all: &[Origin], request: &mut Request<Bytes>) {
    let other = dice.pick(all);
    for name in headers(origin.provider.name) {
        let name = HeaderName::from_static(name);
        match other.genuine.headers().get(&name) {
            Some(value) => drop(request.headers_mut().insert(name, value.clone())),
            None => drop(request.headers_mut().remove(name)),
        }
        if dice.once_in(3) {
            break;
        }
    }
}

/// Signs it as somebody does who does not have the key.
fn another_key(dice: &mut Dice, origin: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let own = origin.account.signing_secret.as_str();
    let accounts = sandbox::accounts(origin.provider);
    let others = accounts.iter().map(|account| account.signing_secret.as_str());
    let published = origin.account.secrets.get("public_key").map_or("", String::as_str);
    let mut keys: Vec<&str> = others.filter(|secret| *secret != own).collect();
    keys.extend([STRANGERS, "", published, " ", &own[1..]]);
    let key = dice.choose(&keys);
    if origin.provider.name == "evolution" && dice.once_in(2) {
        let claims = token_claims(beginning());
        let head = dice.choose(&[
            "{\"alg\":\"HS256\"}",
            "{\"alg\":\"none\"}",
            "{\"alg\":\"HS512\"}",
            "{}",
        ]);
        let made = token(head, &claims, key);
        let unsigned = made.rsplit_once('.').unwrap().0.to_owned() + ".";
        let made = if dice.once_in(3) { unsigned } else { made };
        request.headers_mut().insert("authorization", bearer(&made));
        return;
    }
    *request = (origin.provider.sign)(&Secret::from(key), beginning(), request.clone());
}

fn timestamp(dice: &mut Dice, _: &Origin, _: &[Origin], request: &mut Request<Bytes>) {
    let now = beginning().timestamp();
    let told = match dice.below(5) {
        0 => (now + 1).to_string(),
        1 => (now - 299).to_string(),
        2 => format!("0{now}"),
        3 => format!("+{now}"),
        _ => format!("{now}.0"),
    };
    let value = HeaderValue::from_str(&told).unwrap();
    request.headers_mut().insert("telnyx-timestamp", value);
}

/// When a request comes that was made at the beginning: mostly at once.
pub fn arrival(dice: &mut Dice) -> Timestamp {
    let seconds = match dice.below(40) {
        0 => 301,
        1 => -301,
        2 => 700,
        3 => 86_400,
        4 => 290,
        _ => 0,
    };
    beginning() + TimeDelta::seconds(seconds)
}
