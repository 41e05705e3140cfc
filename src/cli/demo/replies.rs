//! The demonstration's second half: the gateway sends, through the emulators of the sandbox, and everything goes wrong
//! once that must not lose or double a message.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::client::Api;
use super::journey::{self, Journey, span};
use super::show;
use crate::gateway::Gateway;
use crate::model::{MessageId, OrganizationId};
use crate::sandbox::{Fault, FaultKind, Inbound, On, Sandbox};
use crate::store::sending::journal;

/// What Meta answers when one recipient gets too much.
const PAIR_LIMIT: u32 = 131_056;

/// A message has come as far as it can.
const END: &[&str] = &["delivered", "read"];
const READ: &[&str] = &["read"];

/// Who sends, and through what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) sandbox: &'a Sandbox,
    pub(super) api: &'a Api,
    /// The lead who gets the replies.
    pub(super) lead: &'a Value,
}

/// Sends, and tells what becomes of it.
pub(super) async fn tell(stage: Stage<'_>) -> anyhow::Result<()> {
    say!("\nNow the gateway sends. The providers' place is taken by emulators of this program, as");
    say!("strict as they are: {}", stage.sandbox.url());
    replies(stage).await?;
    throttled(stage).await?;
    unknown(stage).await?;
    window(stage).await?;
    repeated(stage).await?;
    let counts = stage.sandbox.counts();
    let doubled = counts.doubled.len();
    say!("\n  The providers took {} messages, {doubled} of them twice.", counts.accepted);
    show::timeline(stage.api, stage.lead).await?;
    show::queue(stage.api).await
}

impl Stage<'_> {
    fn to_lead(self, channel: &str, words: &str) -> Value {
        let content = json!({ "kind": "text", "body": words });
        json!({ "channel": channel, "lead_id": self.lead["id"], "content": content })
    }

    fn breaks(self, kind: FaultKind) -> anyhow::Result<()> {
        let fault = Fault {
            provider: "meta".to_owned(),
            account: None,
            to: None,
            next: 1,
            always: false,
            on: On::Send,
            kind,
        };
        ensure!(self.sandbox.fault(fault), "the sandbox takes no more faults");
        Ok(())
    }
}

/// A person writes, and is answered on two channels.
async fn replies(stage: Stage<'_>) -> anyhow::Result<()> {
    let inbound = Inbound {
        provider: "meta".to_owned(),
        account: Some("106540352242922".to_owned()),
        from: "+5511987654321".to_owned(),
        name: Some("Ana Souza".to_owned()),
        text: Some("Oi! Vocês têm horário amanhã?".to_owned()),
        ..Inbound::default()
    };
    let arrived = stage.sandbox.inbound(&inbound).await;
    arrived.map_err(anyhow::Error::msg).context("nobody could write")?;
    say!("\nAna writes on WhatsApp, and is answered there (Meta) and by SMS (Twilio):");
    let whatsapp = stage.to_lead("whatsapp", "Bom dia, Ana! Temos às 10h.");
    let sms = stage.to_lead("sms", "Aurora Dental: amanhã às 10h?");
    for (body, end) in [(whatsapp, READ), (sms, END)] {
        say!("  {}: “{}”", said(&body["channel"]), said(&body["content"]["body"]));
        journey::send(stage.api, &body).await?.tell(stage.api, end).await?;
    }
    Ok(())
}

/// The provider holds one recipient back: the message waits for its turn, and the next one to the same person behind it.
async fn throttled(stage: Stage<'_>) -> anyhow::Result<()> {
    say!(
        "\nMeta finds that Ana gets too much (error {PAIR_LIMIT}): the message waits for its turn, and so"
    );
    say!("does the next one behind it, because a conversation stays in order:");
    stage.breaks(FaultKind::Status { status: 400, code: Some(PAIR_LIMIT), retry_after: None })?;
    let body = stage.to_lead("whatsapp", "Fica na Rua das Flores, 12.");
    let first = journey::send(stage.api, &body).await?;
    let second = journey::send(stage.api, &stage.to_lead("whatsapp", "Até amanhã!")).await?;
    for (one, name) in [(&first, "first"), (&second, "second")] {
        let message = one.reaches(stage.api, READ).await?;
        say!("  {name:6}  {}", journey::way(&message));
    }
    attempts(stage, &first).await
}

