//! Requests forged by changing genuine ones: none is accepted.

mod changes;
mod covered;
mod origin;
mod proofs;

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use providers::{Event, Proof, Provider};
use serde_json::Value;
use switchboard::clock::Timestamp;

use self::changes::CHANGES;
use self::covered::{Covered, covered};
use self::origin::{Origin, Origins};
use self::proofs::{PROOFS, arrival};
use super::dice::{Dice, seed};
use super::{figure, scale};
use crate::support::{PUBLIC_URL, TestGateway, beginning, on_both_engines};

/// So many forged requests are handed to the providers at least, and so many to the gateway over each way into it.
const FORGED: usize = 20_000;
const SENT: usize = 500;

/// A changed request.
struct Changed {
    request: Request<Bytes>,
    at: Timestamp,
    /// What was done to it.
    how: Vec<&'static str>,
}

/// One to three changes of a genuine request.
fn change(dice: &mut Dice, origin: &Origin, all: &[Origin]) -> Changed {
    let mut request = origin.genuine.clone();
    let mut how = Vec::new();
    loop {
        let changes = if dice.once_in(2) { &CHANGES[..] } else { &PROOFS[..] };
        let (name, make) = dice.pick(changes);
        make(dice, origin, all, &mut request);
        how.push(*name);
        if how.len() == 3 || !dice.once_in(4) {
            return Changed { request, at: arrival(dice), how };
        }
    }
}

/// What the proofs of all genuine requests of a provider cover.
fn genuine(origins: &Origins) -> HashSet<Covered> {
    let covers = |origin: &Origin| {
        let known = covered(origin.provider.name, &origin.genuine, beginning());
        known.unwrap_or_else(|| panic!("{}: nothing proves it", origin.name))
    };
    origins.all.iter().map(covers).collect()
}

#[derive(Debug, Default)]
struct Counts {
    forged: usize,
    accepted: usize,
    /// Changed, and the same to whoever checks the proof.
    same: usize,
    same_accepted: usize,
    /// Accepted of those, and believed to say something else than the genuine one; what is kept unreadable is not believed.
    read_otherwise: usize,
    faults: Vec<String>,
}

/// What a request says, whatever time it came at.
fn said(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| format!("{:?} {:?} {:?}", event.key, event.line, event.kind))
        .collect()
}

/// Whether the proof covers all that is read. Evolution's covers nothing that is said, Telnyx's no query.
fn proves_what_it_says(origin: &Origin, request: &Request<Bytes>) -> bool {
    let is_query = origin.provider.name == "telnyx" && request.method() == http::Method::GET;
    origin.provider.proof == Proof::Request && !is_query
}

/// Twilio signs the names and values of a form with nothing between, so that a `=` may stand elsewhere.
fn may_be_cut_otherwise(origin: &Origin, request: &Request<Bytes>) -> bool {
    origin.provider.name == "twilio" && request.body() != origin.genuine.body()
}

impl Counts {
    fn judge(
        &mut self,
        origins: &Origins,
        known: &HashSet<Covered>,
        origin: &Origin,
        changed: Changed,
    ) {
        let Changed { request, at, how } = changed;
        let is_same = covered(origin.provider.name, &request, at)
            .is_some_and(|covered| known.contains(&covered));
        let verdict = origins.receive(origin, request.clone(), at);
        if !is_same {
            self.forged += 1;
            if verdict.is_ok() {
                self.accepted += 1;
                self.faults.push(format!("{}: {how:?}: {}", origin.name, shown(&request)));
            }
            return;
        }
        self.same += 1;
        let Ok(batch) = verdict else { return };
        self.same_accepted += 1;
        let Ok(first) = origins.receive(origin, origin.genuine.clone(), at) else { return };
        let is_own = covered(origin.provider.name, &request, at)
            == covered(origin.provider.name, &origin.genuine, beginning());
        let says = said(&batch.events);
        if is_own
            && proves_what_it_says(origin, &request)
            && !says.is_empty()
            && said(&first.events) != says
        {
            self.read_otherwise += 1;
            if !may_be_cut_otherwise(origin, &request) {
                self.faults.push(format!(
                    "{}: {how:?}: read otherwise: {}",
                    origin.name,
                    shown(&request)
                ));
            }
        }
    }
}

/// A request in a line.
fn shown(request: &Request<Bytes>) -> String {
    let body: String = String::from_utf8_lossy(request.body()).chars().take(300).collect();
    format!("{} {} {:?} {body:?}", request.method(), request.uri(), request.headers())
}

