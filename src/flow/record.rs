//! Putting on record what took place outside the gateway: a conversation the CRM knows of, a call that a telephone system
//! reports.

use providers::{Address, CallStage, Channel, Direction};
use serde_json::{Value, json};
use uuid::Uuid;

use super::contacts::{country, parse_phone};
use super::{Actor, FlowError, checked_text, optional_text};
use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::model::{Communication, ContactId, IdentityId, NewCommunication, OrganizationId};
use crate::store::events::Outbox;
use crate::store::messages::provider_ref;
use crate::store::recorded::{self, RecordedCall, RecordedMessage};
use crate::store::{Session, contacts, leads, timeline};

/// The provider's word of what the CRM records itself.
const RECORDED_BY_CRM: &str = "crm";

/// How far ahead of our clock a recorder's time may be to be taken for now: a clock or a time zone that is set wrong. What lies
/// further ahead is refused.
const FUTURE: chrono::TimeDelta = chrono::TimeDelta::hours(24);

/// How long a call of the CRM's may last, in seconds: ten days.
const LASTS: std::ops::RangeInclusive<i64> = 0..=864_000;

/// A call that is over, as a telephone system reports it.
#[derive(Debug)]
pub struct CompletedCall {
    /// The telephone system's own id of it: a second report of the same id completes the first.
    pub call_id: String,
    /// What the telephone system is called; `voip` if not said.
    pub provider: Option<String>,
    /// `inbound` or `outbound`.
    pub direction: Direction,
    /// Who called.
    pub from: Option<String>,
    /// Who was called.
    pub to: Option<String>,
    /// How it ended.
    pub state: CallStage,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How long it lasted from answer to end, in seconds.
    pub duration_seconds: Option<i64>,
    /// Where the recording is.
    pub recording_url: Option<String>,
    /// What was said.
    pub transcript: Option<String>,
    /// Anything else, as an object.
    pub metadata: Value,
}

/// Records a communication of a lead or contact.
pub async fn communication(
    gateway: &Gateway,
    actor: &Actor,
    new: NewCommunication,
) -> Result<Communication<'static>, FlowError> {
    let organization = actor.organization_id;
    let now = gateway.clock.now();
    let occurred_at = check_time("occurred_at", new.occurred_at, now)?.unwrap_or(now);
    let content = optional_text("content", new.content.as_deref(), 100_000)?;
    let kind = optional_text("kind", new.kind.as_deref(), 50)?;
    let external_id = optional_text("external_id", new.external_id.as_deref(), 200)?;
    if !new.metadata.is_object() {
        return Err(FlowError::invalid("metadata", "must be an object"));
    }
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let contact = contact_of(&mut session, organization, &new).await?;
    let identity = identity_of(gateway, &mut session, organization, contact, new.channel).await?;
    let external = external_id.unwrap_or_else(|| gateway.ids.next().to_string());
    let reference = provider_ref(RECORDED_BY_CRM, &external);
    let id = gateway.ids.at(occurred_at);
    let id = if new.channel == Channel::Voip {
        let (state, duration, answered) = read_call(&new.metadata, new.direction)?;
        let call = RecordedCall {
            id,
            reference,
            provider: RECORDED_BY_CRM,
            provider_call_id: &external,
            identity: Some(identity),
            direction: new.direction,
            our_address: None,
            state,
            duration_seconds: duration,
            answered_at: answered.then_some(occurred_at),
            ended_at: None,
            recordings: json!([]),
            transcript: content.as_deref(),
            metadata: &new.metadata,
            occurred_at,
            now,
        };
        recorded::call(&mut session, &mut outbox, organization, &call).await?
    } else {
        let message = RecordedMessage {
            id,
            reference,
            provider: RECORDED_BY_CRM,
            external_id: &external,
            identity,
            channel: new.channel,
            direction: new.direction,
            kind: kind.as_deref().unwrap_or("text"),
            content: content.as_deref(),
            metadata: &new.metadata,
            occurred_at,
            now,
        };
        recorded::message(&mut session, &mut outbox, organization, &message).await?
    };
    finish(gateway, session, outbox, organization, id).await
}

