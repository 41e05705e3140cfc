//! Files that came with messages: fetched, kept sealed, served; and what becomes of those that do not come.

use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::future::join;
use http::{Method, Request};
use serde_json::{Value, json};
use switchboard::flow::FlowError;
use switchboard::flow::media;
use switchboard::model::MediaId;
use switchboard::store::media as rows;

use crate::support::files::{SHA256_OF_ABC, picture};
use crate::support::meta::{self, AURORA};
use crate::support::peer::{Peer, PeerAnswer};
use crate::support::{Answer, Kind, Org, TestGateway, on_both_engines};

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn path_of(file: &Value) -> String {
    file["url"].as_str().unwrap().to_owned()
}

on_both_engines! {
    a_file_is_fetched_kept_sealed_and_served(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let bytes: Vec<u8> = (0..150_000_u32).map(|n| u8::try_from(n % 253).unwrap()).collect();
        let peer = Peer::start(vec![PeerAnswer::new(200).header("content-type", "image/png").body(&bytes)]).await;
        gateway.receive_picture("wamid.a", &peer.url("/file"), &json!({})).await;
        let before = gateway.file(&aurora).await;
        assert_eq!((before["state"].as_str(), before["kind"].as_str()), (Some("pending"), Some("image")));
        gateway.get(&aurora, &path_of(&before)).await.expect(409);
        assert_eq!(gateway.fetch_files().await, 1);
        assert_eq!(gateway.fetch_files().await, 0);

        let file = gateway.file(&aurora).await;
        assert_eq!((file["state"].as_str(), file["size"].as_i64()), (Some("stored"), Some(150_000)));
        assert_eq!(file["id"], before["id"]);
        assert!(file["warning"].is_null() && file["error"].is_null());
        let path = path_of(&file);
        let whole = gateway.get(&aurora, &path).await;
        whole.expect(200);
        assert_eq!(whole.body, bytes);
        assert_eq!(header(&whole, "content-type"), "image/png");
        assert_eq!(header(&whole, "x-content-type-options"), "nosniff");
        assert_eq!(header(&whole, "content-disposition"), "inline");
        let part = gateway.get_with(&aurora, &path, ("range", "bytes=65530-65545")).await;
        part.expect(206);
        assert_eq!(part.body, bytes[65_530..=65_545]);
        assert_eq!(header(&part, "content-range"), "bytes 65530-65545/150000");
        assert_eq!(gateway.get_with(&aurora, &path, ("range", "bytes=-1")).await.body, bytes[149_999..]);
        let beyond = gateway.get_with(&aurora, &path, ("range", "bytes=150000-")).await;
        beyond.expect(416);
        assert_eq!(header(&beyond, "content-range"), "bytes */150000");
        gateway.get_with(&aurora, &path, ("if-none-match", header(&whole, "etag"))).await.expect(304);
        let head = gateway.call(&aurora, Method::HEAD, &path, None).await;
        head.expect(200);
        assert_eq!((head.body.len(), header(&head, "content-length")), (0, "150000"));
        gateway.get(&borealis, &path).await.expect(404);
        gateway.post(&borealis, &format!("{path}/fetch"), json!({})).await.expect(404);

        let events = gateway.get(&aurora, "/api/v1/events").await.expect(200);
        let last = events["items"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["type"], "attachment.stored");
        assert_eq!(last["data"]["attachment_id"], file["id"]);
        let kept = gateway.kept_file(&aurora, &file);
        let kept = std::fs::read(kept).unwrap();
        assert!(!kept.windows(32).any(|window| window == &bytes[..32]), "it is not sealed");
    }

    a_file_that_is_not_as_announced_is_kept_with_a_warning(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let right = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        let wrong = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for (id, hash, warned) in [("wamid.b64", right, false), ("wamid.hex", SHA256_OF_ABC, false), ("wamid.wrong", wrong, true)] {
            let peer = Peer::start(vec![PeerAnswer::new(200).body("abc")]).await;
            gateway.advance(TimeDelta::seconds(1));
            gateway.receive_picture(id, &peer.url("/"), &json!({ "sha256": hash })).await;
            assert_eq!(gateway.fetch_files().await, 1);
            let list = gateway.get(&aurora, &format!("/api/v1/messages?provider_message_id={id}")).await.expect(200);
            let file = &list["items"][0]["metadata"]["attachments"][0];
            assert_eq!(file["state"], "stored");
            assert_eq!(file["warning"].is_string(), warned, "{file}");
            assert_eq!(gateway.get(&aurora, &path_of(file)).await.body, "abc");
        }
    }

    what_the_provider_is_asked_for_first_is_followed(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let peer = Peer::start(Vec::new()).await;
        peer.will(PeerAnswer::new(200).body(json!({ "url": peer.url("/there"), "file_size": 3 }).to_string()));
        peer.will(PeerAnswer::new(302).header("location", "/elsewhere"));
        peer.will(PeerAnswer::new(200).header("content-type", "application/octet-stream").body("abc"));
        gateway.receive_picture("wamid.a", &peer.url("/ask"), &json!({ "id": "ask" })).await;
        assert_eq!(gateway.fetch_files().await, 1);
        let asked: Vec<String> = peer.requests().into_iter().map(|request| request.path).collect();
        assert_eq!(asked, ["/ask", "/there", "/elsewhere"]);
        assert!(peer.requests().iter().all(|request| request.method == "GET" && request.body.is_empty()));
        let file = gateway.file(&aurora).await;
        assert_eq!((file["state"].as_str(), file["mime_type"].as_str()), (Some("stored"), Some("image/png")));
    }

    a_file_that_is_gone_says_so_and_can_be_asked_for_again(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let peer = Peer::start(vec![PeerAnswer::new(404), PeerAnswer::new(200).body("abc")]).await;
        gateway.receive_picture("wamid.a", &peer.url("/"), &json!({})).await;
        assert_eq!(gateway.fetch_files().await, 1);
        let file = gateway.file(&aurora).await;
        assert_eq!((file["state"].as_str(), file["error"].as_str()), (Some("expired"), Some("it is gone")));
        let events = gateway.get(&aurora, "/api/v1/events").await.expect(200);
        assert_eq!(events["items"].as_array().unwrap().last().unwrap()["type"], "attachment.failed");
        let refused = gateway.get(&aurora, &path_of(&file)).await.expect(409);
        assert!(refused["detail"].as_str().unwrap().contains("it is gone"));
        gateway.advance(TimeDelta::days(1));
        assert_eq!(gateway.fetch_files().await, 0, "it is not tried again by itself");
        let asked = gateway.post(&aurora, &format!("{}/fetch", path_of(&file)), json!({})).await.expect(200);
        assert_eq!(asked["state"], "pending");
        assert_eq!(gateway.fetch_files().await, 1);
        assert_eq!(gateway.file(&aurora).await["state"], "stored");
        let again = gateway.post(&aurora, &format!("{}/fetch", path_of(&file)), json!({})).await.expect(200);
        assert_eq!(again["state"], "stored", "what is stored is left as it is");
        assert_eq!(peer.requests().len(), 2);
    }

    a_passing_failure_is_tried_again_ever_more_seldom_for_a_week(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let peer = Peer::start(vec![PeerAnswer::new(503); 300]).await;
        gateway.receive_picture("wamid.a", &peer.url("/"), &json!({})).await;
        let mut pauses = Vec::new();
        while let Some(due) = media::next_due(&gateway.gateway).await.unwrap() {
            let now = gateway.clock.now();
            if due > now {
                gateway.advance(due - now - TimeDelta::milliseconds(1));
                assert_eq!(gateway.fetch_files().await, 0, "it waits");
                gateway.advance(TimeDelta::milliseconds(1));
                pauses.push((due - now).num_seconds());
            }
            assert_eq!(gateway.fetch_files().await, 1);
        }
        assert_eq!(pauses[..6], [5, 5, 10, 20, 40, 80]);
        assert!(pauses.iter().all(|pause| *pause <= 3_600) && pauses.len() < 200, "{pauses:?}");
        assert!((604_800..=608_400).contains(&pauses.iter().sum::<i64>()));
        assert_eq!(gateway.file(&aurora).await["state"], "failed");
    }

    an_edit_that_brings_another_file_has_it_fetched(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let peer = Peer::start(vec![PeerAnswer::new(200).body("first"), PeerAnswer::new(200).body("second")]).await;
        gateway.receive_picture("wamid.a", &peer.url("/"), &json!({})).await;
        assert_eq!(gateway.fetch_files().await, 1);
        let file = gateway.file(&aurora).await;
        for (edit, media, fetched, body) in [("wamid.e1", "media-wamid.a", 0, "first"), ("wamid.e2", "media-other", 1, "second")] {
            let mut message = picture("wamid.a", &peer.url("/again"), &json!({ "id": media, "caption": edit }));
            message.as_object_mut().unwrap().retain(|name, _| ["type", "image"].contains(&name.as_str()));
            let edit = json!({
                "id": edit, "from": "5511987654321", "timestamp": "1793534410", "type": "edit",
                "edit": { "original_message_id": "wamid.a", "message": message },
            });
            gateway.meta(&[meta::change(AURORA, &[edit], &[])]).await.expect(200);
            assert_eq!(gateway.fetch_files().await, fetched);
            assert_eq!(gateway.file(&aurora).await["id"], file["id"]);
            assert_eq!(gateway.get(&aurora, &path_of(&file)).await.body, body);
        }
    }

    files_at_private_addresses_are_not_fetched(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let secret = Peer::start(vec![PeerAnswer::new(200).body("secret")]).await;
        let to_metadata = "http://169.254.169.254/latest/meta-data/";
        let peer = Peer::start(vec![PeerAnswer::new(302).header("location", to_metadata)]).await;
        let hidden = format!("http://[::ffff:127.0.0.1]:{}/", secret.port());
        for (id, url) in [
            ("wamid.metadata", to_metadata.to_owned()),
            ("wamid.mapped", hidden),
            ("wamid.private", "https://10.0.0.1/".to_owned()),
            ("wamid.redirect", peer.url("/")),
        ] {
            gateway.advance(TimeDelta::seconds(1));
            gateway.receive_picture(id, &url, &json!({})).await;
            assert_eq!(gateway.fetch_files().await, 1, "{id}");
            let list = gateway.get(&aurora, &format!("/api/v1/messages?provider_message_id={id}")).await.expect(200);
            let file = &list["items"][0]["metadata"]["attachments"][0];
            assert_eq!(file["state"], "failed", "{id}");
            assert!(file["error"].as_str().unwrap().contains("outgoing.allow"), "{file}");
        }
        assert!(secret.requests().is_empty());
        assert_eq!(peer.requests().len(), 1);
    }

    a_file_is_claimed_by_one_and_freed_when_that_one_dies(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let peer = Peer::start(vec![PeerAnswer::new(200).body("abc"), PeerAnswer::new(200).body("abc")]).await;
        gateway.receive_picture("wamid.a", &peer.url("/"), &json!({})).await;
        let now = gateway.clock.now();
        let mut session = gateway.gateway.store.write_all().await.unwrap();
        let until = now + TimeDelta::minutes(8);
        let dead = rows::claim(&mut session, [None, None], now, until).await.unwrap().unwrap();
        session.commit().await.unwrap();
        assert_eq!(gateway.fetch_files().await, 0);
        gateway.advance(TimeDelta::minutes(8));
        let (first, second) = join(gateway.fetch_files(), gateway.fetch_files()).await;
        assert_eq!(first + second, 1, "two processes share the work");
        // The dead one wakes up: its claim is over.
        let mut session = gateway.gateway.store.write_all().await.unwrap();
        let expired = switchboard::model::MediaState::Expired;
        assert!(!rows::not_stored(&mut session, &dead, expired, None, "late").await.unwrap());
        session.commit().await.unwrap();
        assert_eq!(gateway.file(&aurora).await["state"], "stored");
        assert_eq!(peer.requests().len(), 1);
    }

    an_account_that_cannot_fetch_says_so(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        gateway.receive_picture("wamid.a", "https://example.com/", &json!({})).await;
        assert_eq!(media::fetch_due_through(&gateway.gateway, |_| None).await.unwrap(), 1);
        let file = gateway.file(&aurora).await;
        assert_eq!(file["state"], "failed");
        assert!(file["error"].as_str().unwrap().contains("credentials"), "{file}");
    }

    a_kept_file_that_was_tampered_with_is_not_read(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let first = gateway.hand_in(&aurora, "", "text/plain", b"first").await.expect(201);
        let other = gateway.hand_in(&aurora, "", "text/plain", b"other").await.expect(201);
        let id: MediaId = first["id"].as_str().unwrap().parse().unwrap();
        let (ours, theirs) = (gateway.kept_file(&aurora, &first), gateway.kept_file(&aurora, &other));
        let load = || media::load(&gateway.gateway, aurora.id, id, 100);
        assert_eq!(load().await.unwrap(), "first");
        assert!(matches!(media::load(&gateway.gateway, aurora.id, id, 4).await, Err(FlowError::Invalid { .. })));
        let kept = std::fs::read(&ours).unwrap();
        let mut changed = kept.clone();
        *changed.last_mut().unwrap() ^= 1;
        for damaged in [changed, std::fs::read(&theirs).unwrap(), kept[..30].to_vec()] {
            std::fs::write(&ours, damaged).unwrap();
            assert!(matches!(load().await, Err(FlowError::DamagedFile(_))));
        }
        std::fs::remove_file(&ours).unwrap();
        assert!(matches!(load().await, Err(FlowError::Conflict(_))));
        gateway.get(&aurora, &path_of(&first)).await.expect(409);
    }

    a_file_that_is_handed_in_is_served_to_its_organization_and_by_a_link(gateway) {
        let (aurora, borealis) = gateway.two_organizations().await;
        let body = "<script>alert(1)</script>";
        let file = gateway.hand_in(&aurora, "?filename=offer%2Fof%20June.html", "text/html; charset=utf-8", body.as_bytes()).await.expect(201);
        assert_eq!((file["state"].as_str(), file["size"].as_i64()), (Some("stored"), Some(25)));
        let path = path_of(&file);
        let answer = gateway.get(&aurora, &path).await;
        answer.expect(200);
        assert_eq!(answer.body, body);
        assert!(header(&answer, "content-disposition").starts_with("attachment; filename=\"of June.html\""));
        assert!(header(&answer, "content-security-policy").contains("sandbox"));
        gateway.get(&borealis, &path).await.expect(404);

        let id: MediaId = file["id"].as_str().unwrap().parse().unwrap();
        let link = media::public_link(&gateway.gateway, aurora.id, id).await.unwrap().unwrap();
        let open = |link: String| gateway.send(Request::get(link).body(Bytes::new()).unwrap());
        let answer = open(link.clone()).await;
        answer.expect(200);
        assert_eq!(answer.body, body);
        // The same link with another organization's key, one letter changed, and one cut off.
        let foreign = media::public_link(&gateway.gateway, borealis.id, id).await.unwrap().unwrap();
        open(foreign).await.expect(404);
        for place in [30, 60, 100] {
            let mut letters = link.clone().into_bytes();
            letters[place] = if letters[place] == b'A' { b'B' } else { b'A' };
            open(String::from_utf8(letters).unwrap()).await.expect(404);
        }
        open(link[..link.len() - 4].to_owned()).await.expect(404);
        gateway.advance(TimeDelta::hours(6));
        open(link).await.expect(404);
    }
}

