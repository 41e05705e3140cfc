//! Credentials that bridges put into webhooks: none is kept or shown, whatever the body is. And what a provider does not sign.

use bytes::Bytes;
use http::Method;
use providers::{Misconfigured, Provider, Rejection, Secret, Settings};
use serde_json::{Value, json};

use crate::fixtures::{self, Fixture};

const SECRET: &str = "S3CRET-S3CRET";

fn any(provider: &str) -> Fixture {
    let provider = providers::provider(provider).unwrap();
    fixtures::of(provider).into_iter().find(|fixture| !fixture.is_challenge()).unwrap()
}

/// What is kept of such a body, and what is shown of it where it cannot be read.
fn kept(provider: &str, body: &str) -> String {
    let fixture = any(provider);
    let request = fixture.unsigned.clone().map(|_| Bytes::from(body.to_owned()));
    let batch = fixture.receive(fixture.sign(request)).unwrap();
    let account = fixture.account.open(fixture.provider);
    let body = account.webhooks().unwrap().without_credentials(Bytes::from(body.to_owned()));
    let mut shown = String::from_utf8_lossy(&body).into_owned();
    for item in batch.unparsed {
        shown.push_str(&item.raw);
    }
    for event in &batch.events {
        shown.push_str(&serde_json::to_string(event).unwrap());
    }
    shown
}

fn evolution(event: &str, data: &Value) -> String {
    let body =
        json!({ "event": event, "instance": "aurora-frontdesk", "data": data, "apikey": SECRET });
    body.to_string()
}

#[test]
fn no_credential_of_evolution_is_kept() {
    let message = |text: &str| json!({ "key": { "id": "A", "remoteJid": "1@s.whatsapp.net" }, "message": { "conversation": text } });
    for (event, data) in [
        ("messages.upsert", message("hello")),
        ("new.jwt.token", json!({ "token": SECRET })),
        ("NEW_TOKEN", json!({ "instance": "a", "token": SECRET })),
        (
            "qrcode.updated",
            json!({ "qrcode": { "pairingCode": SECRET, "code": SECRET, "base64": SECRET } }),
        ),
        ("connection.update", json!({ "state": "connecting", "qr": SECRET })),
        ("of.another.version", json!({ "apikey": SECRET, "pairingCode": SECRET, "token": SECRET })),
        ("messages.upsert", json!({ "apikey": SECRET })),
    ] {
        let good = evolution(event, &data);
        assert!(!kept("evolution", &good).contains("S3CRET"), "{good}");
        // However much of it is missing, and whatever stands before it.
        for cut in (1..good.len()).step_by(3) {
            for bad in
                [good[..cut].to_owned(), format!("\"{}", &good[..cut]), good[cut..].to_owned()]
            {
                // Where not even its name is whole, nobody can know it.
                let before = bad.find("S3CRET").map_or("", |at| &bad[..at]);
                let is_named = ["apikey", "token", "pairingCode", "code", "base64", "qr"]
                    .iter()
                    .any(|name| before.ends_with(&format!("\"{name}\":\"")));
                assert!(!is_named || !kept("evolution", &bad).contains("S3CRET"), "{bad}");
            }
        }
    }
    let twice =
        evolution("x", &json!(null)).replacen('{', &format!("{{\"apikey\":\"{SECRET}\","), 1);
    assert!(!kept("evolution", &twice).contains("S3CRET"));
    let escaped = evolution("x", &json!(null)).replace("apikey", "\\u0061pikey");
    assert!(!kept("evolution", &escaped).contains("S3CRET"));
}

#[test]
fn what_is_no_credential_stays() {
    let data = json!({ "key": { "id": "A", "remoteJid": "1@s.whatsapp.net" },
                       "message": { "conversation": "my token: 17, code: 18", "base64": "aGk=" }, "code": 401 });
    let shown = kept("evolution", &evolution("messages.upsert", &data));
    assert!(shown.contains("my token: 17, code: 18") && shown.contains("aGk="), "{shown}");
    let shown = kept(
        "evolution",
        &evolution("status.instance", &json!({ "status": "closed", "code": 401 })),
    );
    assert!(shown.contains("401"), "{shown}");
}

#[test]
fn no_credential_of_waha_is_kept() {
    for (event, payload) in [
        ("state.change", json!({ "qr": SECRET })),
        (
            "engine.event",
            json!({ "event": "events.creds.update", "data": { "noiseKey": { "private": SECRET }, "advSecretKey": SECRET } }),
        ),
        (
            "session.status",
            json!({ "status": "SCAN_QR_CODE", "data": { "qr": SECRET, "pairingCode": SECRET } }),
        ),
        ("of.another.version", json!({ "qr": SECRET })),
    ] {
        let body = json!({ "id": "evt_1", "event": event, "session": "aurora-reception", "payload": payload });
        let good = body.to_string();
        assert!(!kept("waha", &good).contains("S3CRET"), "{good}");
        for bad in [format!("{good}}}"), good[..good.len() - 1].to_owned(), format!("\"{good}")] {
            assert!(!kept("waha", &bad).contains("S3CRET"), "{bad}");
        }
    }
}

fn telnyx() -> &'static Provider {
    providers::provider("telnyx").unwrap()
}

/// Telnyx signs the body, and a GET has none: anybody who has seen one genuine request can write what they like into the query,
/// for as long as its time is good.
#[test]
fn what_a_get_of_telnyx_says_is_believed_only_where_the_account_asks_for_it() {
    let all = fixtures::of(telnyx());
    let mut fixture = all.into_iter().find(|f| f.unsigned.method() == Method::GET).unwrap();
    assert_eq!(fixture.batch().events.len(), 1);
    for off in [None, Some("false"), Some(" ")] {
        fixture.account.settings.remove("texml_by_get");
        fixture.account.settings.extend(off.map(|off| ("texml_by_get".to_owned(), off.to_owned())));
        let refused = fixture.receive(fixture.signed()).unwrap_err();
        assert_eq!(refused, Rejection::QueryNotSigned);
        assert!(refused.to_string().contains("texml_by_get") && refused.status() == 401);
        // Nobody is told who proves nothing.
        let unsigned = fixture.receive(fixture.unsigned.clone()).unwrap_err();
        assert_eq!(unsigned, Rejection::SignatureMissing);
    }
    let secrets = fixture.account.secrets.iter();
    let secrets =
        secrets.map(|(name, value)| (name.clone(), Secret::from(value.as_str()))).collect();
    let settings = [("texml_by_get".to_owned(), "yes".to_owned())].into();
    let refused = (telnyx().open)(&Settings::new(settings, secrets)).unwrap_err();
    assert_eq!(refused, Misconfigured::new("texml_by_get", "must be true or false"));
}

/// The type of a body is not signed, so it does not say what the body is.
#[test]
fn a_type_that_nobody_signed_makes_no_form_of_an_event() {
    for fixture in fixtures::of(telnyx()).iter().filter(|f| f.unsigned.body().starts_with(b"{")) {
        let mut changed = fixture.signed();
        let kind = http::HeaderValue::from_static("application/x-www-form-urlencoded");
        changed.headers_mut().insert("content-type", kind);
        assert_eq!(
            fixture.receive(changed).unwrap().events,
            fixture.batch().events,
            "{}",
            fixture.name
        );
    }
}
