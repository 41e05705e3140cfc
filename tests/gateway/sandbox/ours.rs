//! Our own clients against the emulators: what the providers crate asks for is what the emulators take.

use std::collections::BTreeMap;

use bytes::Bytes;
use providers::{
    Account, Address, Button, Channel, ContactCard, Header, OutboundContent, OutboundMessage,
    PhoneNumber, ProviderRequest, ProviderResponse, Secret, Sender, Settings, Step, Template, Told,
};
use switchboard::clock::Clock;
use switchboard::sandbox::RecordedAccount;

use super::Rig;

const ANA: &str = "+5511987654321";

/// A fixture's account whose base URL is the emulator's, as the gateway would open it.
pub(super) fn open(rig: &Rig, provider: &str) -> (RecordedAccount, Box<dyn Account>) {
    let provider = providers::provider(provider).unwrap();
    let recorded = switchboard::sandbox::accounts(provider).into_iter().next().unwrap();
    let mut plain: BTreeMap<String, String> = recorded.settings.clone();
    plain.insert("base_url".to_owned(), rig.sandbox.base_url(provider.name));
    let secret = |(name, value): (&String, &String)| (name.clone(), Secret::from(value.as_str()));
    let secrets = recorded.secrets.iter().map(secret).collect();
    let account = (provider.open)(&Settings::new(plain, secrets)).unwrap();
    (recorded, account)
}

pub(super) async fn ask(rig: &Rig, request: ProviderRequest) -> ProviderResponse {
    let (parts, body) = request.http.into_parts();
    let request = rig.http.request(parts.method, parts.uri.to_string()).headers(parts.headers);
    let answer = request.body(body).send().await.unwrap();
    let mut response = http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    let body: Bytes = answer.bytes().await.unwrap();
    ProviderResponse { at: Clock::System.now(), http: response.body(body).unwrap() }
}

pub(super) fn message(
    rig: &Rig,
    recorded: &RecordedAccount,
    channel: Channel,
    number: u32,
    content: OutboundContent,
) -> OutboundMessage {
    let carries = |route: &&switchboard::sandbox::RecordedRoute| route.channel == channel.word();
    let route = recorded.routes.iter().find(carries).unwrap();
    OutboundMessage {
        id: format!("019aa5b1-7c3e-7d42-9f10-{number:012x}"),
        channel,
        from: Sender { address: route.address.clone(), handle: route.handle.clone() },
        to: Address::Phone(PhoneNumber::international(ANA).unwrap()),
        group: None,
        content,
        files: Vec::new(),
        reply_to: None,
        status_url: Some(format!("{}/hooks/own", rig.hooks)),
    }
}

/// Sends as the queue does; the provider's first id of the message.
pub(super) async fn send(rig: &Rig, account: &dyn Account, message: &OutboundMessage) -> String {
    let messages = account.messages().unwrap();
    messages.check(message).unwrap();
    let mut answers = Vec::new();
    loop {
        match messages.step(message, &answers).unwrap() {
            Step::Done(sent) => return sent.references[0].0.clone(),
            Step::Next(request) => answers.push(ask(rig, *request).await),
        }
    }
}

fn text() -> OutboundContent {
    OutboundContent::Text { body: "Olá, Ana! 😊".to_owned(), preview_url: false }
}

fn place() -> OutboundContent {
    let name = Some("Clínica".to_owned());
    OutboundContent::Location { latitude: -23.55, longitude: -46.63, name, address: None }
}

fn card() -> OutboundContent {
    let card = ContactCard { name: "Ana Souza".to_owned(), ..ContactCard::default() };
    OutboundContent::Contacts { cards: vec![card] }
}

#[tokio::test]
async fn what_we_send_through_meta_is_taken() {
    let rig = Rig::start().await;
    let (recorded, account) = open(&rig, "meta");
    rig.person_writes("meta", &recorded.routes[0].address, ANA).await;
    let button = |id: &str| Button { id: id.to_owned(), title: id.to_owned() };
    let buttons = OutboundContent::Buttons {
        header: Some(Header::Text("Which?".to_owned())),
        body: "Choose".to_owned(),
        footer: None,
        buttons: vec![button("yes"), button("no")],
    };
    let variables = [("1", "Ana"), ("2", "Friday")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let template = OutboundContent::Template(Template {
        name: "appointment_reminder".to_owned(),
        language: Some("pt_BR".to_owned()),
        variables: variables.into_iter().collect(),
        header: None,
        components: None,
    });
    let contents = [text(), place(), card(), buttons, template];
    for (number, content) in (1..).zip(contents) {
        let message = message(&rig, &recorded, Channel::Whatsapp, number, content);
        send(&rig, &*account, &message).await;
        assert_eq!(rig.sandbox.count_of(&message.id), 1);
    }
    let templates = account.templates().unwrap();
    let page = templates.listed(&ask(&rig, templates.list(None)).await).unwrap();
    assert!(page.templates.iter().any(|template| template.name == "hello_world"));
}

#[tokio::test]
async fn what_we_send_through_twilio_and_telnyx_is_taken() {
    let rig = Rig::start().await;
    for provider in ["twilio", "telnyx"] {
        let (recorded, account) = open(&rig, provider);
        let number = if provider == "twilio" { 1 } else { 2 };
        let message = message(&rig, &recorded, Channel::Sms, number, text());
        let id = send(&rig, &*account, &message).await;
        assert_eq!(rig.sandbox.count_of(&message.id), 1);
        rig.sandbox.settled().await;
        let message = rig.sandbox.messages().pop().unwrap();
        assert_eq!((message.id, message.status.as_str()), (id, "delivered"));
    }
    assert_eq!(rig.sandbox.counts().accepted, 2);
}

#[tokio::test]
async fn what_we_send_through_waha_is_taken_and_found_again() {
    let rig = Rig::start().await;
    let (recorded, account) = open(&rig, "waha");
    let poll = OutboundContent::Poll {
        question: "Quando?".to_owned(),
        options: vec!["Sexta".to_owned(), "Sábado".to_owned()],
        multiple: false,
    };
    for (number, content) in (1..).zip([text(), place(), card(), poll]) {
        let message = message(&rig, &recorded, Channel::Whatsapp, number, content);
        let sent_at = Clock::System.now();
        let id = send(&rig, &*account, &message).await;
        let tracking = account.tracking().unwrap();
        let response = ask(&rig, tracking.ask(&message, sent_at)).await;
        let Told::Sent(sent) = tracking.told(&message, sent_at, &response).unwrap() else {
            panic!("the message is not found: {:?}", response.http)
        };
        assert_eq!(sent.references[0].0, id);
    }
    assert_eq!(rig.sandbox.counts().accepted, 4);
}

#[tokio::test]
async fn accounts_at_the_emulators_are_well_until_their_token_is_revoked() {
    let rig = Rig::start().await;
    for provider in ["meta", "twilio", "telnyx", "waha"] {
        let (_, account) = open(&rig, provider);
        let Some(health) = account.health() else { panic!("{provider} has no health") };
        health.diagnose(&ask(&rig, health.probe()).await).unwrap();
        let fault = serde_json::json!({ "provider": provider, "kind": "revoked_token" });
        rig.fault(fault).await;
        let failure = health.diagnose(&ask(&rig, health.probe()).await).unwrap_err();
        assert_eq!(failure.class.cause(), Some(providers::Cause::Account), "{provider}");
    }
}
