//! The way out against real sockets: servers that refuse, break off, answer half, never answer, and lead astray.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::HeaderValue;
use providers::{Homes, ProviderRequest};
use switchboard::clock::Clock;
use switchboard::transport::{Behalf, DownloadError, Incoming, Limits, Lost, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::peer::{Peer, PeerAnswer};

const PATIENCE: Duration = Duration::from_secs(10);
const LIMITS: Limits = Limits { bytes: 1_000, timeout: PATIENCE, idle: Duration::from_millis(300) };

/// On nobody's behalf, with credentials for whoever is asked.
const ANYBODY: Behalf = Behalf { organization: uuid::Uuid::nil(), homes: Homes::Settings };

/// A transport that may reach `allow`.
fn transport(allow: &[&str]) -> Transport {
    let allow: Vec<_> = allow.iter().map(|text| text.parse().unwrap()).collect();
    Transport::new(&allow).unwrap()
}

fn get(url: &str) -> ProviderRequest {
    let mut key = HeaderValue::from_static("key of the account");
    key.set_sensitive(true);
    let request = Request::get(url)
        .header("x-api-key", key)
        .header("authorization", "Bearer token")
        .header("accept", "image/*");
    ProviderRequest::repeatable(request.body(Bytes::new()).unwrap())
}

async fn exchange(transport: &Transport, url: &str) -> Result<(u16, Bytes), Lost> {
    let answer = transport.exchange(&get(url), ANYBODY, &Clock::System, PATIENCE).await?;
    Ok((answer.http.status().as_u16(), answer.http.into_body()))
}

/// A server that does `act` with its first connection.
async fn server<F: Future<Output = ()> + Send>(
    act: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        act(stream).await;
    });
    address
}

/// Reads up to the end of a request's head.
async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
}

fn is_unanswered(result: &Result<(u16, Bytes), Lost>) -> bool {
    matches!(result, Err(Lost::Unanswered(_)))
}

#[tokio::test]
async fn an_answer_is_read_whatever_its_status_and_a_redirect_is_one() {
    let answers = vec![
        PeerAnswer::new(200).body("fine"),
        PeerAnswer::new(503).body("later"),
        PeerAnswer::new(302).header("location", "http://127.0.0.1:1/"),
    ];
    let peer = Peer::start(answers).await;
    let transport = transport(&["127.0.0.1"]);
    for (status, body) in [(200, "fine"), (503, "later"), (302, "")] {
        let answer = exchange(&transport, &peer.url("/path?query=1")).await.unwrap();
        assert_eq!(answer, (status, Bytes::from(body)));
    }
    assert_eq!(peer.requests()[0].path, "/path?query=1");
    assert_eq!(peer.requests()[0].header("x-api-key"), Some("key of the account"));
}

#[tokio::test]
async fn nothing_left_when_nobody_listens_or_tls_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let transport = transport(&["127.0.0.1", "localhost", "nowhere.invalid"]);
    let refused = exchange(&transport, &format!("http://{closed}/?token=hidden")).await;
    let no_name = exchange(&transport, "http://nowhere.invalid/?token=hidden").await;
    let plain = server(|mut stream| async move {
        let _ = stream.write_all(b"this is no TLS\r\n").await;
        let _ = stream.read(&mut [0; 1_024]).await;
    });
    let plain = format!("https://{}/?token=hidden", plain.await);
    let no_tls = exchange(&transport, &plain).await;
    for result in [refused, no_name, no_tls] {
        let Err(Lost::NeverLeft(detail)) = &result else { panic!("{result:?}") };
        assert!(!detail.contains("hidden") && !detail.contains("token"), "{detail}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_the_outcome_open() {
    let transport = transport(&["127.0.0.1"]);
    let before = server(|stream| async move { drop(stream) }).await;
    let after = server(|mut stream| async move { read_head(&mut stream).await }).await;
    let half_head = server(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await.unwrap();
    });
    let half_body = server(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    });
    for address in [before, after, half_head.await, half_body.await] {
        let result = exchange(&transport, &format!("http://{address}/?token=hidden")).await;
        let Err(Lost::Unanswered(detail)) = &result else { panic!("{result:?}") };
        assert!(!detail.contains("hidden"), "{detail}");
    }
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    let silent = server(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.read(&mut [0; 1]).await;
    });
    let url = format!("http://{}/", silent.await);
    let transport = transport(&["127.0.0.1"]);
    let short = Duration::from_millis(200);
    let answer = transport.exchange(&get(&url), ANYBODY, &Clock::System, short).await;
    assert_eq!(answer.unwrap_err(), Lost::Unanswered("the time was up".to_owned()));
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let endless = server(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
    });
    let url = format!("http://{}/", endless.await);
    assert!(is_unanswered(&exchange(&transport(&["127.0.0.1"]), &url).await));
}

