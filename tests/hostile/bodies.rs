//! Bodies that do not end, or that nobody asked for: they take no room from genuine webhooks.

use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;

use super::{figure, scale};
use crate::support::listening::{Listening, head, wire};
use crate::support::meta::{self, AURORA, BOREALIS};
use crate::support::{Kind, Org, TestGateway, on_both_engines, recorded_account};

/// Room for few bodies, so that few attackers fill it.
const NARROW: [&str; 2] = ["server.listen=127.0.0.1:0", "intake.queue_bytes=4194304"];

const NOBODYS: &str = "/hooks/meta/0197f1a0-0000-7000-8000-000000000000";

fn genuine(id: &str) -> Request<Bytes> {
    let change = meta::change(AURORA, &[meta::text(id, "5511987654321", id)], &[]);
    meta::signed("/hooks/meta", serde_json::to_vec(&meta::notification(&[change])).unwrap())
}

/// A webhook whose head is in order, and whose signature is nobody's.
fn forged(path: &str) -> Request<Bytes> {
    meta::signed_with("somebody else's secret", path, "{}")
}

async fn aurora(gateway: &TestGateway) -> Org {
    let org = gateway.organization_in("Aurora", Some("BR")).await;
    gateway.connect(&org, &providers::meta::PROVIDER, "aurora").await;
    org
}

/// Delivers genuine webhooks; all of them must be stored.
async fn deliver(listening: &Listening, round: &str) {
    for number in 0..20 * scale() {
        let mut connection = listening.connect().await;
        connection.say(wire(&genuine(&format!("wamid.{round}.{number}")))).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.0, 200, "{round} {number}: {}", answer.1);
    }
}

/// Many bodies of 3 MB are begun, far more than there is room for, and none is ended.
async fn check_unfinished(kind: Kind) {
    let gateway = TestGateway::start(kind, &NARROW).await;
    let listening = Listening::start(&gateway).await;
    aurora(&gateway).await;
    let unsigned = Request::post("/hooks/meta").body(Bytes::new()).unwrap();
    let mut malformed = forged("/hooks/meta");
    malformed.headers_mut().insert("x-hub-signature-256", "sha256=no".parse().unwrap());
    let attacks = [
        ("unknown account", forged(NOBODYS), Some(404)),
        ("no signature", unsigned, Some(401)),
        ("malformed signature", malformed, Some(401)),
        ("forged signature", forged("/hooks/meta"), None),
    ];
    for (what, request, answered) in attacks {
        let mut attackers = Vec::new();
        for _ in 0..40 {
            let mut connection = listening.connect().await;
            connection.say(head(&request, 3_000_000)).await;
            let _ = connection.0.try_write(&vec![b' '; 200 << 10]);
            attackers.push(connection);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        deliver(&listening, what).await;
        figure(
            format!("40 unfinished bodies of 3 MB on {kind:?}: {what}"),
            format!("{} genuine webhooks, stored all", 20 * scale()),
        );
        for attacker in attackers.iter_mut().take(3).filter(|_| answered.is_some()) {
            let answer = attacker.answer().await.unwrap();
            assert_eq!(Some(answer.0), answered, "{what}: without a look at the body");
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while gateway.gateway.intake_room.taken() > 0 {
        assert!(Instant::now() < deadline, "what does not come gives its room back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    listening.stop().await;
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_bodies_keep_no_genuine_webhook_out_sqlite() {
    check_unfinished(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_bodies_keep_no_genuine_webhook_out_postgres() {
    check_unfinished(Kind::Postgres).await;
}

/// A body that is never ended.
fn endless(first: usize) -> Body {
    use futures_util::StreamExt;
    let first =
        futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b' '; first]))]);
    Body::from_stream(first.chain(futures_util::stream::pending()))
}

on_both_engines! {
    a_slow_body_is_given_up(gateway) {
        let org = aurora(&gateway).await;
        let webhook = forged("/hooks/meta").map(|_| endless(1_000));
        let api = |path: &str, kind: &str| Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", org.key))
            .header("x-org-id", org.id.to_string())
            .header(header::CONTENT_TYPE, kind)
            .body(endless(10))
            .unwrap();
        let requests = [
            webhook,
            api("/api/v1/leads", "application/json"),
            api("/api/v1/media", "image/png"),
        ];
        for request in requests {
            let path = request.uri().path().to_owned();
            let started = Instant::now();
            let answer = gateway.front().call(request, None).await;
            assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT, "{path}");
            assert!(started.elapsed() < Duration::from_secs(10), "{path}");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(String::from_utf8_lossy(&body).contains("body_too_slow"), "{path}");
        }
        assert_eq!(gateway.gateway.intake_room.taken(), 0);
    }

    an_account_that_another_process_made_is_found_at_once(gateway) {
        aurora(&gateway).await;
        // Strangers make ids up all the time.
        let strangers = (0..50 * scale()).map(|_| gateway.send(forged(NOBODYS)));
        let strangers = futures_util::future::join_all(strangers);
        let made = async {
            let other = TestGateway::start_on(gateway.database.clone(), &[]).await;
            let borealis = other.organization_in("Borealis", Some("AR")).await;
            let account = recorded_account(&providers::meta::PROVIDER, "borealis");
            let id = other.connect_only(&borealis, &providers::meta::PROVIDER, &account).await;
            let change = meta::change(BOREALIS, &[meta::text("wamid.1", "5511987654321", "Oi")], &[]);
            let body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
            let path = format!("/hooks/meta/{id}");
            let started = Instant::now();
            let request = meta::signed_with(&account.signing_secret, &path, body);
            gateway.send(request).await.expect(200);
            assert!(started.elapsed() < Duration::from_secs(5));
            other.end().await;
        };
        let started = Instant::now();
        let (strangers, ()) = tokio::join!(strangers, made);
        assert!(strangers.iter().all(|answer| answer.status == StatusCode::NOT_FOUND));
        assert!(started.elapsed() < Duration::from_secs(10), "they share their looks");
    }
}
