//! Many items in one request, many requests in one transaction: none harms another.

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::meta::{self, AURORA, BOREALIS, NOBODYS};
use crate::support::{Kind, TestGateway, on_both_engines, recorded_account};

on_both_engines! {
    each_item_of_a_batch_finds_its_own_organization(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let broken = json!({ "id": "wamid.broken", "timestamp": "soon", "type": "text", "text": { "body": "x" } });
        let unknown = json!({ "id": "wamid.unknown", "timestamp": "1793534400", "type": "hologram", "hologram": {} });
        let answer = gateway.meta(&[
            meta::change(AURORA, &[meta::text("wamid.a1", "5511987654321", "a1"), broken, unknown, meta::text("wamid.a2", "5521976543210", "a2")], &[]),
            meta::change(NOBODYS, &[meta::text("wamid.n", "5511987654321", "nobody's")], &[]),
            meta::change(BOREALIS, &[meta::text("wamid.b", "5511987654321", "b")], &[meta::status("wamid.sent", "sent", 1_793_534_400)]),
        ]).await;
        answer.expect(200);
        let contents = |items: Vec<serde_json::Value>| {
            let mut texts: Vec<String> = items.iter().map(|i| i["content"].as_str().unwrap().to_owned()).collect();
            texts.sort();
            texts
        };
        assert_eq!(contents(gateway.communications(&aurora).await), ["a1", "a2"]);
        assert_eq!(contents(gateway.communications(&borealis).await), ["b"]);
        let waiting = gateway.get(&aurora, "/api/v1/webhook-inbox").await.expect(200);
        let reasons: Vec<&str> = waiting["items"].as_array().unwrap().iter().map(|i| i["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["unreadable", "unreadable"], "both broken items are aurora's, the unknown number is nobody's");
        assert!(waiting["items"][0]["raw"].as_str().unwrap().contains("wamid."), "kept whole");
        let of_borealis = gateway.get(&borealis, "/api/v1/webhook-inbox").await.expect(200);
        assert!(of_borealis["items"].as_array().unwrap().is_empty());
        let platform = gateway.database.scalar("select count(*) from webhook_quarantine where reason = 'unrouted'").await;
        assert_eq!(platform, 1);
        assert_eq!(gateway.count("waiting_changes").await, 1, "the status waits for its message");
    }

    a_request_that_names_two_organizations_is_seen_by_neither(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        gateway.meta(&[
            meta::change(AURORA, &[meta::text("wamid.a", "5511987654321", "for aurora")], &[]),
            meta::change(BOREALIS, &[meta::text("wamid.b", "5511987654321", "for borealis")], &[]),
        ]).await.expect(200);
        gateway.meta(&[meta::change(AURORA, &[meta::text("wamid.a2", "5511987654321", "aurora only")], &[])]).await.expect(200);
        let requests = |org| gateway.get(org, "/api/v1/webhook-inbox/requests");
        let of_aurora = requests(&aurora).await.expect(200);
        assert_eq!(of_aurora["items"].as_array().unwrap().len(), 1);
        assert!(requests(&borealis).await.expect(200)["items"].as_array().unwrap().is_empty());
        let id = of_aurora["items"][0]["id"].as_str().unwrap();
        let path = format!("/api/v1/webhook-inbox/requests/{id}");
        let own = gateway.get(&aurora, &path).await.expect(200);
        assert!(own["body_base64"].is_string() && own["headers"].as_str().unwrap().contains("content-type"));
        gateway.get(&borealis, &path).await.expect(404);
        assert_eq!(gateway.count("webhook_inbox").await, 2);
    }

    an_organization_cannot_write_to_another_with_its_own_key(gateway) {
        let (_, borealis) = gateway.two_organizations().await;
        let mallory = gateway.organization("Mallory").await;
        let mut account = recorded_account(&providers::meta::PROVIDER, "aurora");
        let own_secret = "00112233445566778899aabbccddeeff";
        account.secrets.insert("app_secret".to_owned(), own_secret.to_owned());
        account.settings.insert("waba_id".to_owned(), "31337".to_owned());
        let id = gateway.connect_only(&mallory, &providers::meta::PROVIDER, &account).await;
        // Genuine by mallory's own key, at mallory's own URL, about borealis' number.
        let change = meta::change(BOREALIS, &[meta::text("wamid.evil", "5511987654321", "transfer the money")], &[]);
        let body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
        let request = meta::signed_with(own_secret, &format!("/hooks/meta/{id}"), body.clone());
        gateway.deliver(request).await.expect(200);
        assert!(gateway.communications(&borealis).await.is_empty());
        let kept = gateway.get(&mallory, "/api/v1/webhook-inbox").await.expect(200);
        assert_eq!(kept["items"][0]["reason"], "unrouted", "it is kept where it came from");
        // At the shared URL the body names borealis' account, whose key does not match; mallory's does, and it is mallory's.
        let request = meta::signed_with(own_secret, "/hooks/meta", body);
        gateway.deliver(request).await.expect(200);
        assert!(gateway.communications(&borealis).await.is_empty());
        assert_eq!(gateway.get(&borealis, "/api/v1/webhook-inbox").await.expect(200)["items"], json!([]));
        // And mallory cannot claim a line of an application whose key it does not hold, nor learn anything by trying.
        let route = json!({ "account_id": id, "channel": "whatsapp", "address": "+5491150317788", "handle": BOREALIS });
        gateway.post(&mallory, "/api/v1/routes", route).await.expect(201);
        assert_eq!(gateway.communications(&mallory).await.len(), 1, "what its own key signed is its own");
        let request = meta::signed("/hooks/meta", serde_json::to_vec(&meta::notification(&[
            meta::change(BOREALIS, &[meta::text("wamid.real", "5511987654321", "hello")], &[])])).unwrap());
        gateway.deliver(request).await.expect(200);
        assert_eq!(gateway.communications(&borealis).await.len(), 1);
        assert_eq!(gateway.communications(&mallory).await.len(), 1);
    }

    a_line_belongs_to_one_organization_of_an_application(gateway) {
        let (_, borealis) = gateway.two_organizations().await;
        let accounts = gateway.get(&borealis, "/api/v1/accounts").await.expect(200);
        let account = accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == "meta").unwrap().clone();
        let route = json!({ "account_id": account["id"], "channel": "whatsapp", "address": "+551140028922", "handle": AURORA });
        let refused = gateway.post(&borealis, "/api/v1/routes", route).await.expect(409);
        assert_eq!(refused["detail"], "another organization has this line");
    }

    one_poisoned_item_harms_no_neighbour(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        poison(&gateway).await;
        let posts: Vec<_> = (0..20).map(|number| {
            let body = if number == 7 { "poison".to_owned() } else { format!("message {number}") };
            let line = if number % 2 == 0 { BOREALIS } else { AURORA };
            let mut messages = vec![meta::text(&format!("wamid.{number}"), "5511987654321", &body)];
            if number == 7 {
                messages.push(meta::text("wamid.neighbour", "5511987654321", "neighbour"));
            }
            vec![meta::change(line, &messages, &[])]
        }).collect();
        let answers = join_all(posts.iter().map(|changes| gateway.meta(changes))).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "what is kept is answered 200");
        assert_eq!(gateway.communications(&borealis).await.len(), 10);
        let of_aurora = gateway.communications(&aurora).await;
        assert_eq!(of_aurora.len(), 10, "nine, and the neighbour in the same request");
        assert!(of_aurora.iter().any(|item| item["content"] == "neighbour"));
        let waiting = gateway.get(&aurora, "/api/v1/webhook-inbox").await.expect(200);
        assert_eq!(waiting["items"].as_array().unwrap().len(), 1);
        let item = &waiting["items"][0];
        assert_eq!(item["reason"], "refused");
        let replay = format!("/api/v1/webhook-inbox/{}/replay", item["id"].as_str().unwrap());
        assert_eq!(gateway.post(&aurora, &replay, json!({})).await.expect(200)["resolved"], false);
        cure(&gateway).await;
        let replayed = gateway.post(&aurora, &replay, json!({})).await.expect(200);
        assert_eq!((&replayed["resolved"], &replayed["stored"]), (&json!(true), &json!(1)));
        assert_eq!(gateway.communications(&aurora).await.len(), 11);
    }

    webhooks_that_come_together_share_a_transaction(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        // The gateway's news counts the batcher's transactions, and what the API does, of which there is nothing here.
        let transactions = || *gateway.gateway.news.borrow();
        let before = transactions();
        let hold = Hold::take(&gateway).await;
        let posts: Vec<_> = (0..64).map(|number| {
            let line = if number % 2 == 0 { AURORA } else { BOREALIS };
            let text = meta::text(&format!("wamid.{number}"), "5511987654321", &format!("message {number}"));
            vec![meta::change(line, &[text], &[])]
        }).collect();
        let waiting = join_all(posts.iter().map(|changes| gateway.meta(changes)));
        let releasing = async {
            while gateway.gateway.batcher.depth() < 64 {
                tokio::task::yield_now().await;
            }
            assert_eq!(transactions(), before, "nothing is answered before it is committed");
            hold.release().await;
        };
        let (answers, ()) = tokio::join!(waiting, releasing);
        assert!(answers.iter().all(|answer| answer.status == 200));
        let count = transactions() - before;
        assert!((1..=2).contains(&count), "what came while the first was held up goes together: {count} transactions");
        assert_eq!(gateway.communications(&aurora).await.len(), 32);
        assert_eq!(gateway.communications(&borealis).await.len(), 32);
    }

    characters_that_a_database_cannot_keep_are_replaced(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let body = r#"{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"field":"messages","value":{
            "metadata":{"phone_number_id":"106540352242922"},"contacts":[{"wa_id":"5511987654321","profile":{"name":"A\u0000na"}}],
            "messages":[{"id":"wamid.nul","from":"5511987654321","timestamp":"1793534400","type":"text","text":{"body":"a\u0000b"}}]}}]}]}"#;
        gateway.deliver(meta::signed("/hooks/meta", body)).await.expect(200);
        let items = gateway.communications(&aurora).await;
        assert_eq!(items.len(), 1);
        assert_eq!(items[0]["content"], "a\u{fffd}b");
        let name = gateway.database.text("select name from contact_identities").await;
        assert_eq!(name, "A\u{fffd}na", "a name does not vanish");
    }
}

