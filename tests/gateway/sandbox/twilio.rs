//! Twilio's emulator.

use providers::EventKind;
use serde_json::Value;
use switchboard::sandbox::{Inbound, InboundFile};

use super::{Rig, SendForm, answer, read, statuses};

const SID: &str = "AC1f8c9b2a7d3e4f50617283940a5b6c7d";
const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const SMS: &str = "+14155550110";
const WHATSAPP: &str = "whatsapp:+14155550111";
const ANA: &str = "+14155550199";
const OURS: &str = "01930d5c-9b1e-7c44-8f2a-6d1e0b7a5c33";

async fn send(rig: &Rig, fields: &[(&str, &str)]) -> (u16, Value) {
    let url = rig.url(&format!("/twilio/2010-04-01/Accounts/{SID}/Messages.json"));
    answer(rig.http.post(url).basic_auth(SID, Some(TOKEN)).form(fields)).await
}

fn ours(request: http::Request<bytes::Bytes>) -> providers::Batch {
    read("twilio", &[("account_sid", SID)], &[("auth_token", TOKEN)], request)
}

#[tokio::test]
async fn a_message_to_twilio_is_accepted_and_its_callbacks_are_genuine() {
    let rig = Rig::start().await;
    let callback = format!("{}/hooks/twilio/1?message={OURS}#rc=2", rig.hooks);
    let sms = [("To", ANA), ("From", SMS), ("Body", "Hi 👍"), ("StatusCallback", &callback)];
    let (status, body) = send(&rig, &sms).await;
    assert_eq!((status, body["status"].as_str()), (201, Some("queued")), "{body}");
    let requests = rig.webhooks().await;
    assert!(requests[0].uri().query().unwrap().ends_with(OURS));
    let batches: Vec<_> = requests.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["sent", "delivered"]);
    assert_eq!(rig.sandbox.count_of(OURS), 1);

    let one = body["uri"].as_str().unwrap();
    let get =
        |path: &str| rig.http.get(rig.url(&format!("/twilio{path}"))).basic_auth(SID, Some(TOKEN));
    assert_eq!(answer(get(one)).await.1["status"], "delivered");
    let all = format!("/2010-04-01/Accounts/{SID}/Messages.json");
    let found = |query: &'static str| {
        let request = get(&format!("{all}?{query}"));
        async move { answer(request).await.1["messages"].as_array().map(Vec::len) }
    };
    assert_eq!(found("To=%2B14155550199&DateSent%3E=2020-01-01").await, Some(1));
    assert_eq!(found("To=%2B14155550198").await, Some(0));
    assert_eq!(found("DateSent%3C=2020-01-01").await, Some(0));
    assert_eq!(found("DateSent=yesterday").await, None);
}

#[tokio::test]
async fn twilio_refuses_wrong_credentials() {
    let rig = Rig::start().await;
    let url = rig.url(&format!("/twilio/2010-04-01/Accounts/{SID}/Messages.json"));
    let form = [("To", ANA), ("From", SMS), ("Body", "x")];
    for (user, password) in
        [(SID, "wrong"), ("AC90a1b2c3d4e5f60718293a4b5c6d7e8f", "89abcdef0123456776543210fedcba98")]
    {
        let wrong = answer(rig.http.post(&url).basic_auth(user, Some(password)).form(&form)).await;
        assert_eq!((wrong.0, wrong.1["code"].as_i64()), (401, Some(20_003)));
    }
    assert_eq!(answer(rig.http.post(&url).form(&form)).await.0, 401);
}

#[tokio::test]
async fn twilio_refuses_what_oversteps_its_limits() {
    let rig = Rig::start().await;
    let long = "x".repeat(1_601);
    let to_ana = format!("whatsapp:{ANA}");
    let media = ["https://a.example/1"; 11];
    let mut many = vec![("To", ANA), ("From", SMS)];
    many.extend(media.map(|url| ("MediaUrl", url)));
    let refused: Vec<(Vec<(&str, &str)>, i64)> = vec![
        (vec![("From", SMS), ("Body", "x")], 21_604),
        (vec![("To", ANA), ("Body", "x")], 21_603),
        (vec![("To", "4155550199"), ("From", SMS), ("Body", "x")], 21_211),
        (vec![("To", ANA), ("From", "+14155559999"), ("Body", "x")], 21_606),
        (vec![("To", &to_ana), ("From", "whatsapp:+14155559999"), ("Body", "x")], 63_007),
        (vec![("To", &to_ana), ("From", SMS), ("Body", "x")], 21_910),
        (vec![("To", SMS), ("From", SMS), ("Body", "x")], 21_266),
        (vec![("To", ANA), ("From", SMS), ("Body", &long)], 21_617),
        (vec![("To", ANA), ("From", SMS)], 21_619),
        (vec![("To", ANA), ("From", SMS), ("MediaUrl", "not a url")], 21_620),
        (many, 21_623),
        (vec![("To", ANA), ("From", SMS), ("Body", "x"), ("StatusCallback", "nowhere")], 21_609),
        (vec![("To", &to_ana), ("From", WHATSAPP), ("ContentSid", "HX1")], 21_655),
    ];
    for (form, wanted) in refused {
        let (status, body) = send(&rig, &form).await;
        assert_eq!((status, body["code"].as_i64()), (400, Some(wanted)), "{form:?}");
    }
    assert_eq!(rig.sandbox.counts().accepted, 0);
}

