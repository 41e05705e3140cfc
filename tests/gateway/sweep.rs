//! What has been kept long enough is deleted, and nothing else.

use chrono::TimeDelta;
use serde_json::json;
use switchboard::flow::sweep;

use crate::support::graph::{Graph, PERSON, refused, text};
use crate::support::meta::{self, AURORA, NOBODYS};
use crate::support::on_both_engines;

on_both_engines! {
    raw_webhooks_are_kept_for_their_time_and_open_ones_longer(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let unknown = json!({ "id": "wamid.x", "timestamp": "1793534400", "type": "hologram" });
        gateway.meta(&[meta::change(AURORA, &[meta::text("wamid.old", "5511987654321", "old")], &[])]).await.expect(200);
        gateway.meta(&[meta::change(AURORA, &[unknown], &[])]).await.expect(200);
        gateway.meta(&[meta::change(AURORA, &[], &[meta::status("wamid.never", "sent", 1_793_534_400)])]).await.expect(200);
        gateway.advance(TimeDelta::days(29));
        gateway.meta(&[meta::change(AURORA, &[meta::text("wamid.new", "5511987654321", "new")], &[])]).await.expect(200);
        let swept = sweep::run(&gateway.gateway).await.unwrap();
        assert_eq!((swept.webhooks, swept.events, swept.waiting), (0, 0, 1), "a status waits a week");
        gateway.advance(TimeDelta::days(2));
        let swept = sweep::run(&gateway.gateway).await.unwrap();
        assert_eq!(swept.webhooks, 2, "the old one and the status; the open one and the new one stay");
        assert_eq!(swept.quarantined, 0);
        assert!(swept.events >= 2);
        assert_eq!(gateway.count("webhook_inbox").await, 2);
        assert_eq!(gateway.count("messages").await, 2, "messages are kept for ever");
        gateway.get(&aurora, "/api/v1/events?after=0").await.expect(410);
        let pruned = gateway.database.scalar("select max(pruned_seq) from event_heads").await;
        let rest = gateway.get(&aurora, &format!("/api/v1/events?after={pruned}")).await.expect(200);
        assert_eq!(rest["items"].as_array().unwrap().len(), 1);
        gateway.advance(TimeDelta::days(70));
        let swept = sweep::run(&gateway.gateway).await.unwrap();
        assert_eq!((swept.webhooks, swept.quarantined), (1, 0), "what waits is told of first");
        gateway.advance(TimeDelta::days(7));
        let swept = sweep::run(&gateway.gateway).await.unwrap();
        assert_eq!(swept.quarantined, 1);
        assert_eq!(gateway.count("webhook_inbox").await, 0);
    }

    the_platforms_own_webhooks_are_swept_too(gateway) {
        gateway.two_organizations().await;
        gateway.meta(&[
            meta::change(NOBODYS, &[meta::text("wamid.n", "5511987654321", "n")], &[]),
            meta::change(AURORA, &[meta::text("wamid.a", "5511987654321", "a")], &[]),
        ]).await.expect(200);
        gateway.advance(TimeDelta::days(100));
        sweep::run(&gateway.gateway).await.unwrap();
        gateway.advance(TimeDelta::days(7));
        sweep::run(&gateway.gateway).await.unwrap();
        assert_eq!(gateway.count("webhook_inbox").await, 0);
        assert_eq!(gateway.count("webhook_quarantine").await, 0);
    }

    the_audit_log_is_kept_for_its_time(gateway) {
        let aurora = gateway.organization("Aurora").await;
        let actions = |log: serde_json::Value| log["items"].as_array().unwrap().len();
        assert_eq!(actions(gateway.get(&aurora, "/api/v1/audit-log").await.expect(200)), 2, "the organization and its key");
        gateway.advance(TimeDelta::days(364));
        gateway.key(aurora.id, vec![switchboard::model::Scope::LeadsRead]).await;
        assert_eq!(sweep::run(&gateway.gateway).await.unwrap().audited, 0);
        gateway.advance(TimeDelta::days(2));
        assert_eq!(sweep::run(&gateway.gateway).await.unwrap().audited, 2);
        assert_eq!(actions(gateway.get(&aurora, "/api/v1/audit-log").await.expect(200)), 1, "what is younger stays");
    }

    what_was_sent_leaves_the_queue_and_what_waits_stays(gateway) {
        let graph = Graph::connect(&gateway, vec![refused(400, 131_009)]).await;
        let dead = graph.send(&gateway, "given up").await;
        gateway.drain().await;
        let sent = graph.send(&gateway, "sent").await;
        gateway.drain().await;
        gateway.advance(TimeDelta::days(29));
        assert_eq!(sweep::run(&gateway.gateway).await.unwrap().sent, 0);
        gateway.advance(TimeDelta::days(2));
        let mut late = text(PERSON, "later");
        late["content"] = json!({ "kind": "template", "name": "hello", "language": "pt_BR" });
        late["send_at"] = json!(gateway.clock.now() + TimeDelta::days(60));
        gateway.post(&graph.org, "/api/v1/messages", late).await.expect(202);
        assert_eq!(sweep::run(&gateway.gateway).await.unwrap().sent, 3, "the row, its journal, and the pair's bucket");
        assert_eq!(gateway.count("outbound").await, 2);
        assert_eq!(graph.status(&gateway, &sent).await, "sent", "messages are kept for ever");
        let letters = gateway.get(&graph.org, "/api/v1/dead-letters").await.expect(200);
        assert_eq!(letters["items"][0]["id"], dead.as_str());
        assert_eq!(letters["items"][0]["journal"].as_array().unwrap().len(), 1);
    }
}