/// Lets the database refuse one particular text.
async fn poison(gateway: &TestGateway) {
    let sql = match gateway.database.kind {
        Kind::Sqlite => {
            "create trigger poison before insert on messages when new.content = 'poison'
             begin select raise(abort, 'poisoned'); end"
        }
        Kind::Postgres => {
            "create function poison() returns trigger language plpgsql as
             $$ begin raise exception 'poisoned'; end $$;
             create trigger poison before insert on messages for each row when (new.content = 'poison')
             execute function poison()"
        }
    };
    gateway.database.execute(sql).await;
}

async fn cure(gateway: &TestGateway) {
    let sql = match gateway.database.kind {
        Kind::Sqlite => "drop trigger poison",
        Kind::Postgres => "drop trigger poison on messages",
    };
    gateway.database.execute(sql).await;
}

/// The database, held so that nothing can be committed.
struct Hold {
    release: oneshot::Sender<()>,
    holder: JoinHandle<()>,
}

impl Hold {
    async fn take(gateway: &TestGateway) -> Self {
        let database = gateway.database.clone();
        let (held, is_held) = oneshot::channel::<()>();
        let (release, released) = oneshot::channel::<()>();
        let holder = tokio::spawn(async move {
            match database.kind {
                Kind::Sqlite => {
                    let mut connection = SqliteConnection::connect(&database.url).await.unwrap();
                    sqlx::raw_sql("begin immediate").execute(&mut connection).await.unwrap();
                    held.send(()).unwrap();
                    released.await.unwrap();
                    sqlx::raw_sql("rollback").execute(&mut connection).await.unwrap();
                }
                Kind::Postgres => {
                    let mut connection = PgConnection::connect(&database.url).await.unwrap();
                    sqlx::raw_sql("begin; lock table event_heads in exclusive mode")
                        .execute(&mut connection)
                        .await
                        .unwrap();
                    held.send(()).unwrap();
                    released.await.unwrap();
                    sqlx::raw_sql("rollback").execute(&mut connection).await.unwrap();
                }
            }
        });
        is_held.await.unwrap();
        Self { release, holder }
    }