#[tokio::test]
async fn twilio_tells_a_closed_window_by_status() {
    let rig = Rig::start().await;
    let to = format!("whatsapp:{ANA}");
    let callback = format!("{}/hooks/twilio", rig.hooks);
    let form = [("To", &*to), ("From", WHATSAPP), ("Body", "x"), ("StatusCallback", &callback)];
    assert_eq!(send(&rig, &form).await.0, 201);
    let batch = ours(rig.webhooks().await.remove(0));
    let EventKind::Status(change) = &batch.events[0].kind else { panic!("{batch:?}") };
    assert_eq!(change.failure.as_ref().unwrap().code, "63016");
    rig.person_writes("twilio", "+14155550111", ANA).await;
    let heard = ours(rig.webhooks().await.remove(0));
    assert!(matches!(&heard.events[0].kind, EventKind::Message(_)));
    assert_eq!(send(&rig, &form).await.0, 201);
    let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["sent", "delivered", "read"]);
    let template = format!("HX{:032}", 1);
    let form = [
        ("To", &*to),
        ("From", WHATSAPP),
        ("ContentSid", &template),
        ("ContentVariables", "{\"1\":\"Ana\"}"),
    ];
    assert_eq!(send(&rig, &form).await.0, 201);
}

#[tokio::test]
async fn who_says_stop_to_twilio_gets_nothing_more() {
    let rig = Rig::start().await;
    let form = [("To", ANA), ("From", SMS), ("Body", "x")];
    let say = |text: &str| Inbound {
        provider: "twilio".to_owned(),
        to: Some(SMS.to_owned()),
        channel: Some("sms".to_owned()),
        from: ANA.to_owned(),
        text: Some(text.to_owned()),
        ..Inbound::default()
    };
    rig.sandbox.inbound(&say("Stop")).await.unwrap();
    assert_eq!(send(&rig, &form).await.1["code"], 21_610);
    rig.sandbox.inbound(&say("START")).await.unwrap();
    assert_eq!(send(&rig, &form).await.0, 201);
}

#[tokio::test]
async fn twilio_files_are_on_a_host_that_refuses_the_credentials() {
    let rig = Rig::start().await;
    let file = InboundFile {
        mime_type: "image/jpeg".to_owned(),
        data: "/9j/4AAQ".to_owned(),
        ..InboundFile::default()
    };
    let inbound = Inbound {
        provider: "twilio".to_owned(),
        to: Some(SMS.to_owned()),
        from: ANA.to_owned(),
        media: Some(file),
        ..Inbound::default()
    };
    rig.sandbox.inbound(&inbound).await.unwrap();
    let request = rig.webhooks().await.remove(0);
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(request.body()).into_owned().collect();
    let url = &form.iter().find(|(name, _)| name == "MediaUrl0").unwrap().1;
    let plain = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let plain = plain.build().unwrap();
    assert_eq!(plain.get(url).send().await.unwrap().status(), 401);
    let moved = plain.get(url).basic_auth(SID, Some(TOKEN)).send().await.unwrap();
    assert_eq!(moved.status(), 307);
    let place = moved.headers()["location"].to_str().unwrap();
    assert!(!place.starts_with(&rig.sandbox.url()));
    let with = plain.get(place).basic_auth(SID, Some(TOKEN)).send().await.unwrap();
    assert_eq!(with.status(), 400);
    let got = plain.get(place).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&got[..3], b"\xff\xd8\xff");
}

