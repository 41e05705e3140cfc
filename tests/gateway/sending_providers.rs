//! Sending through Twilio, Telnyx and WAHA as their emulators have it: what is told and when, and what goes wrong.

use chrono::TimeDelta;
use serde_json::{Value, json};
use switchboard::sandbox::FaultKind;

use crate::support::Kind;
use crate::support::rig::{PERSON, Rig, TELNYX, TWILIO_SMS, TWILIO_WHATSAPP, WAHA, each_way};

each_way! {
    a_message_is_accepted_sent_and_delivered: twilio_sms = TWILIO_SMS, twilio_whatsapp = TWILIO_WHATSAPP, telnyx = TELNYX, waha = WAHA;
    a_lost_answer_is_made_good_by_webhooks: twilio_sms = TWILIO_SMS, twilio_whatsapp = TWILIO_WHATSAPP, telnyx = TELNYX;
    a_lost_answer_is_made_good_by_asking: twilio_sms = TWILIO_SMS, twilio_whatsapp = TWILIO_WHATSAPP, waha = WAHA;
    what_never_arrived_is_sent_again_once: twilio_sms = TWILIO_SMS, twilio_whatsapp = TWILIO_WHATSAPP, waha = WAHA;
    what_nobody_can_tell_stays_unknown: telnyx = TELNYX;
    a_storm_of_429_is_outlived: twilio_sms = TWILIO_SMS, telnyx = TELNYX;
    who_blocks_us_is_left_alone: twilio_sms = TWILIO_SMS, telnyx = TELNYX;
    a_revoked_token_loses_nothing: twilio_sms = TWILIO_SMS, telnyx = TELNYX, waha = WAHA;
    webhooks_that_come_early_twice_and_reversed_agree: twilio_sms = TWILIO_SMS, telnyx = TELNYX, waha = WAHA;
    what_is_told_before_the_answer_is_given_up_counts: twilio_sms = TWILIO_SMS, telnyx = TELNYX;
    a_failure_that_outruns_the_answer_is_a_dead_letter: twilio_sms = TWILIO_SMS, telnyx = TELNYX;
    a_failure_that_outruns_a_lost_answer_is_a_dead_letter: twilio_sms = TWILIO_SMS, telnyx = TELNYX;
    stop_is_heard_and_start_too: twilio_sms = TWILIO_SMS, telnyx = TELNYX;
    an_opt_out_that_a_failure_tells_is_lifted_by_start: twilio_sms = TWILIO_SMS, telnyx = TELNYX;
}

async fn a_message_is_accepted_sent_and_delivered(rig: &Rig) {
    rig.sandbox.hold(rig.way.provider, None);
    let id = rig.accepts(PERSON, "Olá").await;
    assert_eq!(rig.status(&id).await, "queued");
    rig.gateway.drain().await;
    assert_eq!(
        rig.status(&id).await,
        "sending",
        "these providers take a message before they send it"
    );
    rig.sandbox.release();
    rig.sandbox.settled().await;
    let last = if rig.way.channel == "sms" { "delivered" } else { "read" };
    assert_eq!(rig.status(&id).await, last);
    rig.took(1);
}

async fn a_lost_answer_is_made_good_by_webhooks(rig: &Rig) {
    rig.sandbox.hold(rig.way.provider, None);
    rig.fault(1, FaultKind::DropAfter);
    let id = rig.accepts(PERSON, "Olá").await;
    rig.gateway.drain().await;
    assert_eq!(rig.status(&id).await, "unknown");
    rig.sandbox.release();
    rig.sandbox.settled().await;
    let last = if rig.way.channel == "sms" { "delivered" } else { "read" };
    assert_eq!(rig.status(&id).await, last);
    assert_eq!(rig.queue().await["unknown"]["count"], 0);
    rig.took(1);
}

async fn a_lost_answer_is_made_good_by_asking(rig: &Rig) {
    rig.fault(1, FaultKind::LoseWebhooks);
    rig.fault(1, FaultKind::DropAfter);
    let asked = rig.gateway.clock.now();
    let id = rig.send("Olá").await;
    assert_eq!(rig.status(&id).await, "unknown");
    rig.later(TimeDelta::seconds(11), asked).await;
    let status = rig.status(&id).await;
    assert!(["sent", "delivered", "read"].contains(&status.as_str()), "{status}");
    assert_eq!(rig.queue().await["unknown"]["count"], 0);
    rig.took(1);
}

async fn what_never_arrived_is_sent_again_once(rig: &Rig) {
    rig.fault(1, FaultKind::DropBefore);
    let asked = rig.gateway.clock.now();
    let id = rig.send("Olá").await;
    assert_eq!(rig.status(&id).await, "unknown");
    let asked = rig.later(TimeDelta::seconds(11), asked).await;
    assert_eq!(rig.status(&id).await, "unknown", "it may still be on its way");
    rig.took(0);
    let asked = rig.later(TimeDelta::seconds(150), asked).await;
    rig.took(1);
    let status = rig.status(&id).await;
    assert!(["delivered", "read"].contains(&status.as_str()), "{status}");
    rig.later(TimeDelta::hours(1), asked).await;
    rig.took(1);
}

async fn what_nobody_can_tell_stays_unknown(rig: &Rig) {
    rig.fault(1, FaultKind::DropBefore);
    let asked = rig.gateway.clock.now();
    let id = rig.send("Olá").await;
    rig.later(TimeDelta::hours(13), asked).await;
    assert_eq!(rig.status(&id).await, "unknown");
    rig.took(0);
    let path = format!("/api/v1/messages/{id}/resolve");
    let outcome = json!({ "outcome": "send_again" });
    rig.gateway.post(&rig.org, &path, outcome).await.expect(200);
    rig.gateway.drain().await;
    rig.sandbox.settled().await;
    assert_eq!(rig.status(&id).await, "delivered");
    rig.took(1);
}

