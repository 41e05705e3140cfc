//! What holds for any input at all: no panic, and nothing unsigned passes.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use providers::{Inbound, Money, PROVIDERS, PhoneNumber};

use crate::fixtures::{self, Fixture, now};

fn any_fixture() -> impl Strategy<Value = Fixture> {
    // A verification challenge carries a token instead of a signature; the laws and vectors judge it.
    let mut signed = fixtures::all();
    signed.retain(|fixture| !fixture.is_challenge());
    proptest::sample::select(signed)
}

fn any_request() -> impl Strategy<Value = http::Request<Bytes>> {
    let kinds =
        ["application/json", "application/x-www-form-urlencoded", "text/plain", "a/b;c=\"d\""];
    let header = ("[a-zA-Z0-9+/=:]{0,100}", any::<prop::sample::Index>());
    let names = [
        "x-hub-signature-256",
        "x-twilio-signature",
        "x-twilio-webhooks-signature-settings",
        "telnyx-signature-ed25519",
        "telnyx-timestamp",
        "x-webhook-hmac",
        "i-twilio-idempotency-token",
        "authorization",
    ];
    (vec(any::<u8>(), 0..400), "[!-~]{0,60}", vec(header, 0..5), 0..4usize, 0..3usize).prop_map(
        move |(body, query, headers, kind, method)| {
            let uri = format!("https://gateway.example.com/hooks?{query}");
            let uri = uri.parse::<http::Uri>().unwrap_or_default();
            let method = ["POST", "GET", "PUT"][method];
            let mut request = http::Request::builder().method(method).uri(uri);
            request = request.header("content-type", kinds[kind]);
            for (value, index) in headers {
                request = request.header(*index.get(&names), value);
            }
            request.body(Bytes::from(body)).unwrap()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_unsigned_passes_and_nothing_panics(request in any_request()) {
        for provider in PROVIDERS {
            (provider.claims)(&request);
            let account = fixtures::accounts(provider).remove(0).open(provider);
            let webhooks = account.webhooks().unwrap();
            let fresh = Inbound::Webhook { at: now(), request: request.clone() };
            let passed = webhooks.receive(&fresh).is_ok();
            prop_assert!(!passed);
            let _ = webhooks.receive(&Inbound::Kept { at: now(), request: request.clone() });
        }
    }

    #[test]
    fn damaged_webhooks_are_read_without_panic(
        fixture in any_fixture(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        let mut body = fixture.unsigned.body().to_vec();
        if !body.is_empty() {
            for (index, byte) in damage {
                let index = index.index(body.len());
                body[index] = byte;
            }
            if truncate {
                body.truncate(cut.index(body.len()));
            }
        }
        let request = fixture.unsigned.clone().map(|_| Bytes::from(body));
        prop_assert!(fixture.receive(request.clone()).is_err());
        // Signed or kept, it is read as far as it goes; whatever it says, the answer is one the provider accepts.
        if let Ok(batch) = fixture.receive(fixture.sign(request)) {
            prop_assert_eq!(batch.reply.status, 200);
        }
    }

    #[test]
    fn numbers_keep_their_digits(digits in "[1-9][0-9]{6,14}") {
        let number = PhoneNumber::international(&digits).unwrap();
        prop_assert_eq!(number.digits(), digits.as_str());
        let key = number.match_key().into_owned();
        // What is left out is a digit, or the two by which Benin and Ivory Coast made their numbers longer.
        prop_assert!((key.len()..=key.len() + 2).contains(&digits.len()));
        // Folding twice changes nothing more, so that a key is the key of its own number.
        if let Ok(folded) = PhoneNumber::international(&key) {
            let again = folded.match_key().into_owned();
            prop_assert_eq!(again, key);
        }
    }

    #[test]
    fn money_is_read_as_it_is_written(whole in 0..1_000_000i64, fraction in "[0-9]{0,9}", negative in any::<bool>()) {
        let sign = if negative { "-" } else { "" };
        let dot = if fraction.is_empty() { "" } else { "." };
        let text = format!("{sign}{whole}{dot}{fraction}");
        let money = Money::parse(&text, "usd").unwrap();
        prop_assert_eq!(Money::parse(&money.amount(), "USD").unwrap(), money);
    }
}