/// Whose communication it is: the lead's contact, or the contact named, which must be the same if both are.
async fn contact_of(
    session: &mut Session,
    organization: OrganizationId,
    new: &NewCommunication,
) -> Result<ContactId, FlowError> {
    let named = match new.contact_id {
        Some(id) => Some(
            contacts::standing(session, organization, id)
                .await?
                .ok_or(FlowError::NotFound("contact"))?,
        ),
        None => None,
    };
    let Some(lead) = new.lead_id else {
        return named.ok_or_else(|| FlowError::invalid("lead_id", "name a lead or a contact"));
    };
    let lead = leads::get(session, organization, lead).await?;
    let contact = lead.ok_or(FlowError::NotFound("lead"))?.contact_id;
    match named {
        Some(other) if other != contact => {
            Err(FlowError::invalid("contact_id", "is not the lead's contact"))
        }
        _ => Ok(contact),
    }
}

/// How a call ended, how long it lasted, and whether it was answered: what `outcome` and `duration_seconds` say together.
fn read_call(
    metadata: &Value,
    direction: Direction,
) -> Result<(CallStage, Option<i64>, bool), FlowError> {
    let given = |name: &str| metadata.get(name).filter(|value| !value.is_null());
    let seconds = given("duration_seconds").map(|value| {
        value.as_i64().filter(|seconds| LASTS.contains(seconds)).ok_or_else(|| {
            FlowError::invalid("metadata.duration_seconds", "must be a whole number, 0 to 864000")
        })
    });
    let seconds = seconds.transpose()?;
    let lasted = seconds > Some(0);
    let Some(outcome) = given("outcome") else {
        return Ok((CallStage::Completed, seconds, lasted));
    };
    let state = match (outcome.as_str(), direction) {
        (Some("answered"), _) => return Ok((CallStage::Completed, seconds, true)),
        (Some("missed"), Direction::Inbound) | (Some("no_answer"), Direction::Outbound) => {
            CallStage::NoAnswer
        }
        (Some("canceled"), Direction::Outbound) => CallStage::Canceled,
        (Some("busy"), _) => CallStage::Busy,
        (Some("rejected"), _) => CallStage::Rejected,
        (Some("failed"), _) => CallStage::Failed,
        (_, direction) => {
            let more = match direction {
                Direction::Inbound => "missed",
                Direction::Outbound => "no_answer, canceled",
            };
            let reason = format!("must be answered, busy, rejected, failed, {more}");
            return Err(FlowError::invalid("metadata.outcome", reason));
        }
    };
    if lasted {
        return Err(FlowError::invalid("metadata.outcome", "a call that lasted was `answered`"));
    }
    Ok((state, seconds, false))
}

/// Records a call that a telephone system reports as over. The caller or callee becomes a contact if they are none yet.
pub async fn completed_call(
    gateway: &Gateway,
    actor: &Actor,
    call: CompletedCall,
) -> Result<Communication<'static>, FlowError> {
    let organization = actor.organization_id;
    let now = gateway.clock.now();
    let call_id = checked_text("call_id", &call.call_id, 200)?;
    let provider = optional_text("provider", call.provider.as_deref(), 50)?;
    let provider = provider.unwrap_or_else(|| "voip".to_owned());
    let started = check_time("started_at", call.started_at, now)?;
    let answered_at = check_time("answered_at", call.answered_at, now)?;
    let ended_at = check_time("ended_at", call.ended_at, now)?;
    let transcript = optional_text("transcript", call.transcript.as_deref(), 200_000)?;
    let url = optional_text("recording_url", call.recording_url.as_deref(), 2_000)?;
    if url.as_deref().is_some_and(|url| url::Url::parse(url).is_err()) {
        return Err(FlowError::invalid("recording_url", "must be a URL"));
    }
    if call.duration_seconds.is_some_and(|seconds| !(0..=604_800).contains(&seconds)) {
        return Err(FlowError::invalid("duration_seconds", "must be 0 to 604800"));
    }
    if !call.metadata.is_object() {
        return Err(FlowError::invalid("metadata", "must be an object"));
    }
    let mut session = gateway.store.write(organization).await?;
    let mut outbox = Outbox::lock(&mut session, [organization]).await?;
    let country = country(&mut session, organization).await?;
    let (person, ours) = match call.direction {
        Direction::Inbound => (("from", &call.from), &call.to),
        Direction::Outbound => (("to", &call.to), &call.from),
    };
    let identity = match optional_text(person.0, person.1.as_deref(), 254)? {
        Some(text) => {
            let address = read_caller(person.0, &text, country.as_deref())?;
            identity_for(gateway, &mut session, &mut outbox, organization, address).await?
        }
        None => None,
    };
    let recordings = match &url {
        Some(url) => json!([{ "status": "completed", "url": url }]),
        None => json!([]),
    };
    let occurred_at = started.or(answered_at).or(ended_at).unwrap_or(now);
    let recorded = RecordedCall {
        id: gateway.ids.at(occurred_at),
        reference: provider_ref(&provider, &call_id),
        provider: &provider,
        provider_call_id: &call_id,
        identity,
        direction: call.direction,
        our_address: optional_text("our number", ours.as_deref(), 254)?,
        state: call.state,
        duration_seconds: call.duration_seconds,
        answered_at,
        ended_at,
        recordings,
        transcript: transcript.as_deref(),
        metadata: &call.metadata,
        occurred_at,
        now,
    };
    let id = recorded::call(&mut session, &mut outbox, organization, &recorded).await?;
    finish(gateway, session, outbox, organization, id).await
}