/// What the journal has about a message.
async fn attempts(stage: Stage<'_>, journey: &Journey) -> anyhow::Result<()> {
    let organization: OrganizationId = stage.api.organization.parse()?;
    let id: MessageId = journey.id.parse()?;
    let mut session = stage.gateway.store.read(organization).await?;
    let found = journal::list(&mut session, organization, id).await?;
    let began = found.first().map(|attempt| attempt.started_at);
    for one in &found {
        let after = began.map_or(String::new(), |began| span(one.started_at - began));
        let outcome = one.outcome.as_deref().unwrap_or("under way").replace('_', " ");
        let detail = one.detail.as_deref().unwrap_or_default();
        say!("    attempt {} after {after}: {outcome} {detail}", one.attempt);
    }
    Ok(())
}

/// The connection is lost after the request left: nobody knows, so nothing is sent again.
async fn unknown(stage: Stage<'_>) -> anyhow::Result<()> {
    say!(
        "\nThe connection breaks after the request left. Whether Meta has the message, nobody knows, so it"
    );
    say!("is not sent again:");
    stage.sandbox.hold("meta", None);
    stage.breaks(FaultKind::DropAfter)?;
    let body = stage.to_lead("whatsapp", "Traga um documento, por favor.");
    let sent = journey::send(stage.api, &body).await?;
    sent.reaches(stage.api, &["unknown"]).await?;
    say!("  it is shown as `unknown`; then Meta's status webhook comes, with our id in it:");
    stage.sandbox.release();
    sent.tell(stage.api, READ).await?;
    let times = stage.sandbox.count_of(&sent.id);
    say!("  Meta got it {times} time{}", if times == 1 { "" } else { "s" });
    Ok(())
}

/// Somebody who has not written in the last 24 hours gets no free words on WhatsApp, but a template.
async fn window(stage: Stage<'_>) -> anyhow::Result<()> {
    let lead = json!({ "name": "Beatriz Nunes", "phone": "(11) 91234-5678", "source": "site" });
    let lead = stage.api.post("/api/v1/leads", lead).await?;
    let mut body = json!({
        "channel": "whatsapp", "lead_id": lead["id"],
        "content": { "kind": "text", "body": "Olá, Beatriz! Confirmamos terça-feira?" },
    });
    say!(
        "\nBeatriz has never written. WhatsApp allows no free words to her, and the API says so at once:"
    );
    let refused = stage.api.attempt("/api/v1/messages", &body, None).await?;
    ensure!(refused.status == 422, "the message was accepted: {}", refused.body);
    say!(
        "  {} {}: {}",
        refused.status,
        said(&refused.body["error_code"]),
        said(&refused.body["detail"])
    );
    body["fallback_template"] = json!({
        "name": "appointment_reminder", "language": "pt_BR",
        "variables": { "1": "Beatriz", "2": "terça-feira" },
    });
    say!("  the same request with `fallback_template` goes out as a template:");
    journey::send(stage.api, &body).await?.tell(stage.api, READ).await
}

/// A repeated request is the same message.
async fn repeated(stage: Stage<'_>) -> anyhow::Result<()> {
    say!("\nThe CRM repeats a request with the same Idempotency-Key:");
    let mut body = stage.to_lead("sms", "Seu código: 4711");
    let key = Some("crm-4711");
    let first = stage.api.attempt("/api/v1/messages", &body, key).await?;
    let again = stage.api.attempt("/api/v1/messages", &body, key).await?;
    let sent = journey::accepted(&first)?;
    ensure!(again.body == first.body, "a repeated request is another message: {}", again.body);
    let replayed = if again.replayed { ", replayed" } else { "" };
    say!("  {} {}", first.status, sent.id);
    say!("  {} {}{replayed}", again.status, said(&again.body["id"]));
    body["content"]["body"] = json!("Seu código: 4712");
    let other = stage.api.attempt("/api/v1/messages", &body, key).await?;
    say!(
        "  {} {} for the same key with another body",
        other.status,
        said(&other.body["error_code"])
    );
    sent.tell(stage.api, END).await
}

fn said(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