#[test]
fn forged_requests_are_refused_whatever_was_changed() {
    let mut dice = Dice::of("forged");
    let all = Origins::everything(beginning(), |provider, _| {
        format!("{PUBLIC_URL}/hooks/{}", provider.name)
    });
    let count: usize = all.iter().map(|origins| origins.all.len()).sum();
    let each = 1 + FORGED * scale() / count;
    let mut table: BTreeMap<&str, Counts> = BTreeMap::new();
    for origins in &all {
        let known = genuine(origins);
        let counts = table.entry(origins.provider.name).or_default();
        for origin in &origins.all {
            origins.receive(origin, origin.genuine.clone(), beginning()).unwrap();
            let before = counts.forged;
            while counts.forged - before < each {
                counts.judge(origins, &known, origin, change(&mut dice, origin, &origins.all));
            }
        }
    }
    let (mut forged, mut accepted, mut faults) = (0, 0, Vec::new());
    for (provider, counts) in &table {
        let Counts { same, same_accepted, read_otherwise, .. } = counts;
        figure(
            format!("forged, {provider}"),
            format!(
                "{} forged, accepted {}; {same} with the same text signed, accepted {same_accepted}, read otherwise {read_otherwise}",
                counts.forged, counts.accepted
            ),
        );
        forged += counts.forged;
        accepted += counts.accepted;
        faults.extend(counts.faults.iter().map(|fault| format!("{provider}/{fault}")));
    }
    figure("forged, in all", format!("{forged} requests, accepted {accepted}"));
    assert!(forged >= FORGED);
    assert!(
        faults.is_empty(),
        "seed {}: {} faults:\n{}",
        seed(),
        faults.len(),
        faults[..faults.len().min(20)].join("\n")
    );
}

/// Method and type of a request are not signed: what was signed as one kind must not be believed as another.
#[test]
fn forged_a_request_played_back_as_one_of_another_kind_is_refused() {
    let url =
        |provider: &'static Provider| move |_: &_| format!("{PUBLIC_URL}/hooks/{}", provider.name);
    let is_refused = |origins: &Origins, origin: &Origin, change: fn(&mut Request<Bytes>)| {
        let mut request = origin.genuine.clone();
        change(&mut request);
        assert!(origins.receive(origin, request, beginning()).is_err(), "{}", origin.name);
    };
    let telnyx =
        Origins::of(&providers::telnyx::PROVIDER, beginning(), url(&providers::telnyx::PROVIDER));
    for origin in telnyx.all.iter().filter(|origin| !origin.genuine.body().is_empty()) {
        is_refused(&telnyx, origin, |request| {
            *request.method_mut() = http::Method::GET;
            let said =
                "?CallSid=v3:forged&CallStatus=completed&Direction=inbound&To=%2B13125550130";
            *request.uri_mut() = format!("{}{said}", request.uri()).parse().unwrap();
        });
    }
    let twilio =
        Origins::of(&providers::twilio::PROVIDER, beginning(), url(&providers::twilio::PROVIDER));
    let is_hashed =
        |origin: &&Origin| origin.genuine.uri().query().unwrap_or_default().contains("bodySHA256=");
    assert!(twilio.all.iter().any(|origin| is_hashed(&origin)));
    for origin in twilio.all.iter().filter(is_hashed) {
        is_refused(&twilio, origin, |request| *request.method_mut() = http::Method::GET);
        is_refused(&twilio, origin, |request| {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert("content-type", form);
            request.body_mut().clear();
        });
    }
}

/// As what arrives over HTTP: under the public URL, which is configured, without blanks around the values of headers, and a `GET`
/// without a body, since none is read.
fn as_it_arrives(request: Request<Bytes>) -> Request<Bytes> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = format!("{PUBLIC_URL}{path}").parse().unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in &parts.headers {
        headers.append(name, HeaderValue::from_bytes(value.as_bytes().trim_ascii()).unwrap());
    }
    parts.headers = headers;
    let body = if parts.method == http::Method::GET { Bytes::new() } else { body };
    Request::from_parts(parts, body)
}

