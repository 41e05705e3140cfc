//! Calls that were passed on: who talked, which legs belong to them, and what is presumed of those of which nothing is heard.

use chrono::TimeDelta;
use providers::{Provider, telnyx, twilio};
use serde_json::Value;
use switchboard::flow::calls::close_silent;

use crate::support::{Kind, Org, TestGateway, on_both_engines};

/// Every order of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let insert = |order: Vec<usize>| {
        (0..=order.len()).map(move |place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    };
    orders(count - 1).into_iter().flat_map(insert).collect()
}

async fn calls(gateway: &TestGateway, org: &Org) -> Vec<Value> {
    let calls = gateway.get(org, "/api/v1/calls").await.expect(200);
    calls["items"].as_array().unwrap().clone()
}

/// The call that was passed on: the one that no other call was dialled from.
fn first(calls: &[Value]) -> &Value {
    calls.iter().find(|call| call["metadata"]["parent_call_id"].is_null()).unwrap()
}

/// What is told of the first call and of how many legs, in every order in which the webhooks may arrive; each is delivered twice.
async fn told(provider: &'static Provider, names: &[&str], expected: (&str, i64, usize)) {
    let (outcome, seconds, legs) = expected;
    for order in orders(names.len()) {
        let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
        let (aurora, _) = gateway.two_organizations().await;
        for place in order.iter().chain(order.first()) {
            gateway.deliver_recorded(provider, names[*place]).await.expect(200);
        }
        let calls = calls(&gateway, &aurora).await;
        assert_eq!(calls.len(), legs + 1, "{order:?}: {calls:#?}");
        let call = first(&calls);
        assert_eq!(call["metadata"]["outcome"], outcome, "{order:?}: {call:#}");
        assert_eq!(call["metadata"]["duration_seconds"], seconds, "{order:?}: {call:#}");
        assert_eq!(call["direction"], "inbound");
        let inbox = gateway.get(&aurora, "/api/v1/webhook-inbox").await.expect(200);
        assert!(inbox["items"].as_array().unwrap().is_empty(), "{order:?}: {inbox:#}");
        gateway.end().await;
    }
}

#[tokio::test]
async fn a_forwarded_call_that_nobody_took_is_missed() {
    let names = [
        "call-forwarded-missed-1-arrives",
        "call-forwarded-missed-3-leg-no-answer",
        "call-forwarded-missed-4-action",
        "call-forwarded-missed-5-completed",
    ];
    told(&twilio::PROVIDER, &names, ("missed", 0, 1)).await;
    // Without a status callback; without an action; without either of the leg's.
    told(&twilio::PROVIDER, &[names[0], names[2]], ("missed", 0, 1)).await;
    told(&twilio::PROVIDER, &[names[0], names[1], names[3]], ("missed", 0, 1)).await;
    told(&twilio::PROVIDER, &["call-forwarded-declined-action"], ("missed", 0, 1)).await;
    let names = [
        "texml-forwarded-missed-1-fetch",
        "texml-forwarded-missed-2-action",
        "texml-forwarded-missed-3-completed",
    ];
    told(&telnyx::PROVIDER, &names, ("missed", 0, 1)).await;
}

#[tokio::test]
async fn a_forwarded_call_that_was_bridged_is_answered() {
    let names = [
        "call-forwarded-bridged-1-arrives",
        "call-forwarded-bridged-3-leg-completed",
        "call-forwarded-bridged-4-action",
        "call-forwarded-bridged-5-completed",
    ];
    told(&twilio::PROVIDER, &names, ("answered", 121, 1)).await;
    told(&twilio::PROVIDER, &[names[0], names[2]], ("answered", 121, 1)).await;
    told(&twilio::PROVIDER, &[names[0], names[1], names[3]], ("answered", 121, 1)).await;
    let names = [
        "texml-forwarded-bridged-1-fetch",
        "texml-forwarded-bridged-2-action",
        "texml-forwarded-bridged-3-completed",
    ];
    told(&telnyx::PROVIDER, &names, ("answered", 65, 1)).await;
}

#[tokio::test]
async fn a_queued_call_is_what_became_of_it() {
    let missed = [
        "call-queued-missed-1-arrives",
        "call-queued-missed-2-action",
        "call-queued-missed-3-completed",
    ];
    told(&twilio::PROVIDER, &missed, ("missed", 0, 0)).await;
    told(&twilio::PROVIDER, &missed[..2], ("missed", 0, 0)).await;
    let bridged = [
        "call-queued-bridged-1-arrives",
        "call-queued-bridged-2-action",
        "call-queued-bridged-3-completed",
    ];
    told(&twilio::PROVIDER, &bridged, ("answered", 60, 0)).await;
    told(&telnyx::PROVIDER, &["texml-queue-hangup"], ("missed", 0, 0)).await;
}

