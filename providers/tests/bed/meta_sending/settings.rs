//! The settings of sending.

use std::collections::BTreeMap;
use std::time::Duration;

use providers::{Account, Channel, Misconfigured, Secret, Settings, Step, meta::PROVIDER};

use super::{account, text_message};
use crate::fixtures;

fn open(changes: &[(&str, &str)]) -> Result<Box<dyn Account>, Misconfigured> {
    let fixture = fixtures::accounts(&PROVIDER).remove(0);
    let mut plain = fixture.settings.clone();
    let mut secrets: BTreeMap<String, Secret> = fixture
        .secrets
        .iter()
        .map(|(name, value)| (name.clone(), Secret::from(value.as_str())))
        .collect();
    for (name, value) in changes {
        match *name {
            "access_token" => {
                secrets.insert((*name).to_owned(), Secret::from(*value));
            }
            _ => {
                plain.insert((*name).to_owned(), (*value).to_owned());
            }
        }
    }
    (PROVIDER.open)(&Settings::new(plain, secrets))
}

fn url_of(account: &dyn Account) -> String {
    match account.messages().unwrap().step(&text_message(), &[]).unwrap() {
        Step::Next(request) => request.http.uri().to_string(),
        Step::Done(sent) => panic!("sent without a request: {sent:?}"),
    }
}

#[test]
fn without_a_token_the_account_only_receives() {
    let account = open(&[("access_token", " ")]).unwrap();
    assert!(account.webhooks().is_some());
    assert!(account.messages().is_none() && account.media().is_none());
    assert!(account.receipts().is_none() && account.templates().is_none());
    assert!(account.health().is_none());
}

#[test]
fn meta_cannot_be_asked_what_became_of_a_message() {
    assert!(account().tracking().is_none() && account().sessions().is_none());
}

#[test]
fn the_api_is_where_the_settings_say() {
    let usual = "https://graph.facebook.com/v24.0/106540352242922/messages";
    assert_eq!(url_of(&*account()), usual);
    for (base, version, url) in [
        ("http://127.0.0.1:9000", "v25.0", "http://127.0.0.1:9000/v25.0/106540352242922/messages"),
        ("https://a.example/meta/", "v9.0", "https://a.example/meta/v9.0/106540352242922/messages"),
    ] {
        let account = open(&[("base_url", base), ("api_version", version)]).unwrap();
        assert_eq!(url_of(&*account), url);
    }
}

#[test]
fn a_wrong_setting_is_named() {
    let long = format!("https://example.com/{}", "a".repeat(1_024));
    for (name, value) in [
        ("api_version", "24.0"),
        ("api_version", "v24"),
        ("api_version", "v.0"),
        ("api_version", "v24.0/../x"),
        ("api_version", "v24.1"),
        ("base_url", "graph.facebook.com"),
        ("base_url", "ftp://graph.facebook.com"),
        ("base_url", "https://graph.facebook.com/?a=b"),
        ("base_url", "https://graph.facebook.com/#a"),
        ("base_url", "https://user:pass@graph.facebook.com"),
        ("base_url", &long),
        ("messages_per_second", "0"),
        ("messages_per_second", "1001"),
        ("messages_per_second", "-1"),
        ("messages_per_second", "2.5"),
        ("messages_per_second", "many"),
        ("access_token", "two words"),
        ("access_token", "line\nbreak"),
        ("access_token", "ü"),
    ] {
        let wrong = open(&[(name, value)]).expect_err(value);
        assert_eq!(wrong.field, name, "{value}");
        assert!(name != "access_token" || !wrong.reason.contains(value));
    }
}

#[test]
fn the_pace_is_metas_unless_the_settings_say_otherwise() {
    let pace = account().messages().unwrap().pace(Channel::Whatsapp);
    assert_eq!((pace.per_second, pace.burst), (80.0, 80.0));
    let pair = pace.pair.unwrap();
    assert_eq!((pair.every, pair.burst), (Duration::from_secs(6), 45.0));
    assert_eq!(pace.human, None);
    for (setting, rate) in [("1", 1.0), ("20", 20.0), ("1000", 1_000.0)] {
        let account = open(&[("messages_per_second", setting)]).unwrap();
        let pace = account.messages().unwrap().pace(Channel::Whatsapp);
        assert_eq!((pace.per_second, pace.burst), (rate, rate));
    }
    assert_eq!(account().messages().unwrap().window_hours(Channel::Whatsapp), Some(24));
    assert_eq!(account().messages().unwrap().window_hours(Channel::Sms), None);
}

#[test]
fn a_file_at_the_apis_own_host_is_fetched_with_the_token() {
    let account = open(&[("base_url", "http://127.0.0.1:9000/meta")]).unwrap();
    let fetch = |url: &str| {
        let file = providers::Attachment {
            kind: providers::MediaKind::Image,
            media_id: None,
            url: Some(url.to_owned()),
            mime_type: None,
            filename: None,
            size: None,
            sha256: None,
        };
        account.media().unwrap().step(&file, &[])
    };
    let Ok(providers::MediaStep::Download(download)) = fetch("http://127.0.0.1:9000/files/1")
    else {
        panic!("no download");
    };
    assert_eq!(super::bearer(&download.request), Some(super::token()));
    assert!(fetch("http://127.0.0.1:9001/files/1").is_err(), "another port is another host");
}
