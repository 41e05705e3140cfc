//! Accounts and routes in memory: what changes is read anew, and nothing else, in this process and in others.

use std::sync::Arc;

use chrono::TimeDelta;
use http::Method;
use providers::{Address, meta};
use serde_json::json;
use switchboard::gateway::{DirectoryAccount, Snapshot};
use switchboard::model::AccountId;

use crate::support::{Org, TestGateway, on_both_engines, recorded_account};

fn id(text: &str) -> AccountId {
    AccountId(text.parse().unwrap())
}

fn account(snapshot: &Snapshot, account: &str) -> Arc<DirectoryAccount> {
    Arc::clone(snapshot.account(id(account)).unwrap())
}

/// Another process on the same database, which looks now.
async fn look(other: &TestGateway) -> Arc<Snapshot> {
    other.gateway.refresh_directory().await.unwrap();
    other.gateway.directory.snapshot()
}

async fn patch(gateway: &TestGateway, org: &Org, account: &str, body: serde_json::Value) {
    let path = format!("/api/v1/accounts/{account}");
    gateway.call(org, Method::PATCH, &path, Some(body)).await.expect(200);
}

fn lines(snapshot: &Snapshot, handle: &str) -> usize {
    snapshot.by_handle(&meta::PROVIDER, handle).len()
}

on_both_engines! {
    one_change_reads_one_account(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let [one, other] = [&aurora, &borealis].map(|org| gateway.get(org, "/api/v1/accounts"));
        let (one, other) = (one.await.expect(200), other.await.expect(200));
        let [one, other] = [&one, &other].map(|accounts| {
            let all = accounts["items"].as_array().unwrap();
            let meta = all.iter().find(|account| account["provider"] == "meta").unwrap();
            meta["id"].as_str().unwrap().to_owned()
        });
        let second = TestGateway::start_on(gateway.database.clone(), &[]).await;
        let (here, there) = (gateway.gateway.directory.snapshot(), look(&second).await);
        patch(&gateway, &aurora, &one, json!({ "name": "Another name" })).await;
        let after = (gateway.gateway.directory.snapshot(), look(&second).await);
        for (before, after) in [(here, after.0), (there, after.1)] {
            assert!(after.version() > before.version());
            assert!(Arc::ptr_eq(&account(&before, &other), &account(&after, &other)), "it was read again");
            assert!(!Arc::ptr_eq(&account(&before, &one), &account(&after, &one)), "it was not");
        }
        second.end().await;
    }

    every_change_reaches_other_processes(gateway) {
        let second = TestGateway::start_on(gateway.database.clone(), &[]).await;
        let aurora = gateway.organization_in("Aurora", Some("BR")).await;
        let recorded = recorded_account(&meta::PROVIDER, "aurora");
        let (waba, route) = (recorded.settings["waba_id"].clone(), &recorded.routes[0]);
        let handle = route.handle.clone().unwrap();
        let number = Address::caller(&route.address).unwrap();
        let made = gateway.connect_only(&aurora, &meta::PROVIDER, &recorded).await;
        let seen = look(&second).await;
        assert_eq!(seen.by_identifier(&meta::PROVIDER, &waba), [id(&made)]);
        assert_eq!(lines(&seen, &handle), 0);
        let body = json!({ "account_id": made, "channel": route.channel, "address": route.address, "handle": handle });
        let created = gateway.post(&aurora, "/api/v1/routes", body.clone()).await.expect(201);
        let path = format!("/api/v1/routes/{}", created["id"].as_str().unwrap());
        let seen = look(&second).await;
        assert_eq!((lines(&seen, &handle), seen.by_address(&meta::PROVIDER, &number).len()), (1, 1));
        gateway.call(&aurora, Method::PATCH, &path, Some(json!({ "state": "retired" }))).await.expect(200);
        let seen = look(&second).await;
        assert_eq!((lines(&seen, &handle), seen.by_address(&meta::PROVIDER, &number).len()), (0, 0));
        gateway.call(&aurora, Method::PATCH, &path, Some(json!({ "state": "standby" }))).await.expect(200);
        assert_eq!(lines(&*look(&second).await, &handle), 1);
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(204);
        assert_eq!(lines(&*look(&second).await, &handle), 0);
        gateway.post(&aurora, "/api/v1/routes", body).await.expect(201);

        // Another id, and keys that end by themselves.
        patch(&gateway, &aurora, &made, json!({ "settings": { "waba_id": "4711" } })).await;
        let seen = look(&second).await;
        assert!(seen.by_identifier(&meta::PROVIDER, &waba).is_empty());
        assert_eq!(seen.by_identifier(&meta::PROVIDER, "4711"), [id(&made)]);
        assert_eq!(lines(&seen, &handle), 1);
        let old = account(&seen, &made).keys[0];
        let new = json!({ "previous_valid_hours": 2, "credentials": { "app_secret": "00112233445566778899aabbccddeeff" } });
        gateway.post(&aurora, &format!("/api/v1/accounts/{made}/rotate"), new).await.expect(200);
        let seen = look(&second).await;
        assert_eq!((account(&seen, &made).keys.len(), seen.holders(&meta::PROVIDER, old).count()), (2, 1));
        for gateway in [&gateway, &second] {
            gateway.advance(TimeDelta::hours(3));
            let seen = look(gateway).await;
            assert_eq!((account(&seen, &made).keys.len(), seen.holders(&meta::PROVIDER, old).count()), (1, 0));
            assert_eq!(lines(&seen, &handle), 1);
        }
        let routes = gateway.get(&aurora, "/api/v1/routes").await.expect(200);
        let path = format!("/api/v1/routes/{}", routes["items"][0]["id"].as_str().unwrap());
        gateway.call(&aurora, Method::DELETE, &path, None).await.expect(204);
        gateway.call(&aurora, Method::DELETE, &format!("/api/v1/accounts/{made}"), None).await.expect(204);
        for gateway in [&gateway, &second] {
            let seen = look(gateway).await;
            assert!(seen.account(id(&made)).is_none() && seen.by_identifier(&meta::PROVIDER, "4711").is_empty());
            assert_eq!((lines(&seen, &handle), seen.accounts_in_order(&meta::PROVIDER).count()), (0, 0));
        }
        second.end().await;
    }

    many_changes_at_once_are_all_read(gateway) {
        let second = TestGateway::start_on(gateway.database.clone(), &[]).await;
        let aurora = gateway.organization("Aurora").await;
        let recorded = recorded_account(&meta::PROVIDER, "aurora");
        let mut made = Vec::new();
        for _ in 0..110 {
            made.push(id(&gateway.connect_only(&aurora, &meta::PROVIDER, &recorded).await));
        }
        for seen in [gateway.gateway.directory.snapshot(), look(&second).await] {
            let ids: Vec<_> = seen.accounts_in_order(&meta::PROVIDER).map(|account| account.id).collect();
            assert_eq!(ids, made);
            let key = seen.account(made[0]).unwrap().keys[0];
            assert_eq!(seen.holders(&meta::PROVIDER, key).count(), made.len());
        }
        second.end().await;
    }
}
