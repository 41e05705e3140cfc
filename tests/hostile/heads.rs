//! An organization's head that somebody holds: nobody else's webhooks wait for it, and its own do not starve.

use std::time::Duration;

use futures_util::future::join_all;
use switchboard::store::Session;
use switchboard::store::events::Outbox;
use tokio::time::timeout;

use crate::support::meta::{self, AURORA, BOREALIS};
use crate::support::{Kind, Org, TestGateway};

/// How long anything may take that does not wait for anybody.
const SOON: Duration = Duration::from_secs(20);

/// Somebody else's transaction that has an organization's head (on SQLite: the one writer).
pub async fn head_of(gateway: &TestGateway, org: &Org) -> Session {
    let mut session = gateway.gateway.store.write_all().await.unwrap();
    Outbox::lock(&mut session, [org.id]).await.unwrap();
    session
}

/// Webhooks for borealis of every kind, one after the other: 15 new messages.
async fn on_every_way(gateway: &TestGateway) {
    let text = |id: &str, from: &str| meta::text(id, from, id);
    for n in 1..=20 {
        let changes = match n % 4 {
            0 => meta::change(
                BOREALIS,
                &[],
                &[meta::status(&format!("wamid.s{n}"), "sent", 1_793_534_400)],
            ),
            // Somebody new.
            1 => meta::change(
                BOREALIS,
                &[text(&format!("wamid.b{n}0"), &format!("55219765432{n:02}"))],
                &[],
            ),
            _ => meta::change(BOREALIS, &[text(&format!("wamid.b{n}0"), "5511987654321")], &[]),
        };
        gateway.meta(&[changes]).await.expect(200);
    }
    // Delivered again: nothing changes.
    gateway
        .meta(&[meta::change(BOREALIS, &[text("wamid.b10", "5511987654321")], &[])])
        .await
        .expect(200);
}

/// Somebody's transaction has aurora's head: borealis' webhooks are answered all the same, on every way, and aurora's are once
/// the head is free; each is stored once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_held_delays_nobody_elses_webhooks() {
    let gateway = TestGateway::start(Kind::Postgres, &[]).await;
    let (aurora, borealis) = gateway.two_organizations().await;
    let text = |id: &str, from: &str| meta::text(id, from, id);
    // Somebody who is known, so that the next one takes the shortest way.
    gateway
        .meta(&[meta::change(AURORA, &[text("wamid.a0", "5511987654321")], &[])])
        .await
        .expect(200);
    gateway
        .meta(&[meta::change(BOREALIS, &[text("wamid.b0", "5511987654321")], &[])])
        .await
        .expect(200);
    let theirs = head_of(&gateway, &aurora).await;
    let changes = [
        vec![meta::change(AURORA, &[text("wamid.a1", "5511987654321")], &[])],
        vec![meta::change(AURORA, &[text("wamid.a2", "5521976543210")], &[])],
        vec![meta::change(AURORA, &[], &[meta::status("wamid.a1", "read", 1_793_534_401)])],
        // A request that names both waits for both.
        vec![
            meta::change(AURORA, &[text("wamid.a3", "5511987654321")], &[]),
            meta::change(BOREALIS, &[text("wamid.b9", "5511987654321")], &[]),
        ],
    ];
    let held = join_all(changes.iter().map(|changes| gateway.meta(changes)));
    let mut held = Box::pin(held);
    tokio::select! {
        biased;
        _ = &mut held => panic!("somebody else has aurora's head"),
        () = tokio::time::sleep(Duration::from_millis(300)) => {}
    }
    let others = on_every_way(&gateway);
    tokio::select! {
        biased;
        _ = &mut held => panic!("somebody else has aurora's head"),
        done = timeout(SOON, others) => done.expect("borealis' webhooks wait for aurora's head"),
    }
    assert_eq!(gateway.communications(&borealis).await.len(), 16);
    assert_eq!(gateway.communications(&aurora).await.len(), 1);
    drop(theirs);
    let answers =
        timeout(SOON, &mut held).await.expect("aurora's webhooks come when the head is free");
    for answer in answers {
        answer.expect(200);
    }
    drop(held);
    assert_eq!(gateway.communications(&aurora).await.len(), 4);
    assert_eq!(gateway.communications(&borealis).await.len(), 17);
    gateway.end().await;
}

/// Whoever takes the head again as soon as it is free starves nobody: whoever waits for it has it in their turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_always_taken_again_starves_nobody() {
    let gateway = TestGateway::start(Kind::Postgres, &[]).await;
    let (aurora, _) = gateway.two_organizations().await;
    let greedy = async {
        loop {
            let head = head_of(&gateway, &aurora).await;
            tokio::time::sleep(Duration::from_millis(40)).await;
            head.commit().await.unwrap();
        }
    };
    let webhooks = join_all((0..40).map(async |n| {
        let text = meta::text(&format!("wamid.{n}"), &format!("55119876543{n:02}"), "Oi");
        gateway.meta(&[meta::change(AURORA, &[text], &[])]).await
    }));
    // Two of the greedy: one always waits while the other has the head.
    tokio::select! {
        answers = timeout(SOON, webhooks) => {
            for answer in answers.expect("webhooks starve") {
                answer.expect(200);
            }
        }
        () = async { tokio::join!(greedy, async {
            loop {
                let head = head_of(&gateway, &aurora).await;
                tokio::time::sleep(Duration::from_millis(40)).await;
                head.commit().await.unwrap();
            }
        }); } => {}
    }
    assert_eq!(gateway.communications(&aurora).await.len(), 40);
    gateway.end().await;
}
