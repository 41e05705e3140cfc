//! What the demonstration does: connects two organizations, delivers everything that was recorded, forges and repeats
//! some of it, reads the timelines, and lets the organizations answer.

use std::collections::BTreeMap;

use anyhow::Context;
use providers::{PROVIDERS, Provider};
use serde_json::{Value, json};

use super::client::{Api, deliver};
use super::replies::{self, Stage};
use super::show;
use crate::clock::Clock;
use crate::flow::organizations;
use crate::flow::{Actor, access};
use crate::gateway::Gateway;
use crate::model::{NewOrganization, Scope};
use crate::sandbox::{self, Recorded, Sandbox};

/// The webhook URL of each account, by provider and organization.
type OwnUrls = BTreeMap<(&'static str, String), String>;

/// How the webhooks of one provider were answered.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) genuine: usize,
    pub(super) accepted: usize,
    pub(super) repeated: usize,
    pub(super) forged: usize,
    pub(super) refused: usize,
}

/// `goes_on`: the gateway can be asked afterwards.
pub(super) async fn tell(
    gateway: &Gateway,
    sandbox: &Sandbox,
    base: &str,
    goes_on: bool,
) -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().build().context("the HTTP client cannot be made")?;
    let aurora = organization(gateway, base, &http, "Aurora Dental", "BR").await?;
    let borealis = organization(gateway, base, &http, "Borealis Motors", "AR").await?;
    say!("Two organizations: Aurora Dental (a clinic) and Borealis Motors (a car dealer).");
    let mut own = OwnUrls::new();
    for provider in PROVIDERS {
        for account in sandbox::accounts(provider) {
            let api = if account.organization == "aurora" { &aurora } else { &borealis };
            let url = connect(api, sandbox, provider, &account).await?;
            own.insert((provider.name, account.organization), url);
        }
    }
    show::accounts(&[("Aurora Dental", &aurora), ("Borealis Motors", &borealis)]).await?;
    let leads = [
        (&aurora, lead("Ana Souza", "+55 11 98765-4321", "site")),
        (&aurora, lead("João Lima", "(21) 97654-3210", "referral")),
        (&aurora, lead("Lucía Fernández", "+52 55 1234 5678", "instagram")),
        (&aurora, lead("Grace Miller", "+1 415 555 0199", "phone")),
        (&borealis, lead("Martín Pérez", "011 15-2345-6789", "showroom")),
        (&borealis, lead("Henry Cole", "+1 415 555 0177", "site")),
    ];
    let mut created = Vec::new();
    for (api, body) in leads {
        created.push((api, api.post("/api/v1/leads", body).await?));
    }

    say!(
        "\nEvery recorded webhook is delivered over HTTP, signed as its provider signs; then a third of them again,"
    );
    say!("and a third with a signature that is not genuine:\n");
    let mut delivered = BTreeMap::new();
    for provider in PROVIDERS {
        delivered.insert(provider.name, deliver_all(&http, base, provider, &own).await?);
    }
    show::deliveries(&http, base, &gateway.config.metrics.token, &delivered).await?;
    show::quarantine(gateway, &[("Aurora Dental", &aurora), ("Borealis Motors", &borealis)])
        .await?;
    say!("\nThe leads' timelines, messages and calls in one order:");
    for (api, lead) in &created {
        show::timeline(api, lead).await?;
    }
    let lead = &created[0].1;
    replies::tell(Stage { gateway, sandbox, api: &aurora, lead }).await?;
    if goes_on {
        show::invitation(base, &sandbox.url(), &aurora, lead);
    }
    Ok(())
}

fn lead(name: &str, phone: &str, source: &str) -> Value {
    json!({ "name": name, "phone": phone, "source": source })
}

async fn organization(
    gateway: &Gateway,
    base: &str,
    http: &reqwest::Client,
    name: &str,
    country: &str,
) -> anyhow::Result<Api> {
    let new = NewOrganization {
        name: name.to_owned(),
        plan_tier: "demo".to_owned(),
        default_country: Some(country.to_owned()),
    };
    let organization = organizations::create(gateway, new).await?;
    let actor = Actor::operator(organization.id);
    let key = access::create_key(gateway, &actor, "demo", Scope::ALL.to_vec(), None).await?;
    Ok(Api {
        base: base.to_owned(),
        organization: organization.id.to_string(),
        key: key.secret,
        http: http.clone(),
    })
}

/// Connects an account with its routes, and with the sandbox in the provider's place; returns its webhook URL.
async fn connect(
    api: &Api,
    sandbox: &Sandbox,
    provider: &Provider,
    account: &sandbox::RecordedAccount,
) -> anyhow::Result<String> {
    let mut settings = account.settings.clone();
    settings.insert("base_url".to_owned(), sandbox.base_url(provider.name));
    let body = json!({
        "provider": provider.name,
        "name": provider.title,
        "settings": settings,
        "credentials": account.secrets,
    });
    let created = api.post("/api/v1/accounts", body).await?;
    for route in &account.routes {
        let body = json!({
            "account_id": created["id"],
            "channel": route.channel,
            "address": route.address,
            "handle": route.handle,
        });
        api.post("/api/v1/routes", body).await?;
    }
    Ok(created["webhook_url"].as_str().unwrap_or_default().to_owned())
}

/// Delivers every webhook of a provider to the URL that its accounts share; what names no account, to the account's own.
async fn deliver_all(
    http: &reqwest::Client,
    base: &str,
    provider: &'static Provider,
    own: &OwnUrls,
) -> anyhow::Result<Delivered> {
    let shared = format!("{base}/hooks/{}", provider.name);
    let mut delivered = Delivered::default();
    let recorded: Vec<Recorded> =
        sandbox::webhooks(provider).into_iter().filter(|one| !one.is_challenge()).collect();
    for (index, one) in recorded.iter().enumerate() {
        let names_nobody = ["nameless-", "unreadable-", "unknown-number-"]
            .iter()
            .any(|prefix| one.name.starts_with(prefix));
        let key = (provider.name, one.account.organization.clone());
        let url = own.get(&key).filter(|_| names_nobody).unwrap_or(&shared);
        let sign = |at| one.signed(url, at).with_context(|| one.name.clone());
        delivered.genuine += 1;
        let status = deliver(http, sign(Clock::System.now())?).await?;
        delivered.accepted += usize::from(status == 200);
        if index % 3 == 0 {
            delivered.repeated += 1;
            deliver(http, sign(Clock::System.now())?).await?;
        }
        if index % 3 == 1 {
            delivered.forged += 1;
            let status = deliver(http, forge(sign(Clock::System.now())?)).await?;
            delivered.refused += usize::from(status == 401);
        }
    }
    Ok(delivered)
}

/// The same request with one character of its signature changed.
fn forge(mut request: http::Request<bytes::Bytes>) -> http::Request<bytes::Bytes> {
    let names = [
        "x-hub-signature-256",
        "x-twilio-signature",
        "telnyx-signature-ed25519",
        "x-webhook-hmac",
        "authorization",
    ];
    for name in names {
        if let Some(value) = request.headers().get(name) {
            let mut bytes = value.as_bytes().to_vec();
            let place = bytes.len() / 2;
            bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                request.headers_mut().insert(name, value);
            }
        }
    }
    request
}