/// Texts to that many people; returns their ids.
async fn campaign(rig: &Rig, people: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for person in 0..people {
        let to = format!("+55119{:08}", 80_000_000 + person);
        ids.push(rig.accepts(&to, &format!("message {person}")).await);
    }
    ids
}

async fn a_storm_of_429_is_outlived(rig: &Rig) {
    rig.fault(40, FaultKind::Status { status: 429, code: None, retry_after: None });
    let ids = campaign(rig, 20).await;
    let asked = rig.gateway.clock.now();
    rig.gateway.drain().await;
    let queue = rig.queue().await;
    assert!(queue["pace_share"].as_f64().unwrap() < 1.0, "{queue}");
    for _ in 0..120 {
        rig.later(TimeDelta::seconds(10), asked).await;
    }
    rig.took(20);
    for id in ids {
        assert_eq!(rig.status(&id).await, "delivered");
    }
}

async fn who_blocks_us_is_left_alone(rig: &Rig) {
    rig.fault(1, FaultKind::RecipientBlocked);
    let id = rig.send("Olá").await;
    let failed = rig.gateway.message(&rig.org, &id).await;
    assert_eq!(failed["status"], "failed", "{failed}");
    assert_eq!(failed["metadata"]["failure"]["cause"], "recipient");
    let refusal = rig.gateway.post(&rig.org, "/api/v1/messages", rig.text(PERSON, "Oi")).await;
    assert_eq!(refusal.expect(422)["error_code"], "recipient_suppressed");
    rig.took(0);
}

async fn a_revoked_token_loses_nothing(rig: &Rig) {
    rig.fault(0, FaultKind::RevokedToken);
    let id = rig.send("Olá").await;
    assert_eq!(rig.status(&id).await, "queued");
    assert_eq!(rig.queue().await["account_unwell"], true);
    rig.sandbox.clear();
    let asked = rig.gateway.clock.now();
    rig.later(TimeDelta::minutes(6), asked).await;
    let status = rig.status(&id).await;
    assert!(["delivered", "read"].contains(&status.as_str()), "{status}");
    assert_eq!(rig.queue().await["account_unwell"], false);
    rig.took(1);
}

async fn webhooks_that_come_early_twice_and_reversed_agree(rig: &Rig) {
    for (at, kind) in
        [FaultKind::DuplicateWebhooks, FaultKind::ReorderWebhooks].into_iter().enumerate()
    {
        rig.fault(1, kind);
        rig.fault(1, FaultKind::DelayAfter { ms: 200 });
        let id = rig.send(&format!("message {at}")).await;
        let status = rig.status(&id).await;
        assert!(["delivered", "read"].contains(&status.as_str()), "{status}");
        rig.gateway.advance(TimeDelta::seconds(2));
    }
    assert_eq!(rig.gateway.count("waiting_changes").await, 0);
    rig.took(2);
}

async fn what_is_told_before_the_answer_is_given_up_counts(rig: &Rig) {
    rig.fault(1, FaultKind::DelayAfter { ms: 5_000 });
    let id = rig.send("Olá").await;
    assert_eq!(rig.status(&id).await, "delivered");
    assert_eq!(rig.queue().await["unknown"]["count"], 0);
    rig.took(1);
}

async fn a_failure_that_outruns_the_answer_is_a_dead_letter(rig: &Rig) {
    fails_within(rig, 500).await;
}

async fn a_failure_that_outruns_a_lost_answer_is_a_dead_letter(rig: &Rig) {
    fails_within(rig, 5_000).await;
}

/// A message whose failure is told before its answer comes.
async fn fails_within(rig: &Rig, answer_ms: u64) {
    let code = if rig.way.provider == "twilio" { 30_006 } else { 40_008 };
    rig.fault(1, FaultKind::FailStatus { code });
    rig.fault(1, FaultKind::DelayAfter { ms: answer_ms });
    let id = rig.send("Olá").await;
    assert_eq!(rig.status(&id).await, "failed");
    let queue = rig.queue().await;
    let counts = (&queue["unknown"]["count"], &queue["dead"]["count"]);
    assert_eq!(counts, (&json!(0), &json!(1)));
    rig.took(1);
}

async fn stop_is_heard_and_start_too(rig: &Rig) {
    let waiting = rig.accepts(PERSON, "accepted before").await;
    rig.writes(PERSON, "STOP").await;
    let refusal = rig.gateway.post(&rig.org, "/api/v1/messages", rig.text(PERSON, "Oi")).await;
    assert_eq!(refusal.expect(422)["error_code"], "recipient_suppressed");
    rig.gateway.drain().await;
    assert_eq!(rig.status(&waiting).await, "failed");
    rig.took(0);
    rig.writes(PERSON, "START").await;
    let id = rig.send("again").await;
    assert_eq!(rig.status(&id).await, "delivered");
    rig.took(1);
}

async fn an_opt_out_that_a_failure_tells_is_lifted_by_start(rig: &Rig) {
    who_blocks_us_is_left_alone(rig).await;
    let listed = rig.gateway.get(&rig.org, "/api/v1/suppressions").await.expect(200);
    let told = &listed["items"][0];
    assert_eq!((&told["reason"], &told["until"]), (&json!("opted_out"), &Value::Null));
    rig.writes(PERSON, " unstop ").await;
    assert_eq!(rig.status(&rig.send("again").await).await, "delivered");
}