#[tokio::test]
async fn a_private_address_is_refused_before_anybody_is_called() {
    let peer = Peer::start(Vec::new()).await;
    let closed = transport(&[]);
    let port = peer.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "169.254.169.254", "10.0.0.1"] {
        for scheme in ["http", "https"] {
            let result = exchange(&closed, &format!("{scheme}://{host}:{port}/")).await;
            let Err(Lost::Refused(detail)) = &result else { panic!("{host}: {result:?}") };
            assert!(detail.contains("outgoing.allow"), "{detail}");
        }
    }
    let elsewhere = transport(&["127.0.0.1:1", "10.0.0.0/8"]);
    assert!(exchange(&elsewhere, &peer.url("/")).await.is_err());
    assert!(peer.requests().is_empty());
}

#[tokio::test]
async fn a_network_that_is_allowed_is_reached_by_name_and_by_address() {
    let peer = Peer::start(vec![PeerAnswer::new(200), PeerAnswer::new(200)]).await;
    let transport = transport(&["127.0.0.0/8"]);
    let by_name = format!("http://localhost:{}/", peer.port());
    assert_eq!(exchange(&transport, &by_name).await.unwrap().0, 200);
    assert_eq!(exchange(&transport, &peer.url("/")).await.unwrap().0, 200);
}

#[tokio::test]
async fn what_is_allowed_for_one_organization_is_reached_by_no_other() {
    let peer = Peer::start_usually(Vec::new(), |_| PeerAnswer::new(200)).await;
    let (one, other) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
    let allow = [format!("127.0.0.0/8@{one}"), format!("localhost:{}@{one}", peer.port())];
    let transport = transport(&allow.each_ref().map(String::as_str));
    let by_name = format!("http://localhost:{}/", peer.port());
    for url in [peer.url("/"), by_name] {
        // The one who may asks first, so that a connection is there that somebody else could use.
        for (organization, reaches) in [(one, true), (other, false), (one, true)] {
            let behalf = Behalf { organization, ..ANYBODY };
            let answer = transport.exchange(&get(&url), behalf, &Clock::System, PATIENCE).await;
            match reaches {
                true => assert_eq!(answer.unwrap().http.status(), 200),
                false => assert!(matches!(answer, Err(Lost::Refused(_))), "{answer:?}"),
            }
            let file = transport.download(&get(&url), behalf, LIMITS, &Clock::System).await;
            assert_eq!(file.is_ok(), reaches);
        }
    }
    assert_eq!(peer.requests().len(), 8);
}

#[tokio::test]
async fn credentials_do_not_leave_for_where_their_provider_is_not() {
    let peer = Peer::start(Vec::new()).await;
    let by_name = format!("http://localhost:{}/", peer.port());
    let behalf = Behalf { homes: Homes::Domains(&["twilio.com"]), ..ANYBODY };
    // The network is allowed, and the name leads there; nobody named it.
    let transport = transport(&["127.0.0.0/8"]);
    let answer = transport.exchange(&get(&by_name), behalf, &Clock::System, PATIENCE).await;
    let Err(Lost::Refused(reason)) = &answer else { panic!("{answer:?}") };
    assert!(reason.contains("twilio.com") && reason.contains("outgoing.allow"), "{reason}");
    let file = transport.download(&get(&by_name), behalf, LIMITS, &Clock::System).await;
    assert!(matches!(file, Err(DownloadError::Forbidden(_))), "{file:?}");
    assert!(peer.requests().is_empty());
    let plain = ProviderRequest::repeatable(Request::get(&by_name).body(Bytes::new()).unwrap());
    let answer = transport.exchange(&plain, behalf, &Clock::System, PATIENCE).await;
    assert_eq!(answer.unwrap().http.status(), 404, "without credentials there is nothing to guard");
}

/// Downloads all of it: its type, its bytes, and what was counted.
async fn download(
    transport: &Transport,
    url: &str,
    limits: Limits,
) -> Result<(Option<String>, Vec<u8>, (u64, [u8; 32])), DownloadError> {
    let mut file: Incoming = transport.download(&get(url), ANYBODY, limits, &Clock::System).await?;
    let kind = file.content_type().map(ToOwned::to_owned);
    let mut bytes = Vec::new();
    while let Some(chunk) = file.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok((kind, bytes, file.finish()))
}