async fn finish(
    gateway: &Gateway,
    mut session: Session,
    outbox: Outbox,
    organization: OrganizationId,
    id: Uuid,
) -> Result<Communication<'static>, FlowError> {
    outbox.flush(&mut session, gateway.clock.now()).await?;
    let found = timeline::by_ids(&mut session, organization, &[id]).await?;
    session.commit().await?;
    gateway.wake_readers();
    found.into_iter().next().ok_or(FlowError::NotFound("communication"))
}

fn check_time(
    field: &str,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, FlowError> {
    match at {
        Some(at) if at > now + FUTURE => Err(FlowError::invalid(field, "lies in the future")),
        Some(at) if at < Timestamp::UNIX_EPOCH => {
            Err(FlowError::invalid(field, "lies before 1970"))
        }
        Some(at) if at > now + providers::CLOCK_SKEW => Ok(Some(now)),
        Some(at) => Ok(Timestamp::from_timestamp_micros(at.timestamp_micros())),
        None => Ok(None),
    }
}

/// A telephone number as people write it, or a SIP address or extension; `None` when withheld.
fn read_caller(
    field: &str,
    text: &str,
    country: Option<&str>,
) -> Result<Option<Address>, FlowError> {
    match Address::caller(text) {
        Some(Address::Handle(handle)) if !handle.contains('@') && handle.len() > 6 => {
            parse_phone(field, text, country).map(Some)
        }
        other => Ok(other),
    }
}

/// The identity through which a contact is reached on a channel: one of the right kind, else any, else one made up for
/// the purpose, since a timeline is made of identities.
async fn identity_of(
    gateway: &Gateway,
    session: &mut Session,
    organization: OrganizationId,
    contact: ContactId,
    channel: Channel,
) -> Result<IdentityId, FlowError> {
    let found = contacts::get(session, organization, contact).await?;
    let found = found.ok_or(FlowError::NotFound("contact"))?;
    let kind = if channel == Channel::Email { "email" } else { "phone" };
    let suited = found.identities.iter().find(|identity| identity.kind == kind);
    if let Some(identity) = suited.or(found.identities.first()) {
        return Ok(identity.id);
    }
    let id = IdentityId(gateway.ids.next());
    let address = Address::Handle(format!("contact:{contact}"));
    contacts::add_identity(session, organization, contact, id, &address, gateway.clock.now())
        .await?;
    Ok(id)
}

/// The identity of an address, made with a contact if nobody has it.
async fn identity_for(
    gateway: &Gateway,
    session: &mut Session,
    outbox: &mut Outbox,
    organization: OrganizationId,
    address: Option<Address>,
) -> Result<Option<IdentityId>, FlowError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let now = gateway.clock.now();
    let contact = match contacts::find_by_address(session, organization, &address).await? {
        Some(contact) => contact,
        None => {
            let id = ContactId(gateway.ids.next());
            contacts::create(session, organization, id, None, now).await?;
            outbox.push(organization, "contact.created", id.0, None);
            id
        }
    };
    let id = IdentityId(gateway.ids.next());
    contacts::add_identity(session, organization, contact, id, &address, now).await?;
    let found = contacts::get(session, organization, contact).await?;
    let identities = found.map(|contact| contact.identities).unwrap_or_default();
    let exact = |identity: &&crate::model::Identity| {
        identity.kind == address.kind() && identity.value == address.value()
    };
    Ok(identities.iter().find(exact).map(|identity| identity.id))
}