#[tokio::test]
async fn what_is_handed_in_is_checked() {
    let gateway = TestGateway::start(Kind::Sqlite, &["media.upload_bytes=10"]).await;
    let aurora = gateway.organization("Aurora").await;
    gateway.hand_in(&aurora, "", "image/png", &[0; 10]).await.expect(201);
    let problem = gateway.hand_in(&aurora, "", "image/png", &[0; 11]).await.expect(413);
    assert_eq!(problem["error_code"], "payload_too_large");
    gateway.hand_in(&aurora, "", "picture", b"x").await.expect(422);
    gateway
        .hand_in(&aurora, &format!("?filename={}", "x".repeat(241)), "image/png", b"x")
        .await
        .expect(422);
    gateway.hand_in(&aurora, "?name=x", "image/png", b"x").await.expect(422);
    let reader = gateway.key(aurora.id, vec![switchboard::model::Scope::CommunicationsRead]).await;
    let reader = Org { key: reader, ..aurora };
    gateway.hand_in(&reader, "", "image/png", b"x").await.expect(403);
    gateway.end().await;
}

#[tokio::test]
async fn a_file_without_an_end_or_too_large_is_given_up() {
    let gateway = TestGateway::start(Kind::Sqlite, &["media.fetch_bytes=1000"]).await;
    let (aurora, _) = gateway.two_organizations().await;
    let peer = Peer::start(vec![PeerAnswer::new(200).body("x".repeat(1_001))]).await;
    gateway.receive_picture("wamid.large", &peer.url("/"), &json!({})).await;
    assert_eq!(gateway.fetch_files().await, 1);
    let file = gateway.file(&aurora).await;
    assert_eq!(file["state"], "failed");
    assert!(file["error"].as_str().unwrap().contains("1000 bytes"), "{file}");
    assert!(!gateway.kept_file(&aurora, &file).exists());
    gateway.end().await;
}