    async fn release(self) {
        self.release.send(()).unwrap();
        self.holder.await.unwrap();
    }
}

/// While the database is held, the queue fills up; what finds no place is told to come back, and nothing of it is stored.
async fn a_full_queue_says_503(kind: Kind) {
    let gateway =
        TestGateway::start(kind, &["intake.queue_requests=4", "intake.batch_requests=2"]).await;
    let (aurora, _) = gateway.two_organizations().await;
    let hold = Hold::take(&gateway).await;
    let posts: Vec<_> = (0..24)
        .map(|number| {
            let text = meta::text(&format!("wamid.{number}"), "5511987654321", "x");
            vec![meta::change(AURORA, &[text], &[])]
        })
        .collect();
    let waiting = join_all(posts.iter().map(|changes| gateway.meta(changes)));
    let releasing = async {
        while gateway.gateway.batcher.depth() < 4 {
            tokio::task::yield_now().await;
        }
        hold.release().await;
    };
    let (answers, ()) = tokio::join!(waiting, releasing);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(refused.len() + accepted, 24);
    assert!(!refused.is_empty(), "the queue has four places");
    assert!(refused.iter().all(|answer| answer.headers.contains_key("retry-after")));
    assert_eq!(
        gateway.communications(&aurora).await.len(),
        accepted,
        "nothing of a refused webhook is stored"
    );
    gateway.end().await;
}

#[tokio::test]
async fn a_full_queue_says_503_on_sqlite() {
    a_full_queue_says_503(Kind::Sqlite).await;
}

#[tokio::test]
async fn a_full_queue_says_503_on_postgres() {
    a_full_queue_says_503(Kind::Postgres).await;
}
