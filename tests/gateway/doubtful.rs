//! Bad input: bodies that are too large, cut, empty, nested, of another type, of another encoding.

use bytes::Bytes;
use http::Request;
use providers::{telnyx, twilio};

use crate::support::meta::{self, AURORA};
use crate::support::on_both_engines;

on_both_engines! {
    a_body_of_three_mebibytes_is_read_and_one_byte_more_is_refused(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let limit = 3 * 1024 * 1024;
        let change = meta::change(AURORA, &[meta::text("wamid.large", "5511987654321", "x")], &[]);
        let mut body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
        body.resize(limit, b' ');
        gateway.deliver(meta::signed("/hooks/meta", body.clone())).await.expect(200);
        body.push(b' ');
        let refused = gateway.deliver(meta::signed("/hooks/meta", body)).await;
        assert_eq!(refused.expect(413)["error_code"], "payload_too_large");
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
        assert_eq!(gateway.count("webhook_inbox").await, 1);
    }

    genuine_bodies_that_cannot_be_read_are_kept_whole_and_answered_200(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let accounts = gateway.get(&aurora, "/api/v1/accounts").await.expect(200);
        let id = accounts["items"].as_array().unwrap().iter().find(|a| a["provider"] == "meta").unwrap()["id"].clone();
        let path = format!("/hooks/meta/{}", id.as_str().unwrap());
        let nested = format!("{{\"object\":\"whatsapp_business_account\",\"entry\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let bodies: [Bytes; 6] = [
            Bytes::new(),
            "{\"object\":\"whatsapp_busin".into(),
            nested.into(),
            Bytes::from_static(b"\xff\xfe\x00\x01 not text"),
            "null".into(),
            "[]".into(),
        ];
        for (index, body) in bodies.iter().enumerate() {
            gateway.deliver(meta::signed(&path, body.clone())).await.expect(200);
            assert_eq!(gateway.count("webhook_inbox").await, i64::try_from(index + 1).unwrap());
            assert_eq!(gateway.count("webhook_quarantine").await, i64::try_from(index + 1).unwrap(), "body {index}");
        }
        assert_eq!(gateway.count("messages").await, 0);
        // At the shared URL nobody is named: whoever has the key keeps them, here two organizations, so the platform.
        for (index, body) in bodies.iter().enumerate() {
            gateway.deliver(meta::signed("/hooks/meta", body.clone())).await.expect(200);
            assert_eq!(gateway.count("webhook_quarantine").await, i64::try_from(bodies.len() + index + 1).unwrap());
        }
        let listed = gateway.get(&aurora, "/api/v1/webhook-inbox").await.expect(200);
        assert!(listed["items"].as_array().unwrap().is_empty(), "neither organization sees them");
        for body in bodies {
            gateway.deliver(meta::signed_with("of nobody", "/hooks/meta", body)).await.expect(401);
        }
    }

    another_content_type_decides_how_a_body_is_signed_and_nothing_else(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        // Meta signs bytes: the label does not matter.
        let change = meta::change(AURORA, &[meta::text("wamid.label", "5511987654321", "x")], &[]);
        let body = serde_json::to_vec(&meta::notification(&[change])).unwrap();
        let mut request = meta::signed("/hooks/meta", body);
        request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
        gateway.deliver(request).await.expect(200);
        // Twilio signs a form's fields, and of anything else the digest in the URL: a form that is not labelled is not believed.
        let mut request = gateway.recorded(&twilio::PROVIDER, "sms-text");
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        gateway.deliver(request).await.expect(401);
        let mut request = gateway.recorded(&telnyx::PROVIDER, "sms-received");
        request.headers_mut().remove("content-type");
        gateway.deliver(request).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 2);
    }

    methods_that_no_provider_uses_are_refused(gateway) {
        gateway.two_organizations().await;
        for method in ["PUT", "DELETE", "PATCH", "HEAD"] {
            let mut request = meta::signed("/hooks/meta", "{}");
            *request.method_mut() = method.parse().unwrap();
            let status = gateway.deliver(request).await.status.as_u16();
            assert!([401, 405].contains(&status), "{method}: {status}");
        }
        assert_eq!(gateway.count("webhook_inbox").await, 0);
    }

    a_body_that_is_longer_than_announced_memory_is_not_held(gateway) {
        gateway.two_organizations().await;
        // A content length that lies about a giant body is refused before anything is read.
        let mut request = meta::signed("/hooks/meta", "{}");
        request.headers_mut().insert("content-length", "4000000000".parse().unwrap());
        gateway.deliver(request).await.expect(413);
    }

    what_is_only_announced_takes_no_room(gateway) {
        let (aurora, _) = gateway.two_organizations().await;
        let slow = |_| {
            let request = Request::post("/hooks/meta").header("host", "gateway.example.com").header("content-length", "3145728");
            let front = gateway.front();
            tokio::spawn(async move { front.call(request.body(Never).unwrap(), None).await })
        };
        let held: Vec<_> = (0..40).map(slow).collect();
        tokio::task::yield_now().await;
        let message = meta::text("wamid.quick", "5511987654321", "quick");
        gateway.meta(&[meta::change(AURORA, &[message], &[])]).await.expect(200);
        assert_eq!(gateway.communications(&aurora).await.len(), 1);
        held.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// A body that never comes.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Pending
    }
}
