//! What only Twilio has: news without an id of their own, lines that are claimed by number and account.

use bytes::Bytes;
use providers::{Address, Line, Misconfigured, Provider, Rejection, Secret, Settings};

use crate::fixtures::{self, Fixture};

fn provider() -> &'static Provider {
    providers::provider("twilio").unwrap()
}

fn fixture(name: &str) -> Fixture {
    let mut all = fixtures::of(provider()).into_iter();
    all.find(|fixture| fixture.name == name).unwrap()
}

/// The keys of a fixture's news, after it was changed and signed again.
fn keys(name: &str, change: impl FnOnce(&mut http::Request<Bytes>)) -> Vec<String> {
    let fixture = fixture(name);
    let mut request = fixture.unsigned.clone();
    change(&mut request);
    let batch = fixture.receive(fixture.sign(request)).unwrap();
    batch.events.into_iter().map(|event| event.key.0).collect()
}

fn with_token(token: &'static str) -> impl FnOnce(&mut http::Request<Bytes>) {
    let token = http::HeaderValue::from_static(token);
    move |request| drop(request.headers_mut().insert("i-twilio-idempotency-token", token))
}

fn at(url: &'static str) -> impl FnOnce(&mut http::Request<Bytes>) {
    |request| *request.uri_mut() = url.parse().unwrap()
}

#[test]
fn the_same_keys_pressed_in_two_menus_are_news_twice() {
    for name in ["call-inbound-04-menu", "call-inbound-05-speech"] {
        let [first, second] = [
            "https://gateway.example.com/hooks/twilio?menu=1",
            "https://gateway.example.com/hooks/twilio?menu=2",
        ];
        assert_eq!(keys(name, at(first)), keys(name, at(first)), "{name}");
        assert_ne!(keys(name, at(first)), keys(name, at(second)), "{name}");
    }
}

/// Twilio does not sign its idempotency token: whoever plays a request back could make news of it again and again.
#[test]
fn a_token_that_nobody_signed_tells_no_news_apart() {
    for fixture in fixtures::of(provider()) {
        let name = &fixture.name;
        assert_eq!(keys(name, with_token("first")), keys(name, with_token("second")), "{name}");
        assert_eq!(keys(name, |_| {}), keys(name, with_token("any")), "{name}");
    }
}

/// Nor does how the same form is written, in which order, or what stands in the body of a request that has none.
#[test]
fn what_is_signed_alike_is_the_same_news() {
    let name = "call-inbound-04-menu";
    let written = |change: fn(&str) -> String| {
        keys(name, move |request| {
            let text = String::from_utf8(request.body().to_vec()).unwrap();
            *request.body_mut() = change(&text).into();
        })
    };
    let plain = written(ToOwned::to_owned);
    assert_eq!(plain, written(|text| text.split('&').rev().collect::<Vec<_>>().join("&")));
    assert_eq!(plain, written(|text| text.replace('C', "%43")));
    assert_ne!(plain, written(|text| format!("{text}&Unknown=1")));
}

fn verdict(body: &str) -> Result<(), Rejection> {
    let fixture = fixture("sms-text");
    let mut request = fixture.unsigned.clone();
    *request.body_mut() = body.to_owned().into();
    fixture.receive(fixture.sign(request)).map(drop)
}

/// Names and values are signed with nothing between them, so a form can be cut up anew under the same signature.
#[test]
fn a_form_whose_names_are_none_is_refused_however_it_is_signed() {
    let fixture = fixture("sms-text");
    let text = String::from_utf8(fixture.unsigned.body().to_vec()).unwrap();
    verdict(&text).unwrap();
    for place in text.match_indices('=').map(|(place, _)| place) {
        let without = format!("{}{}", &text[..place], &text[place + 1..]);
        assert_eq!(verdict(&without), Err(Rejection::SignatureMalformed), "{without}");
    }
    for odd in [
        "a b=1",
        "a%20b=1",
        "a+b=1",
        "a%5B0%5D=1",
        "a[0]=1",
        "%C3%A9=1",
        "=1",
        "a",
        "",
        "&",
        "a=1&",
        "&a=1",
        "a%3Db=1",
        "a%00=1",
    ] {
        let body = format!("{text}&{odd}");
        assert_eq!(verdict(&body), Err(Rejection::SignatureMalformed), "{odd}");
    }
    for good in
        ["New.Name-of_2027=1", "a=b=c", "a=", "a=%00", "a=+", "%41=1", "customParameter=%26%3D"]
    {
        assert_eq!(verdict(&format!("{text}&{good}")), Ok(()), "{good}");
    }
    // A form may be empty: then there is nothing that it says.
    assert_eq!(verdict(""), Ok(()));
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