/// The first leg is heard of first: as long as nobody knows the conversation, a leg with its caller's own number is nobody's.
#[tokio::test]
async fn a_call_that_is_commanded_is_what_its_legs_say() {
    let bridged = [
        "voice-forwarded-bridged-1-initiated",
        "voice-forwarded-bridged-2-answered",
        "voice-forwarded-bridged-3-leg-initiated",
        "voice-forwarded-bridged-4-leg-answered",
        "voice-forwarded-bridged-5-bridged",
        "voice-forwarded-bridged-6-leg-hangup",
        "voice-forwarded-bridged-7-hangup",
    ];
    let missed = [
        "voice-forwarded-missed-1-initiated",
        "voice-forwarded-missed-2-answered",
        "voice-forwarded-missed-3-leg-initiated",
        "voice-forwarded-missed-4-leg-hangup",
        "voice-forwarded-missed-5-hangup",
    ];
    for (names, outcome, seconds) in [(&bridged[..], "answered", 40), (&missed[..], "missed", 0)] {
        for turn in 0..names.len() - 1 {
            let gateway = TestGateway::start(Kind::Sqlite, &[]).await;
            let (aurora, _) = gateway.two_organizations().await;
            gateway.deliver_recorded(&telnyx::PROVIDER, names[0]).await.expect(200);
            let mut rest = names[1..].to_vec();
            rest.rotate_left(turn);
            if turn % 2 == 1 {
                rest.reverse();
            }
            for name in &rest {
                gateway.deliver_recorded(&telnyx::PROVIDER, name).await.expect(200);
            }
            let calls = calls(&gateway, &aurora).await;
            assert_eq!(calls.len(), 2, "{rest:?}: {calls:#?}");
            let call = first(&calls);
            assert_eq!(call["metadata"]["outcome"], outcome, "{rest:?}: {call:#}");
            assert_eq!(call["metadata"]["duration_seconds"], seconds, "{rest:?}: {call:#}");
            assert_eq!(gateway.count("contacts").await, 1, "the agent is no customer");
            assert_eq!(gateway.count("webhook_quarantine").await, 0);
            gateway.end().await;
        }
    }
}