/// An account with a messaging service, whose messages can be scheduled.
const SERVICE: &str = "MG0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn with_service(rig: &Rig) {
    rig.add(serde_json::json!({
        "provider": "twilio",
        "settings": { "account_sid": SID, "messaging_service_sid": SERVICE },
        "secrets": { "auth_token": TOKEN },
        "signing_secret": TOKEN,
        "routes": [{ "channel": "sms", "address": SMS }, { "channel": "whatsapp", "address": "+14155550111" }],
        "webhook_url": format!("{}/hooks/twilio", rig.hooks),
    }));
}

fn in_minutes(minutes: i64) -> String {
    (switchboard::clock::Clock::System.now() + chrono::TimeDelta::minutes(minutes)).to_rfc3339()
}

#[tokio::test]
async fn twilio_schedules_and_cancels_with_a_service_only() {
    let rig = Rig::start().await;
    with_service(&rig);
    let (hour, now, far) = (in_minutes(60), in_minutes(4), in_minutes(60 * 24 * 35 + 1));
    let callback = format!("{}/hooks/twilio/1?message={OURS}", rig.hooks);
    let schedule = |at: &str, kind: &str, sender: (&'static str, &'static str)| {
        let fields =
            [("To", ANA), sender, ("Body", "Soon"), ("SendAt", at), ("ScheduleType", kind)];
        let mut fields: Vec<(String, String)> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        fields.push(("StatusCallback".to_owned(), callback.clone()));
        fields
    };
    let service = ("MessagingServiceSid", SERVICE);
    let refused = [
        (schedule(&hour, "fixed", ("From", SMS)), 35_118),
        (schedule("", "fixed", service), 35_111),
        (schedule(&hour, "flexible", service), 35_126),
        (schedule(&now, "fixed", service), 35_114),
        (schedule(&far, "fixed", service), 35_114),
        (schedule("tomorrow", "fixed", service), 35_114),
    ];
    let sent = |fields: Vec<(String, String)>| {
        let rig = &rig;
        async move {
            let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            send(rig, &fields).await
        }
    };
    for (fields, code) in refused {
        let (status, body) = sent(fields).await;
        assert_eq!((status, &body["code"]), (400, &Value::from(code)));
    }
    let (_, one) = sent(schedule(&hour, "fixed", service)).await;
    let (_, two) = sent(schedule(&hour, "fixed", ("From", SERVICE))).await;
    assert_eq!((&one["status"], &two["status"]), (&"scheduled".into(), &"scheduled".into()));
    let url = rig.url(&format!("/twilio{}", one["uri"].as_str().unwrap()));
    let update = |field: (&'static str, &'static str)| {
        answer(rig.http.post(&url).basic_auth(SID, Some(TOKEN)).form(&[field]))
    };
    assert_eq!(update(("Status", "canceled")).await.1["status"], "canceled");
    assert_eq!(update(("Status", "canceled")).await.1["code"], 30_409);
    assert_eq!(update(("Status", "sent")).await.1["code"], 30_400);
    assert_eq!(update(("Body", "")).await.1["body"], "");
    let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["canceled"]);
    // What was cancelled stays where it is; what was not goes when its time has come, and not a minute sooner.
    rig.sandbox.advance(chrono::TimeDelta::minutes(59));
    assert!(rig.webhooks().await.is_empty());
    rig.sandbox.advance(chrono::TimeDelta::minutes(2));
    let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["sent", "delivered"]);
}

#[tokio::test]
async fn twilio_judges_a_scheduled_message_when_its_time_has_come() {
    let rig = Rig::start().await;
    with_service(&rig);
    rig.person_writes("twilio", SMS, ANA).await;
    rig.webhooks().await;
    let at = in_minutes(60);
    let callback = format!("{}/hooks/twilio/1?message={OURS}", rig.hooks);
    let fields = [
        ("To", ANA),
        ("MessagingServiceSid", SERVICE),
        ("Body", "Soon"),
        ("SendAt", &at),
        ("ScheduleType", "fixed"),
        ("StatusCallback", &callback),
    ];
    assert_eq!(send(&rig, &fields).await.0, 201);
    let stop = Inbound {
        provider: "twilio".to_owned(),
        to: Some(SMS.to_owned()),
        from: ANA.to_owned(),
        text: Some("STOP".to_owned()),
        ..Inbound::default()
    };
    rig.sandbox.inbound(&stop).await.unwrap();
    rig.webhooks().await;
    rig.sandbox.advance(chrono::TimeDelta::minutes(61));
    let batches: Vec<_> = rig.webhooks().await.into_iter().map(ours).collect();
    assert_eq!(statuses(&batches), ["failed"]);
}