/// Where each organization's account of each provider is called, by provider and organization.
async fn own_urls(gateway: &TestGateway) -> BTreeMap<(String, String), String> {
    let (aurora, borealis) = gateway.two_organizations().await;
    let mut urls = BTreeMap::new();
    for (name, org) in [("aurora", aurora), ("borealis", borealis)] {
        let accounts = gateway.get(&org, "/api/v1/accounts").await.expect(200);
        for account in accounts["items"].as_array().unwrap() {
            let word = |member: &Value| member.as_str().unwrap().to_owned();
            urls.insert(
                (word(&account["provider"]), name.to_owned()),
                word(&account["webhook_url"]),
            );
        }
    }
    urls
}

/// Forged requests to the URLs that `url` gives.
fn forge(
    dice: &mut Dice,
    count: usize,
    url: impl Fn(&'static Provider, &str) -> String,
) -> Vec<(String, Request<Bytes>)> {
    let all =
        Origins::everything(beginning(), |provider, account| url(provider, &account.organization));
    let known: Vec<HashSet<Covered>> = all.iter().map(genuine).collect();
    let mut forged = Vec::new();
    while forged.len() < count {
        let place = dice.below(all.len());
        let origin = dice.pick(&all[place].all);
        let Changed { request, how, .. } = change(dice, origin, &all[place].all);
        let request = as_it_arrives(request);
        // What another account's key signs may be genuine for that account, and is none of this test's business.
        let is_forged = covered(origin.provider.name, &request, beginning())
            .is_none_or(|covered| !known[place].contains(&covered));
        if is_forged && !how.contains(&"another key") {
            forged.push((
                format!("{}/{}: {how:?}: {}", origin.provider.name, origin.name, shown(&request)),
                request,
            ));
        }
    }
    forged
}

on_both_engines! {
    what_is_kept_is_read_again_as_what_was_proven(gateway) {
        own_urls(&gateway).await;
        let twilio = &providers::twilio::PROVIDER;
        let shared = |_: &_| format!("{PUBLIC_URL}/hooks/twilio");
        let origins = Origins::of(twilio, beginning(), shared);
        let is_hashed = |origin: &&Origin| origin.genuine.uri().query().unwrap_or_default().contains("bodySHA256=");
        let mut request = origins.all.iter().find(is_hashed).unwrap().genuine.clone();
        // With two types it is no form, and is proven by its hash. With the first alone it would be one.
        let json = request.headers_mut().remove("content-type").unwrap();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().append("content-type", form);
        request.headers_mut().append("content-type", json);
        gateway.deliver(request).await.expect(200);
        let kept = gateway.database.text("select headers from webhook_inbox").await;
        let types = kept.lines().filter(|line| line.starts_with("content-type: ")).count();
        assert_eq!(types, 2, "{kept}");
    }

    forged_requests_leave_nothing_in_the_gateway(gateway) {
        let mut dice = Dice::of("sent");
        let urls = own_urls(&gateway).await;
        let own = |provider: &'static Provider, whose: &str| urls[&(provider.name.to_owned(), whose.to_owned())].clone();
        let shared = |provider: &'static Provider, _: &str| format!("{PUBLIC_URL}/hooks/{}", provider.name);
        let count = SENT * scale();
        let mut forged = forge(&mut dice, count / 2, own);
        forged.extend(forge(&mut dice, count - count / 2, shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let front = gateway.front();
        let receive = move |request: axum::extract::Request| async move { front.call(request, None).await };
        let router = axum::Router::new().fallback(receive);
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let client = reqwest::Client::new();
        let (mut in_process, mut over_http) = (0, 0);
        for (what, request) in forged {
            let status = gateway.send(request.clone()).await.status;
            assert!(status.is_client_error(), "seed {}: {status}: {what}", seed());
            in_process += 1;
            let mut sent = request;
            let path = sent.uri().path_and_query().unwrap().clone();
            *sent.uri_mut() = format!("{base}{path}").parse().unwrap();
            let Ok(sent) = reqwest::Request::try_from(sent) else { continue };
            let status = client.execute(sent).await.unwrap().status();
            assert!(status.is_client_error(), "seed {}: over HTTP, {status}: {what}", seed());
            over_http += 1;
        }
        server.abort();
        for table in ["webhook_inbox", "webhook_quarantine", "messages", "call_logs", "events"] {
            assert_eq!(gateway.count(table).await, 0, "{table}");
        }
        assert!(over_http > SENT / 2);
        figure(
            format!("forged, sent to the gateway, {:?}", gateway.database.kind),
            format!("{in_process} in process, {over_http} over HTTP, accepted 0, rows left 0"),
        );
    }
}