#[tokio::test]
async fn a_file_comes_with_its_type_size_and_hash() {
    let peer =
        Peer::start(vec![PeerAnswer::new(200).header("content-type", "image/png").body("abc")]);
    let peer = peer.await;
    let (kind, bytes, (size, hash)) =
        download(&transport(&["127.0.0.1"]), &peer.url("/"), LIMITS).await.unwrap();
    assert_eq!((kind.as_deref(), bytes.as_slice(), size), (Some("image/png"), &b"abc"[..], 3));
    assert_eq!(
        hex::encode(hash),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[tokio::test]
async fn credentials_stay_behind_when_a_redirect_leads_to_another_host() {
    let there = Peer::start(vec![PeerAnswer::new(200).body("file")]).await;
    let to_there = there.url("/file").replace("127.0.0.1", "localhost");
    let here = Peer::start(vec![
        PeerAnswer::new(302).header("location", "/nearby"),
        PeerAnswer::new(307).header("location", &to_there),
    ]);
    let here = here.await;
    let transport = transport(&["127.0.0.1", "localhost"]);
    let (_, bytes, _) = download(&transport, &here.url("/"), LIMITS).await.unwrap();
    assert_eq!(bytes, b"file");
    for request in here.requests() {
        assert_eq!(request.header("x-api-key"), Some("key of the account"));
    }
    let [after] = &there.requests()[..] else { panic!("one request") };
    assert_eq!(after.header("x-api-key"), None);
    assert_eq!(after.header("authorization"), None);
    assert_eq!(after.header("accept"), Some("image/*"));
}

#[tokio::test]
async fn a_redirect_to_a_private_or_metadata_address_is_not_followed() {
    for place in [
        "http://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "file:///etc/passwd",
    ] {
        let peer = Peer::start(vec![PeerAnswer::new(302).header("location", place)]).await;
        let allow = format!("127.0.0.1:{}", peer.port());
        let error = download(&transport(&[&allow]), &peer.url("/"), LIMITS).await.unwrap_err();
        let refused = matches!(error, DownloadError::Forbidden(_) | DownloadError::Redirect(_));
        assert!(refused, "{place}: {error:?}");
    }
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let again = || PeerAnswer::new(302).header("location", "/again");
    let peer = Peer::start(vec![again(), again(), again(), again(), again()]).await;
    let error = download(&transport(&["127.0.0.1"]), &peer.url("/"), LIMITS).await.unwrap_err();
    assert!(matches!(error, DownloadError::Redirect(_)), "{error:?}");
    assert_eq!(peer.requests().len(), 4);
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_read() {
    let announced = Peer::start(vec![PeerAnswer::new(200).body("x".repeat(1_001))]).await;
    let transport = transport(&["127.0.0.1"]);
    let error = download(&transport, &announced.url("/"), LIMITS).await.unwrap_err();
    assert!(matches!(error, DownloadError::TooLarge(1_000)), "{error:?}");

    let written = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&written);
    let endless = server(move |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 100]).await.is_ok() {
            *counted.lock().unwrap() += 100;
        }
    });
    let url = format!("http://{}/", endless.await);
    let error = download(&transport, &url, LIMITS).await.unwrap_err();
    assert!(matches!(error, DownloadError::TooLarge(1_000)), "{error:?}");
    assert!(*written.lock().unwrap() < 10_000_000, "it went on reading");
}

#[tokio::test]
async fn a_file_that_stops_coming_is_given_up() {
    let stalled = server(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    });
    let url = format!("http://{}/", stalled.await);
    let error = download(&transport(&["127.0.0.1"]), &url, LIMITS).await.unwrap_err();
    assert!(matches!(error, DownloadError::Lost(Lost::Unanswered(_))), "{error:?}");
}

#[tokio::test]
async fn a_file_that_drips_is_given_up_when_its_time_is_up() {
    let dripping = server(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        while stream.write_all(b"x").await.is_ok() {
            pause.tick().await;
        }
    });
    let url = format!("http://{}/", dripping.await);
    let limits = Limits { timeout: Duration::from_millis(500), ..LIMITS };
    let error = download(&transport(&["127.0.0.1"]), &url, limits).await.unwrap_err();
    assert!(matches!(error, DownloadError::Lost(Lost::Unanswered(_))), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_no_file_is_handed_back() {
    let peer = Peer::start(vec![PeerAnswer::new(404).body("gone")]).await;
    let error = download(&transport(&["127.0.0.1"]), &peer.url("/"), LIMITS).await.unwrap_err();
    let DownloadError::Refused(answer) = error else { panic!("{error:?}") };
    assert_eq!((answer.http.status().as_u16(), answer.http.body().as_ref()), (404, &b"gone"[..]));
}
