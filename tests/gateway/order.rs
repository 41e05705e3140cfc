//! One time rules a timeline: what is shown with an entry is the order of every page, and what `from` and `to` compare.

use bytes::Bytes;
use chrono::{SecondsFormat, TimeDelta};
use http::Request;
use providers::{Secret, telnyx};
use serde_json::{Value, json};
use switchboard::clock::{Clock, Timestamp};
use switchboard::ids::{first_at, time_of};
use uuid::Uuid;

use crate::support::meta::{self, AURORA};
use crate::support::{
    Database, Kind, Org, PUBLIC_URL, TestGateway, beginning, on_both_engines, recorded_account,
};

const PERSON: &str = "+5511987654321";

/// Something that becomes known.
enum News {
    Webhook(Box<Request<Bytes>>),
    Message(Value),
    Recorded(Value),
}

/// News of a call of the person's, which happened `at`.
fn call(leg: &str, kind: &str, at: Timestamp) -> News {
    let payload = json!({
        "call_control_id": format!("v3:{leg}"), "call_leg_id": leg, "call_session_id": format!("session-{leg}"),
        "connection_id": "1684641123236054244", "direction": "incoming", "from": PERSON, "to": "+13125550130",
    });
    let event = json!({ "data": {
        "record_type": "event", "event_type": kind, "id": format!("{leg}-{kind}"), "occurred_at": written(at),
        "payload": payload,
    } });
    let request = Request::builder()
        .method("POST")
        .uri(format!("{PUBLIC_URL}/hooks/telnyx"))
        .header("content-type", "application/json")
        .body(Bytes::from(serde_json::to_vec(&event).unwrap()))
        .unwrap();
    let secret = Secret::from(recorded_account(&telnyx::PROVIDER, "aurora").signing_secret);
    News::Webhook(Box::new((telnyx::PROVIDER.sign)(&secret, beginning(), request)))
}

fn message(number: usize, at: Timestamp) -> News {
    let mut text = meta::text(&format!("wamid.{number}"), &PERSON[1..], &format!("text {number}"));
    text["timestamp"] = at.timestamp().to_string().into();
    News::Message(text)
}

fn recorded(lead: &str, channel: &str, at: Timestamp) -> News {
    News::Recorded(json!({
        "lead_id": lead, "channel": channel, "direction": "outbound", "content": channel, "occurred_at": written(at),
    }))
}