async fn files_are_kept_for_their_time(kind: Kind) {
    let gateway = TestGateway::start(kind, &["retention.media_days=30"]).await;
    let (aurora, _) = gateway.two_organizations().await;
    let peer = Peer::start(vec![PeerAnswer::new(200).body("abc")]).await;
    gateway.receive_picture("wamid.a", &peer.url("/"), &json!({})).await;
    assert_eq!(gateway.fetch_files().await, 1);
    let came = gateway.file(&aurora).await;
    let old = gateway.hand_in(&aurora, "", "text/plain", b"old").await.expect(201);
    gateway.advance(TimeDelta::days(29));
    let new = gateway.hand_in(&aurora, "", "text/plain", b"new").await.expect(201);
    let sweep = || media::sweep(&gateway.gateway, aurora.id);
    assert_eq!(sweep().await.unwrap(), 0);
    gateway.advance(TimeDelta::days(2));
    assert_eq!(sweep().await.unwrap(), 2);
    assert_eq!(sweep().await.unwrap(), 0);
    for (file, status) in [(&came, 409), (&old, 404), (&new, 200)] {
        assert_eq!(gateway.get(&aurora, &path_of(file)).await.status.as_u16(), status);
        assert_eq!(gateway.kept_file(&aurora, file).exists(), status == 200);
    }
    assert_eq!(gateway.file(&aurora).await["state"], "expired");
    gateway.end().await;
}

#[tokio::test]
async fn files_are_kept_for_their_time_on_sqlite() {
    files_are_kept_for_their_time(Kind::Sqlite).await;
}

#[tokio::test]
async fn files_are_kept_for_their_time_on_postgres() {
    files_are_kept_for_their_time(Kind::Postgres).await;
}
