//! Few connections and many who want one: everybody has their turn, and nobody is hurt by those who give up.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::json;

use crate::support::{Kind, Org, TestGateway};

const ROUNDS: usize = 12;

/// What comes one after the other on a connection: a page, which keeps it; a read, which gives it back; a write.
async fn wants(gateway: &TestGateway, org: &Org, lead: &str, number: usize) {
    let path = format!("/api/v1/crm/communications?lead_id={lead}");
    match number % 4 {
        0 => gateway.get(org, "/api/v1/leads").await.expect(200),
        1 => {
            let body = json!({ "name": format!("Lead {number}"), "email": format!("{number}@example.com") });
            gateway.post(org, "/api/v1/leads", body).await.expect(201)
        }
        _ => gateway.get(org, &path).await.expect(200),
    };
}

async fn everybody_has_their_turn(connections: &str) {
    let gateway = TestGateway::start(Kind::Postgres, &[connections]).await;
    let (aurora, _) = gateway.two_organizations().await;
    let lead = gateway.lead(&aurora, "Ana", "+5511987654321").await;
    for round in 0..ROUNDS {
        let served = join_all((0..24).map(|n| wants(&gateway, &aurora, &lead, round * 24 + n)));
        // Dropped wherever it stands: waiting for a connection, or in the middle of a statement.
        let given_up = join_all((0..12_u32).map(async |n| {
            let slow =
                gateway.call(&aurora, Method::GET, "/api/v1/crm/communications?search=x", None);
            let _ = tokio::time::timeout(Duration::from_micros(u64::from(n) * 400), slow).await;
        }));
        let both = async { tokio::join!(served, given_up) };
        tokio::time::timeout(Duration::from_secs(4), both).await.expect("somebody waits in vain");
    }
    let leads = gateway.get(&aurora, "/api/v1/leads?limit=200").await.expect(200);
    assert_eq!(leads["items"].as_array().unwrap().len(), 1 + ROUNDS * 6);
    gateway.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_everybody() {
    everybody_has_their_turn("database.connections=1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_serve_everybody() {
    everybody_has_their_turn("database.connections=2").await;
}

/// Whoever got such a connection would write, be told that all is well, and nothing would be committed.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_beginning_is_given_up_does_not_stay_open() {
    let gateway = TestGateway::start(Kind::Postgres, &["database.connections=1"]).await;
    let aurora = gateway.organization("Aurora").await;
    let open = "select count(*) from pg_stat_activity
                where datname = current_database() and state like 'idle in transaction%'";
    let mut given_up = 0;
    for patience in 0..120 {
        tokio::select! {
            biased;
            () = async { for _ in 0..patience * 8 { tokio::task::yield_now().await } } => given_up += 1,
            begun = gateway.gateway.store.write(aurora.id) => drop(begun.unwrap()),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(gateway.database.scalar(open).await, 0, "given up after {patience} turns");
    }
    assert!(given_up > 20, "{given_up}");
    gateway.lead(&aurora, "Ana", "+5511987654321").await;
    assert_eq!(gateway.count("leads").await, 1, "another connection sees it");
    gateway.end().await;
}
