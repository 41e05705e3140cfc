//! What only Twilio has: news without an id of their own, lines that are claimed by number and account.

use providers::{Address, Line, Misconfigured, Provider, Secret, Settings};

use crate::fixtures::{self, Fixture};

fn provider() -> &'static Provider {
    providers::provider("twilio").unwrap()
}

fn fixture(name: &str) -> Fixture {
    let mut all = fixtures::of(provider()).into_iter();
    all.find(|fixture| fixture.name == name).unwrap()
}

/// The keys of a fixture that Twilio sent with this idempotency token.
fn keys(name: &str, token: &'static str) -> Vec<String> {
    let fixture = fixture(name);
    let mut request = fixture.signed();
    let token = http::HeaderValue::from_static(token);
    request.headers_mut().insert("i-twilio-idempotency-token", token);
    let batch = fixture.receive(request).unwrap();
    batch.events.into_iter().map(|event| event.key.0).collect()
}

#[test]
fn the_same_keys_pressed_in_two_menus_are_news_twice() {
    for name in ["call-inbound-04-menu", "call-inbound-05-speech"] {
        assert_eq!(keys(name, "first"), keys(name, "first"), "{name}");
        assert_ne!(keys(name, "first"), keys(name, "second"), "{name}");
    }
}

#[test]
fn news_with_an_id_of_their_own_are_the_same_in_any_request() {
    let without_id = ["call-inbound-04", "call-inbound-05", "call-dial-action-conf"];
    for fixture in fixtures::of(provider()) {
        if !without_id.iter().any(|start| fixture.name.starts_with(start)) {
            let name = &fixture.name;
            assert_eq!(keys(name, "first"), keys(name, "second"), "{name}");
        }
    }
}

#[test]
fn the_keys_of_different_webhooks_differ() {
    let mut known = std::collections::BTreeMap::new();
    for fixture in fixtures::of(provider()) {
        for event in fixture.batch().events {
            let other = known.insert(event.key.clone(), fixture.name.clone());
            assert_eq!(other, None, "{}: {:?}", fixture.name, event.key);
        }
    }
}

#[test]
fn a_webhook_claims_its_account_and_then_its_numbers() {
    let account = || Line::Account("AC1f8c9b2a7d3e4f50617283940a5b6c7d".to_owned());
    let number = |digits: &str| Line::Address(Address::Phone(digits.parse().unwrap()));
    let cases = [
        ("sms-text", vec![number("+14155550110")]),
        ("whatsapp-text", vec![number("+14155550111")]),
        ("status-delivered", vec![number("+14155550110")]),
        ("status-accepted-without-sender", vec![]),
        ("call-outbound-busy", vec![number("+14155550110")]),
        ("call-dial-leg-completed", vec![number("+14155550110"), number("+14155550155")]),
        ("call-inbound-09-recording-completed", vec![]),
    ];
    for (name, numbers) in cases {
        let expected: Vec<Line> = std::iter::once(account()).chain(numbers).collect();
        let claims = (provider().claims)(&fixture(name).unsigned);
        assert_eq!(claims, expected, "{name}");
    }
}

#[test]
fn an_account_opens_with_an_account_sid_only() {
    let open = |sid: &str| {
        let settings = [("account_sid".to_owned(), sid.to_owned())];
        let secrets = [("auth_token".to_owned(), Secret::from("12345"))];
        let settings = Settings::new(settings.into(), secrets.into());
        (provider().open)(&settings).map(|account| account.identifiers())
    };
    let good = "AC1f8c9b2a7d3e4f50617283940a5b6c7d";
    assert_eq!(open(good), Ok(vec![good.to_owned()]));
    for odd in [
        "",
        "1f8c9b2a7d3e4f50617283940a5b6c7d",
        "SK1f8c9b2a7d3e4f50617283940a5b6c7d",
        "AC1f8c9b2a7d3e4f50617283940a5b6c7",
        "AC1f8c9b2a7d3e4f50617283940a5b6c7g",
    ] {
        let Err(Misconfigured { field, .. }) = open(odd) else {
            panic!("{odd} opened an account");
        };
        assert_eq!(field, "account_sid");
    }
}
