//! What the tests of sending over bridges to WhatsApp Web have in common: messages, and what no bridge can send.

use bytes::Bytes;
use providers::{
    Account, Address, Button, Cause, Channel, FailureClass, FileSource, ListSection, LoadedFile,
    MediaKind, MessageRef, OutboundContent, OutboundFile, OutboundMessage, Sender, Template,
};
use serde_json::json;

pub fn text(body: &str) -> OutboundContent {
    OutboundContent::Text { body: body.to_owned(), preview_url: false }
}

pub fn message(content: OutboundContent) -> OutboundMessage {
    OutboundMessage {
        id: "019aa5b1-7c3e-7d42-9f10-8a6b5c4d3e2f".to_owned(),
        channel: Channel::Whatsapp,
        from: Sender { address: "+5511955510001".to_owned(), handle: None },
        to: Address::Phone("+5511987654321".parse().unwrap()),
        group: None,
        content,
        files: Vec::new(),
        reply_to: None,
        status_url: None,
    }
}

pub fn media(kind: MediaKind, mime_type: Option<&str>, caption: Option<&str>) -> OutboundMessage {
    let file = OutboundFile {
        media: kind,
        source: FileSource::Stored("f".to_owned()),
        mime_type: mime_type.map(ToOwned::to_owned),
        filename: Some("a.bin".to_owned()),
        size: Some(3),
    };
    let caption = caption.map(ToOwned::to_owned);
    let mut message = message(OutboundContent::Media { files: vec![file], caption });
    message.files = vec![LoadedFile {
        bytes: Some(Bytes::from_static(b"abc")),
        link: Some("https://l".to_owned()),
    }];
    message
}

/// Whether these are refused by their member, with all that no bridge can send; and that a text of the greatest length is not.
pub fn refuse(account: &dyn Account, own: Vec<(OutboundMessage, &str)>) {
    let messages = account.messages().unwrap();
    let all = beyond_every_bridge().into_iter().chain(odd_polls()).chain(invitations());
    for (message, field) in all.chain(own) {
        let refused = messages.check(&message).map_err(|unfit| unfit.field);
        assert_eq!(refused, Err(field.to_owned()));
        let failure = messages.step(&message, &[]).unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent(Cause::Message), "{field}");
    }
    assert_eq!(messages.check(&message(text(&"x".repeat(65_536)))), Ok(()));
    let longest = poll(&"ü".repeat(255), &["Sim", &"ü".repeat(100)]);
    assert_eq!(messages.check(&longest), Ok(()));
    assert_eq!(messages.window_hours(Channel::Whatsapp), None);
}

/// A poll of this question with these options.
pub fn poll(question: &str, options: &[&str]) -> OutboundMessage {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    message(OutboundContent::Poll { question: question.to_owned(), options, multiple: false })
}

/// Polls that overstep a limit of WhatsApp's, and the member that is to blame.
fn odd_polls() -> Vec<(OutboundMessage, &'static str)> {
    let long = "ü".repeat(101);
    let numbers: Vec<String> = (0..13).map(|number| number.to_string()).collect();
    let many: Vec<&str> = numbers.iter().map(String::as_str).collect();
    vec![
        (poll(" ", &["Sim", "Não"]), "content.question"),
        (poll(&"ü".repeat(256), &["Sim", "Não"]), "content.question"),
        (poll("?", &["Sim"]), "content.options"),
        (poll("?", &many), "content.options"),
        (poll("?", &["Sim", ""]), "content.options[1]"),
        (poll("?", &[&long, "Não"]), "content.options[0]"),
        (poll("?", &["Sim", "Não", "Sim "]), "content.options[2]"),
    ]
}

/// Interactive messages that only the Business Platform has, and the member that is to blame.
fn invitations() -> Vec<(OutboundMessage, &'static str)> {
    let all = json!([
        { "kind": "cta_url", "body": "?", "text": "Abrir", "url": "https://aurora.example" },
        { "kind": "location_request", "body": "?" },
        { "kind": "flow", "body": "?", "flow_id": "7", "cta": "Abrir" },
        { "kind": "products", "catalog_id": "7", "body": "?" },
    ]);
    let fields = ["content.url", "content.kind", "content.cta", "content.catalog_id"];
    let contents: Vec<OutboundContent> = serde_json::from_value(all).unwrap();
    contents.into_iter().map(message).zip(fields).collect()
}

fn beyond_every_bridge() -> Vec<(OutboundMessage, &'static str)> {
    let button = Button { id: "1".to_owned(), title: "Sim".to_owned() };
    let (header, footer) = (None, None);
    let body = "?".to_owned();
    let buttons = OutboundContent::Buttons { header, body, footer, buttons: vec![button] };
    let list = OutboundContent::List {
        header: None,
        body: "?".to_owned(),
        footer: None,
        button: "Abrir".to_owned(),
        sections: vec![ListSection { title: None, rows: Vec::new() }],
    };
    let template = OutboundContent::Template(Template {
        name: "hello".to_owned(),
        language: None,
        variables: std::collections::BTreeMap::new(),
        header: None,
        components: None,
    });
    let mut mail = message(text("x"));
    mail.to = Address::Email("a@example.com".to_owned());
    let mut foreign = message(text("x"));
    foreign.reply_to = Some(MessageRef("wamid.HBgN".to_owned()));
    let mut sms = message(text("x"));
    sms.channel = Channel::Sms;
    let mut two = media(MediaKind::Image, None, None);
    if let OutboundContent::Media { files, .. } = &mut two.content {
        files.push(files[0].clone());
    }
    let reaction = |emoji: &str| {
        let (target, emoji) = (MessageRef("false_3A01".to_owned()), Some(emoji.to_owned()));
        message(OutboundContent::Reaction { target, emoji })
    };
    let mut elsewhere = message(text("x"));
    elsewhere.group = Some("Y2FwaV9ncm91cDo1NDkxMTUwMzE3Nzg4OjEyMDM2MzA".to_owned());
    let of_type = |kind, mime_type| media(kind, Some(mime_type), None);
    vec![
        (reaction("ok"), "content.emoji"),
        (reaction("👍👍"), "content.emoji"),
        (elsewhere, "reply_to"),
        (of_type(MediaKind::Voice, "image/jpeg"), "content.files[0].mime_type"),
        (of_type(MediaKind::Image, "application/pdf"), "content.files[0].mime_type"),
        (of_type(MediaKind::Document, "pdf"), "content.files[0].mime_type"),
        (message(buttons), "content.buttons"),
        (message(list), "content.sections"),
        (message(template), "content.name"),
        (message(text(" ")), "content.body"),
        (message(text(&"x".repeat(65_537))), "content.body"),
        (media(MediaKind::Voice, None, Some("x")), "content.caption"),
        (media(MediaKind::Image, None, Some(&"x".repeat(1_025))), "content.caption"),
        (two, "content.files"),
        (mail, "to"),
        (foreign, "reply_to"),
        (sms, "channel"),
        (message(OutboundContent::Contacts { cards: Vec::new() }), "content.cards"),
    ]
}
