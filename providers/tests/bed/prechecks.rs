//! What can be refused before a body is read.

use bytes::Bytes;
use providers::{PROVIDERS, Unverified};

use crate::fixtures::{self, ENOUGH, Fixture, now};
use crate::laws::{SIGNATURE_HEADERS, assert_rejected, signed_fixtures};

/// What the precheck refuses is refused, whatever the body; and it refuses nothing that is genuine, body or no body.
#[test]
fn forged_the_precheck_refuses_nothing_that_would_be_believed() {
    let prechecked = |fixture: &Fixture, request: &http::Request<Bytes>, body: bool| {
        let seen = Unverified {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            body: body.then(|| request.body()),
        };
        (fixture.provider.precheck)(&seen, now())
    };
    let mut refused = std::collections::BTreeMap::<&str, usize>::new();
    for fixture in
        signed_fixtures().chain(fixtures::all().into_iter().filter(Fixture::is_challenge))
    {
        let signed =
            if fixture.is_challenge() { fixture.unsigned.clone() } else { fixture.signed() };
        for body in [false, true] {
            assert_eq!(prechecked(&fixture, &signed, body), Ok(()), "{}", fixture.name);
        }
        for forged in forgeries(&signed) {
            let verdicts = [false, true].map(|body| prechecked(&fixture, &forged, body));
            if verdicts.iter().any(Result::is_err) {
                *refused.entry(fixture.provider.name).or_default() += 1;
                assert_rejected(&fixture, forged, "the precheck refuses it");
            }
        }
    }
    for provider in PROVIDERS {
        let count = refused.get(provider.name).copied().unwrap_or_default();
        assert!(count >= ENOUGH, "{}: its precheck refuses nothing ({count})", provider.name);
    }
}

/// A request with its proof taken away, doubled, cut, changed, and put into other forms; and under another URL.
fn forgeries(signed: &http::Request<Bytes>) -> Vec<http::Request<Bytes>> {
    let mut forged = Vec::new();
    for name in SIGNATURE_HEADERS {
        let Some(value) = signed.headers().get(name) else { continue };
        let text = value.to_str().unwrap();
        let with = |text: &str| {
            let mut request = signed.clone();
            request.headers_mut().insert(name, text.parse().unwrap());
            request
        };
        let mut without = signed.clone();
        without.headers_mut().remove(name);
        let mut twice = signed.clone();
        twice.headers_mut().append(name, value.clone());
        forged.extend([without, twice]);
        let texts = [
            "",
            "x",
            "sha256=",
            "0",
            "-1",
            "99999999999999999999",
            &text[1..],
            &text[..text.len() - 1],
        ];
        forged.extend(texts.map(with));
        forged.extend([
            with(&text.to_uppercase()),
            with(&format!("{text} ")),
            with(&format!("{text}={text}")),
            with(&"x".repeat(5_000)),
            with(&text.replace(['a', 'A', '1'], "_")),
        ]);
    }
    let mut elsewhere = signed.clone();
    *elsewhere.uri_mut() = "https://gateway.example.com/hooks/x?bodySHA256=00".parse().unwrap();
    forged.push(elsewhere);
    forged.push(signed.clone().map(|_| Bytes::from_static(b"{}")));
    forged
}