on_both_engines! {
    a_leg_that_shows_its_callers_number_finds_its_call(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        for name in ["1-arrives", "2-leg-initiated", "3-leg-no-answer", "4-action", "5-completed"] {
            let name = format!("call-forwarded-missed-{name}");
            gateway.deliver_recorded(&twilio::PROVIDER, &name).await.expect(200);
        }
        let calls = calls(&gateway, &aurora).await;
        assert_eq!(calls.len(), 2);
        let call = first(&calls);
        let leg = calls.iter().find(|leg| leg["id"] != call["id"]).unwrap();
        assert_eq!(leg["metadata"]["parent_call_id"], call["metadata"]["provider_call_id"]);
        assert_eq!(leg["direction"], "outbound");
        assert_eq!(leg["metadata"]["our_address"], call["metadata"]["our_address"]);
        assert_eq!(leg["metadata"]["outcome"], "no_answer");
        assert!(leg["contact_id"].is_null() && call["contact_id"].is_string());
        assert_eq!(gateway.count("contacts").await, 1, "the agent's telephone is no customer");
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
        let id = |call: &Value| call["id"].as_str().unwrap().to_owned();
        let shown = gateway.get(&aurora, &format!("/api/v1/calls/{}", id(leg))).await.expect(200);
        assert_eq!(shown["parent_id"], call["id"]);
        let shown = gateway.get(&aurora, &format!("/api/v1/calls/{}", id(call))).await.expect(200);
        assert_eq!(shown["leg_ids"][0], leg["id"]);
        assert!(gateway.communications(&borealis).await.is_empty());
    }

    a_bridged_call_is_answered_for_as_long_as_they_talked(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        for name in ["1-arrives", "2-leg-answered", "3-leg-completed", "4-action", "5-completed"] {
            let name = format!("call-forwarded-bridged-{name}");
            gateway.deliver_recorded(&twilio::PROVIDER, &name).await.expect(200);
        }
        gateway.deliver_recorded(&twilio::PROVIDER, "call-forwarded-leg-to-a-browser").await.expect(200);
        let calls = calls(&gateway, &aurora).await;
        assert_eq!(calls.len(), 3);
        let call = first(&calls);
        assert_eq!(call["metadata"]["outcome"], "answered");
        assert_eq!(call["metadata"]["duration_seconds"], 121);
        assert_eq!(call["metadata"]["line_seconds"], 140);
        assert_eq!(gateway.count("contacts").await, 1, "neither telephone nor browser is a customer");
    }

    whoever_calls_from_a_browser_is_no_customer(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.deliver_recorded(&twilio::PROVIDER, "call-from-a-browser").await.expect(200);
        let calls = calls(&gateway, &aurora).await;
        assert_eq!(calls[0]["direction"], "outbound");
        let contacts = gateway.get(&aurora, "/api/v1/contacts").await.expect(200);
        assert_eq!(contacts["items"].as_array().unwrap().len(), 1, "{contacts:#}");
        assert!(contacts.to_string().contains("+14155550171") && !contacts.to_string().contains("client:"));
    }

    a_conferences_end_is_a_fact_of_its_call(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.deliver_recorded(&twilio::PROVIDER, "call-forwarded-bridged-1-arrives").await.expect(200);
        for name in ["call-conference-ended", "call-conference-ended-by-api"] {
            gateway.deliver_recorded(&twilio::PROVIDER, name).await.expect(200);
        }
        let calls = calls(&gateway, &aurora).await;
        assert_eq!(calls.len(), 1, "a conference is no call");
        let call = gateway.get(&aurora, &format!("/api/v1/calls/{}", calls[0]["id"].as_str().unwrap())).await.expect(200);
        assert!(call["events"].to_string().contains("conference-end"), "{call:#}");
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
    }

    a_call_of_which_nothing_is_heard_is_missed_until_more_is_heard(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.deliver_recorded(&twilio::PROVIDER, "call-forwarded-bridged-1-arrives").await.expect(200);
        assert_eq!(close_silent(&gateway.gateway).await.unwrap(), 0);
        gateway.advance(TimeDelta::seconds(119));
        assert_eq!(close_silent(&gateway.gateway).await.unwrap(), 0);
        let before = calls(&gateway, &aurora).await;
        assert_eq!((&before[0]["status"], &before[0]["metadata"]["outcome"]), (&Value::from("ringing"), &Value::Null));
        gateway.advance(TimeDelta::seconds(2));
        let (one, two) = tokio::join!(close_silent(&gateway.gateway), close_silent(&gateway.gateway));
        assert_eq!(one.unwrap() + two.unwrap(), 1, "it is closed once, whoever looks");
        let silent = calls(&gateway, &aurora).await;
        assert_eq!(silent[0]["status"], "no_answer");
        assert_eq!(silent[0]["metadata"]["outcome"], "missed");
        assert_eq!(silent[0]["metadata"]["presumed"], true);
        // The same again is no news, and what happened before changes nothing.
        gateway.deliver_recorded(&twilio::PROVIDER, "call-forwarded-bridged-1-arrives").await.expect(200);
        assert_eq!(calls(&gateway, &aurora).await[0]["metadata"]["outcome"], "missed");
        for name in ["call-forwarded-bridged-4-action", "call-forwarded-bridged-5-completed"] {
            gateway.deliver_recorded(&twilio::PROVIDER, name).await.expect(200);
        }
        let heard = calls(&gateway, &aurora).await;
        let call = first(&heard);
        assert_eq!(call["id"], silent[0]["id"]);
        assert_eq!((&call["status"], &call["metadata"]["outcome"]), (&Value::from("completed"), &Value::from("answered")));
        assert!(call["metadata"]["presumed"].is_null());
        gateway.advance(TimeDelta::hours(2));
        assert_eq!(close_silent(&gateway.gateway).await.unwrap(), 0);
        let events = gateway.get(&aurora, "/api/v1/events").await.expect(200);
        let told: Vec<&Value> = events["items"].as_array().unwrap().iter()
            .filter(|event| event["type"].as_str().is_some_and(|kind| kind.starts_with("call.")))
            .filter(|event| event["subject_id"] == call["id"]).map(|event| &event["data"]["outcome"]).collect();
        assert_eq!(told.first(), Some(&&Value::Null), "{events:#}");
        assert!(told.contains(&&Value::from("missed")) && told.last() == Some(&&Value::from("answered")), "{events:#}");
    }
}

#[tokio::test]
async fn silence_may_last_for_ever() {
    let gateway = TestGateway::start(Kind::Sqlite, &["calls.silence_seconds=0"]).await;
    let (aurora, _) = gateway.two_organizations().await;
    gateway
        .deliver_recorded(&twilio::PROVIDER, "call-forwarded-bridged-1-arrives")
        .await
        .expect(200);
    gateway.advance(TimeDelta::days(1));
    assert_eq!(close_silent(&gateway.gateway).await.unwrap(), 0);
    assert_eq!(calls(&gateway, &aurora).await[0]["status"], "ringing");
    gateway.end().await;
}
