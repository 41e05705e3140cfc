//! Providers that take a message and then say that it failed: for ever, twice, late, in any order. As their emulators have it.

use chrono::TimeDelta;
use serde_json::json;
use switchboard::sandbox::FaultKind;

use crate::support::Kind;
use crate::support::rig::{META, PERSON, Rig, TELNYX, TWILIO_SMS, TWILIO_WHATSAPP, WAHA, each_way};

each_way! {
    what_fails_for_ever_is_taken_three_times_and_given_up: meta = META, twilio_sms = TWILIO_SMS, twilio_whatsapp = TWILIO_WHATSAPP, telnyx = TELNYX;
    what_names_no_error_is_never_sent_again: meta = META, twilio_sms = TWILIO_SMS, telnyx = TELNYX, waha = WAHA;
    a_late_failure_undoes_no_delivery: meta = META, twilio_sms = TWILIO_SMS, twilio_whatsapp = TWILIO_WHATSAPP, telnyx = TELNYX, waha = WAHA;
    what_is_told_twice_is_judged_once: meta = META, twilio_sms = TWILIO_SMS, telnyx = TELNYX;
    webhooks_of_failures_may_come_in_any_order: meta = META, twilio_sms = TWILIO_SMS, telnyx = TELNYX;
    a_window_that_a_status_calls_closed_is_opened_by_the_template: twilio_whatsapp = TWILIO_WHATSAPP;
}

async fn a_window_that_a_status_calls_closed_is_opened_by_the_template(rig: &Rig) {
    rig.fault(1, FaultKind::FailStatus { code: 63_016 });
    let mut body = rig.text(PERSON, "Olá");
    let name = format!("HX{:032}", 1);
    body["fallback_template"] = json!({ "name": name, "variables": { "1": "Ana", "2": "10h" } });
    let accepted = rig.gateway.post(&rig.org, "/api/v1/messages", body).await.expect(202);
    let id = accepted["id"].as_str().unwrap().to_owned();
    rig.gateway.drain().await;
    rig.sandbox.settled().await;
    rig.later(TimeDelta::seconds(1), rig.gateway.clock.now()).await;
    assert_eq!(rig.status(&id).await, "read");
    assert_eq!(rig.sandbox.count_of(&id), 2);
}

/// A code that says that trying again may help.
fn passing(rig: &Rig) -> u32 {
    match rig.way.provider {
        "meta" => 131_000,
        "twilio" => 30_008,
        _ => 40_006,
    }
}

/// Lets a day pass, minute by minute at first.
async fn a_day_passes(rig: &Rig) {
    let begin = rig.gateway.clock.now();
    for minutes in [1, 1, 1, 10, 10, 60, 60, 60, 240, 240, 240, 240, 480, 480] {
        rig.later(TimeDelta::minutes(minutes), begin).await;
    }
}

async fn what_fails_for_ever_is_taken_three_times_and_given_up(rig: &Rig) {
    rig.fault(0, FaultKind::FailStatus { code: passing(rig) });
    let id = rig.send("Olá").await;
    assert_eq!(rig.status(&id).await, "queued");
    assert_eq!(rig.sandbox.count_of(&id), 1);
    let begin = rig.gateway.clock.now();
    rig.later(TimeDelta::seconds(59), begin).await;
    assert_eq!(rig.sandbox.count_of(&id), 1, "a minute has not passed");
    rig.later(TimeDelta::seconds(8), begin).await;
    assert_eq!(rig.sandbox.count_of(&id), 2);
    rig.later(TimeDelta::minutes(9), begin).await;
    assert_eq!(rig.sandbox.count_of(&id), 2, "ten minutes have not passed");
    a_day_passes(rig).await;
    assert_eq!(rig.sandbox.count_of(&id), 3);
    let found = rig.gateway.message(&rig.org, &id).await;
    assert_eq!((&found["status"], &found["queue_state"]), (&json!("failed"), &json!("dead")));
    let journal = found["journal"].as_array().unwrap();
    let then: Vec<&str> =
        journal.iter().map(|one| one["failed_later"]["then"].as_str().unwrap()).collect();
    assert_eq!(then, ["sent_again", "sent_again", "given_up"]);
    let failures = found["statuses"].as_array().unwrap().iter().filter(|s| s["status"] == "failed");
    let attempts: Vec<i64> = failures.map(|s| s["attempt"].as_i64().unwrap()).collect();
    assert_eq!(attempts, [1, 2, 3], "history keeps every failure");
    assert_eq!(found["metadata"]["failure"]["class"], "transient");
    // A person may send it once more, and once only.
    if rig.way.channel == "whatsapp" {
        rig.writes(PERSON, "Oi").await;
    }
    rig.gateway
        .post(&rig.org, &format!("/api/v1/messages/{id}/retry"), json!({}))
        .await
        .expect(200);
    rig.later(TimeDelta::zero(), begin).await;
    a_day_passes(rig).await;
    assert_eq!(rig.sandbox.count_of(&id), 4);
    assert_eq!(rig.status(&id).await, "failed");
}

async fn what_names_no_error_is_never_sent_again(rig: &Rig) {
    rig.fault(0, FaultKind::FailStatus { code: 0 });
    let id = rig.send("Olá").await;
    a_day_passes(rig).await;
    assert_eq!(rig.status(&id).await, "failed");
    rig.took(1);
    assert_eq!(rig.queue().await["dead"]["count"], 1);
}

async fn a_late_failure_undoes_no_delivery(rig: &Rig) {
    rig.fault(0, FaultKind::FailLate { code: passing(rig) });
    let id = rig.send("Olá").await;
    a_day_passes(rig).await;
    let status = rig.status(&id).await;
    assert!(["delivered", "read"].contains(&status.as_str()), "{status}");
    rig.took(1);
    assert_eq!(rig.queue().await["dead"]["count"], 0);
}

async fn what_is_told_twice_is_judged_once(rig: &Rig) {
    rig.fault(1, FaultKind::FailStatus { code: passing(rig) });
    rig.fault(0, FaultKind::DuplicateWebhooks);
    let id = rig.send("Olá").await;
    a_day_passes(rig).await;
    let found = rig.gateway.message(&rig.org, &id).await;
    let status = found["status"].as_str().unwrap();
    assert!(["delivered", "read"].contains(&status), "{status}");
    assert_eq!(found["queue_state"], "sent");
    assert_eq!(rig.sandbox.count_of(&id), 2);
    assert_eq!(rig.queue().await["dead"]["count"], 0);
    let all = json!({ "action": "retry" });
    let again = rig.gateway.post(&rig.org, "/api/v1/dead-letters", all).await.expect(200);
    assert_eq!(again["messages"], 0);
}

async fn webhooks_of_failures_may_come_in_any_order(rig: &Rig) {
    rig.fault(1, FaultKind::FailStatus { code: passing(rig) });
    rig.fault(0, FaultKind::ReorderWebhooks);
    let id = rig.send("Olá").await;
    assert_eq!(rig.status(&id).await, "queued", "`sent` after `failed` is no news");
    a_day_passes(rig).await;
    let status = rig.status(&id).await;
    assert!(["delivered", "read"].contains(&status.as_str()), "{status}");
    assert_eq!(rig.sandbox.count_of(&id), 2);
}