fn written(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

impl News {
    async fn comes(self, gateway: &TestGateway, org: &Org) {
        match self {
            News::Webhook(request) => gateway.deliver(*request).await.expect(200),
            News::Message(text) => {
                gateway.meta(&[meta::change(AURORA, &[text], &[])]).await.expect(200)
            }
            News::Recorded(body) => {
                gateway.post(org, "/api/v1/crm/communications", body).await.expect(201)
            }
        };
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// A time of yesterday or before.
    fn time(&mut self) -> Timestamp {
        let micros = self.below(2_000_000_000);
        beginning() - TimeDelta::days(1) - TimeDelta::microseconds(i64::try_from(micros).unwrap())
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }

    /// Calls with four items of news each, messages of a person, and what the CRM records, in any order.
    fn news(&mut self, lead: &str) -> Vec<News> {
        let mut all = Vec::new();
        for number in 0..6 {
            let began = self.time();
            let mut at = began;
            for kind in ["call.initiated", "call.answered", "call.hangup", "call.cost"] {
                all.push(call(&format!("leg-{number}"), kind, at));
                at += TimeDelta::microseconds(i64::try_from(self.below(900_000_000)).unwrap());
            }
            all.push(message(number, self.time()));
            // Beside the call, to the second.
            all.push(message(number + 100, began));
            all.push(recorded(lead, ["email", "voip"][number % 2], self.time()));
        }
        self.shuffle(&mut all);
        all
    }
}

async fn items(gateway: &TestGateway, org: &Org, query: &str) -> (Vec<Value>, Value) {
    let page = gateway.get(org, &format!("/api/v1/{query}")).await.expect(200);
    (page["items"].as_array().unwrap().clone(), page)
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn time(item: &Value) -> Timestamp {
    item["occurred_at"].as_str().unwrap().parse().unwrap()
}

#[track_caller]
fn newest_first(items: &[Value]) {
    let times: Vec<Timestamp> = items.iter().map(time).collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier), "{times:#?}");
}

/// All pages, one after the other.
async fn by_cursor(gateway: &TestGateway, org: &Org, list: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (part, page) = items(gateway, org, &format!("{list}limit={limit}{cursor}")).await;
        all.extend(part);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// Whatever is asked for, the answer is what the times that are shown say.
async fn agrees(gateway: &TestGateway, org: &Org, list: &str, dice: &mut Dice) -> Vec<Value> {
    let (all, page) = items(gateway, org, &format!("{list}limit=200")).await;
    newest_first(&all);
    assert_eq!(page["total"].as_u64().unwrap_or(all.len() as u64), all.len() as u64, "{list}");
    assert_eq!(ids(&by_cursor(gateway, org, list, 1 + dice.below(5)).await), ids(&all), "{list}");
    all
}

async fn ranges_agree(
    gateway: &TestGateway,
    org: &Org,
    list: &str,
    all: &[Value],
    dice: &mut Dice,
) {
    let edge = |dice: &mut Dice| {
        let at = time(&all[dice.below(all.len())]);
        at + TimeDelta::microseconds(i64::try_from(dice.below(3)).unwrap() - 1)
    };
    for _ in 0..6 {
        let (one, other) = (edge(dice), edge(dice));
        let (from, to) = (one.min(other), one.max(other) + TimeDelta::microseconds(1));
        let inside = |item: &&Value| (from..to).contains(&time(item));
        let expected: Vec<Value> = all.iter().filter(inside).cloned().collect();
        let ranged = format!("{list}from={}&to={}&", written(from), written(to));
        let found = agrees(gateway, org, &ranged, dice).await;
        assert_eq!(ids(&found), ids(&expected), "{ranged}");
    }
    // A fraction of a microsecond is later than what is shown without it.
    let at = time(&all[0]);
    let later = format!("{}5Z", written(at).trim_end_matches('Z'));
    let (found, _) = items(gateway, org, &format!("{list}limit=200&from={later}")).await;
    assert!(found.iter().all(|item| time(item) > at), "{list}from={later}");
}

on_both_engines! {
    whatever_order_the_news_comes_in_every_page_is_in_the_order_that_is_shown(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let lead = gateway.lead(&aurora, "Ana", PERSON).await;
        let mut dice = Dice(10);
        let lists = [format!("crm/communications?lead_id={lead}&"), "crm/communications?".to_owned()];
        for (count, news) in dice.news(&lead).into_iter().enumerate() {
            news.comes(&gateway, &aurora).await;
            if count % 10 == 9 {
                for list in &lists {
                    agrees(&gateway, &aurora, list, &mut dice).await;
                }
            }
        }
        let mut everything = Vec::new();
        for list in &lists {
            everything = agrees(&gateway, &aurora, list, &mut dice).await;
            assert_eq!(everything.len(), 6 + 12 + 6, "{list}");
            ranges_agree(&gateway, &aurora, list, &everything, &mut dice).await;
        }
        for (list, is_call) in [("calls?", true), ("messages?", false)] {
            let of_kind = |item: &&Value| (item["kind"] == "call") == is_call;
            let expected: Vec<Value> = everything.iter().filter(of_kind).cloned().collect();
            assert_eq!(ids(&agrees(&gateway, &aurora, list, &mut dice).await), ids(&expected), "{list}");
        }
        let wrong = "select count(*) from call_logs where cast(place as text) = ''";
        assert_eq!(gateway.database.scalar(wrong).await, 0, "every call has its place");
    }

    a_call_whose_beginning_becomes_known_late_is_found_where_it_began(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let lead = gateway.lead(&aurora, "Ana", PERSON).await;
        let at = |minutes| beginning() - TimeDelta::minutes(minutes);
        let news = [
            call("leg", "call.hangup", at(10)), message(1, at(30)), message(2, at(20)), call("leg", "call.initiated", at(40)),
        ];
        let mut id = String::new();
        for news in news {
            news.comes(&gateway, &aurora).await;
            let (calls, _) = items(&gateway, &aurora, "calls?").await;
            assert!(id.is_empty() || calls[0]["id"] == id.as_str(), "it is the same call");
            calls[0]["id"].as_str().unwrap().clone_into(&mut id);
        }
        let list = format!("crm/communications?lead_id={lead}&");
        let all = agrees(&gateway, &aurora, &list, &mut Dice(1)).await;
        assert_eq!(ids(&all)[2], id, "it began before both messages");
        assert_eq!(time(&all[2]), at(40));
        for (from, to, count) in [(45, 35, 1), (35, 5, 2), (15, 5, 0)] {
            let range = format!("{list}limit=50&from={}&to={}", written(at(from)), written(at(to)));
            assert_eq!(items(&gateway, &aurora, &range).await.0.len(), count, "{range}");
        }
    }
}

/// What we make ourselves has the time in its id that is shown, although the clock goes on while it is made.
async fn what_is_made_here_has_one_time(kind: Kind) {
    let database = Database::create(kind).await;
    let gateway = TestGateway::start_at(database, &[], Clock::System).await;
    let (aurora, _) = gateway.two_organizations().await;
    let lead = gateway.lead(&aurora, "Ana", PERSON).await;
    let send = |body: usize| json!({ "channel": "sms", "to": PERSON, "content": { "kind": "text", "body": body.to_string() } });
    for number in 0..3 {
        gateway.post(&aurora, "/api/v1/messages", send(number)).await.expect(202);
        let bulk: Vec<Value> = (3..6).map(send).collect();
        gateway
            .post(&aurora, "/api/v1/messages/bulk", json!({ "messages": bulk }))
            .await
            .expect(202);
        let channel = ["email", "voip"][number % 2];
        let note = json!({ "lead_id": lead, "channel": channel, "direction": "inbound" });
        gateway.post(&aurora, "/api/v1/crm/communications", note).await.expect(201);
    }
    let all = gateway.communications(&aurora).await;
    assert_eq!(all.len(), 15);
    newest_first(&all);
    let log = gateway.get(&aurora, "/api/v1/audit-log").await.expect(200);
    let log = log["items"].as_array().unwrap().iter().map(|entry| (entry, "at"));
    for (item, shown) in all.iter().map(|item| (item, "occurred_at")).chain(log) {
        let id: Uuid = item["id"].as_str().unwrap().parse().unwrap();
        let shown: Timestamp = item[shown].as_str().unwrap().parse().unwrap();
        assert_eq!(time_of(id), shown, "{item}");
        assert!(first_at(shown) <= id, "{item}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn what_is_made_here_has_one_time_on_sqlite() {
    what_is_made_here_has_one_time(Kind::Sqlite).await;
}

#[tokio::test]
async fn what_is_made_here_has_one_time_on_postgres() {
    what_is_made_here_has_one_time(Kind::Postgres).await;
}
