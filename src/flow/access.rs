//! Who may call: API keys and members. Tokens of the identity provider are in `web`, which hands them in as claims.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lru::LruCache;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::audit::{self, Deed};
use super::organizations::IssuedKey;
use super::{Actor, FlowError, checked_text, optional_text};
use crate::clock::Timestamp;
use crate::gateway::Gateway;
use crate::ids;
use crate::model::{
    ApiKey, ApiKeyId, OrganizationId, Principal, PrincipalKind, Role, Scope, UserId,
};
use crate::store::StoreError;
use crate::store::api_keys::{self, FoundKey};
use crate::store::members::{self, User};
use crate::store::organizations;

/// What every key begins with, so that people and scanners recognize one.
pub const KEY_PREFIX: &str = "sbk_";

/// How long keys are believed after it was last seen that none was taken back. That is looked at every second, so a
/// revocation in another process takes effect here within about a second; while the database cannot be asked, this is
/// the bound.
const BELIEVED: Duration = Duration::from_secs(5);

/// How many keys are remembered.
const REMEMBERED: usize = 10_000;

/// Keys that were found lately, and those that were used since it was last written down.
pub struct KeyMemory {
    found: Mutex<Found>,
    used: Mutex<std::collections::HashMap<(OrganizationId, ApiKeyId), Timestamp>>,
}

struct Found {
    keys: LruCache<[u8; 32], FoundKey>,
    /// The version of the directory that these keys are as new as; a revocation makes it grow.
    version: i64,
    /// When that version was last the newest.
    checked: Option<Instant>,
    /// How often everything was forgotten.
    forgotten: u64,
}

/// Creates a key, which may do no more than the actor. Its secret is in the answer and nowhere else.
pub async fn create_key(
    gateway: &Gateway,
    actor: &Actor,
    name: &str,
    scopes: Vec<Scope>,
    expires_at: Option<Timestamp>,
) -> Result<IssuedKey, FlowError> {
    let name = checked_text("name", name, 200)?;
    if scopes.is_empty() {
        return Err(FlowError::invalid("scopes", "must name at least one scope"));
    }
    covers(actor, &scopes)?;
    let now = gateway.clock.now();
    if expires_at.is_some_and(|at| at <= now) {
        return Err(FlowError::invalid("expires_at", "must be in the future"));
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| no_random_bytes())?;
    let secret = format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let key = ApiKey {
        id: ApiKeyId(gateway.ids.next()),
        name,
        prefix: secret[..KEY_PREFIX.len() + 6].to_owned(),
        scopes,
        created_at: now,
        expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let mut session = gateway.store.write(actor.organization_id).await?;
    api_keys::insert(&mut session, actor.organization_id, &key, &hash(&secret)).await?;
    let words: Vec<&str> = key.scopes.iter().map(|scope| scope.word()).collect();
    let detail = json!({ "name": key.name, "scopes": words });
    let deed = Deed { action: "key.create", subject: key.id.to_string(), detail };
    audit::note(gateway, &mut session, actor, deed).await?;
    session.commit().await?;
    Ok(IssuedKey { key, secret })
}

/// Takes a key back, at once. Nobody takes back a key that may do what they may not.
pub async fn revoke_key(
    gateway: &Gateway,
    memory: &KeyMemory,
    actor: &Actor,
    id: ApiKeyId,
) -> Result<(), FlowError> {
    let mut session = gateway.store.write(actor.organization_id).await?;
    let scopes = api_keys::scopes(&mut session, actor.organization_id, id).await?;
    covers(actor, &scopes.ok_or(FlowError::NotFound("key"))?)?;
    let now = gateway.clock.now();
    if !api_keys::revoke(&mut session, actor.organization_id, id, now).await? {
        return Err(FlowError::NotFound("key"));
    }
    let deed = Deed { action: "key.revoke", subject: id.to_string(), detail: json!({}) };
    audit::note(gateway, &mut session, actor, deed).await?;
    organizations::bump_directory(&mut session).await?;
    session.commit().await?;
    memory.forget();
    Ok(())
}

/// Makes a person a member, or changes what they are, and what they are called here if a name is given. A person who is
/// not known yet is created. Nobody gives or takes a role
/// that may do more than they may themselves.
pub async fn set_member(
    gateway: &Gateway,
    actor: &Actor,
    email: &str,
    name: Option<&str>,
    role: Role,
) -> Result<UserId, FlowError> {
    let organization = actor.organization_id;
    covers(actor, &role.scopes())?;
    let user = new_user(gateway, email, None)?;
    let name = optional_text("name", name, 200)?;
    let known = members::find_user(&mut gateway.store.read_all().await?, &user.email).await?;
    let mut session = gateway.store.write(organization).await?;
    let id = known.unwrap_or(user.id);
    if known.is_none() {
        members::insert_user(&mut session, &user).await.map_err(|error| match error {
            StoreError::Duplicate(_) => {
                FlowError::Conflict("the person was just created; try again".to_owned())
            }
            other => other.into(),
        })?;
    }
    let before = role_now(&mut session, actor, id).await?;
    if role != Role::Owner {
        keep_an_owner(&mut session, organization, before).await?;
    }
    let now = gateway.clock.now();
    members::set(&mut session, organization, id, role, name.as_deref(), now).await?;
    let detail = json!({ "email": user.email, "role": role.word() });
    let deed = Deed { action: "member.set", subject: id.to_string(), detail };
    audit::note(gateway, &mut session, actor, deed).await?;
    session.commit().await?;
    Ok(id)
}

/// Ends a membership, under the same rule.
pub async fn remove_member(gateway: &Gateway, actor: &Actor, id: UserId) -> Result<(), FlowError> {
    let organization = actor.organization_id;
    let mut session = gateway.store.write(organization).await?;
    let before = role_now(&mut session, actor, id).await?;
    keep_an_owner(&mut session, organization, before).await?;
    if !members::remove(&mut session, organization, id).await? {
        return Err(FlowError::NotFound("member"));
    }
    let deed = Deed { action: "member.remove", subject: id.to_string(), detail: json!({}) };
    audit::note(gateway, &mut session, actor, deed).await?;
    Ok(session.commit().await?)
}

/// Whether the actor has all of these scopes, which they give or take: what a key or a role may do.
fn covers(actor: &Actor, scopes: &[Scope]) -> Result<(), FlowError> {
    match scopes.iter().find(|scope| !actor.scopes.contains(scope)) {
        Some(scope) => Err(FlowError::LacksScope(*scope)),
        None => Ok(()),
    }
}

/// The role that somebody has, which the actor must cover in order to touch it. Nobody else changes a role meanwhile.
async fn role_now(
    session: &mut crate::store::Session,
    actor: &Actor,
    id: UserId,
) -> Result<Option<Role>, FlowError> {
    crate::store::events::Outbox::lock(session, [actor.organization_id]).await?;
    let role = members::role_of(session, actor.organization_id, id).await?;
    role.map_or(Ok(()), |role| covers(actor, &role.scopes()))?;
    Ok(role)
}

/// An organization that has owners keeps one.
async fn keep_an_owner(
    session: &mut crate::store::Session,
    organization: OrganizationId,
    role: Option<Role>,
) -> Result<(), FlowError> {
    if role == Some(Role::Owner) && members::owners(session, organization).await? == 1 {
        return Err(FlowError::Conflict("the organization must keep an owner".to_owned()));
    }
    Ok(())
}

/// The principal of a key's secret; `None` if there is no such key, it was revoked, or it has expired.
pub async fn by_key(
    gateway: &Gateway,
    memory: &KeyMemory,
    secret: &str,
) -> Result<Option<Principal>, StoreError> {
    if !secret.starts_with(KEY_PREFIX) {
        return Ok(None);
    }
    let digest = hash(secret);
    let found = match memory.recall(&digest) {
        Ok(found) => found,
        Err(forgotten) => {
            let mut session = gateway.store.read_all().await?;
            let Some(found) = api_keys::find_by_hash(&mut session, &digest).await? else {
                return Ok(None);
            };
            memory.remember(digest, &found, forgotten);
            found
        }
    };
    let now = gateway.clock.now();
    if found.expires_at.is_some_and(|at| at <= now) {
        return Ok(None);
    }
    memory.note_use(&found, now);
    Ok(Some(Principal {
        organization_id: found.organization_id,
        kind: PrincipalKind::Key(found.id),
        scopes: found.scopes,
    }))
}

/// The principal of a person whom the identity provider vouches for; `None` if they are no member.
pub async fn by_claims(
    gateway: &Gateway,
    user: &str,
    organization_id: OrganizationId,
) -> Result<Option<Principal>, StoreError> {
    let mut session = gateway.store.read_all().await?;
    let Some(id) = members::find_user(&mut session, user).await? else {
        return Ok(None);
    };
    let role = members::role_of(&mut session, organization_id, id).await?;
    Ok(role.map(|role| Principal {
        organization_id,
        kind: PrincipalKind::User(id),
        scopes: role.scopes(),
    }))
}

/// Writes down when keys were last used.
pub async fn flush_uses(gateway: &Gateway, memory: &KeyMemory) -> Result<(), StoreError> {
    let used = memory.take_uses();
    if used.is_empty() {
        return Ok(());
    }
    let mut session = gateway.store.write_all().await?;
    api_keys::touch(&mut session, &used).await?;
    session.commit().await
}

/// A person who is not known yet. Every organization that names them learns the id, so it must not say when the first did.
pub(super) fn new_user(
    gateway: &Gateway,
    email: &str,
    subject: Option<&str>,
) -> Result<User, FlowError> {
    let email = super::contacts::parse_email("email", email)?;
    Ok(User {
        id: UserId(ids::random().map_err(|_| no_random_bytes())?),
        email: email.value().to_lowercase(),
        subject: optional_text("subject", subject, 200)?,
        created_at: gateway.clock.now(),
    })
}

fn no_random_bytes() -> FlowError {
    FlowError::Conflict("the operating system gave no random bytes".to_owned())
}

/// A key has 256 random bits: a plain hash keeps it as safe as a slow one would.
fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

impl Default for KeyMemory {
    fn default() -> Self {
        let size = NonZeroUsize::new(REMEMBERED).unwrap_or(NonZeroUsize::MIN);
        let found = Found { keys: LruCache::new(size), version: 0, checked: None, forgotten: 0 };
        Self { found: Mutex::new(found), used: Mutex::default() }
    }
}

impl KeyMemory {
    /// Told once a second which version the directory has: if it has grown, a key may have been taken back.
    pub fn follow(&self, version: i64) {
        let mut found = self.found();
        if found.version != version {
            found.version = version;
            found.forget();
        }
        found.checked = Some(Instant::now());
    }

    /// The key; or, if it must be looked up, what to hand to [`KeyMemory::remember`] afterwards.
    fn recall(&self, digest: &[u8; 32]) -> Result<FoundKey, u64> {
        let mut found = self.found();
        let believed = found.checked.is_some_and(|at| at.elapsed() < BELIEVED);
        let forgotten = found.forgotten;
        found.keys.get(digest).filter(|_| believed).cloned().ok_or(forgotten)
    }

    /// A key that was taken back while it was being looked up must not be remembered.
    fn remember(&self, digest: [u8; 32], key: &FoundKey, forgotten: u64) {
        let mut found = self.found();
        if found.forgotten == forgotten {
            found.keys.put(digest, key.clone());
        }
    }

    fn forget(&self) {
        self.found().forget();
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn note_use(&self, key: &FoundKey, at: Timestamp) {
        let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        used.insert((key.organization_id, key.id), at);
    }

    fn take_uses(&self) -> Vec<((OrganizationId, ApiKeyId), Timestamp)> {
        let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        used.drain().collect()
    }
}

impl Found {
    fn forget(&mut self) {
        self.keys.clear();
        self.forgotten += 1;
    }
}

impl std::fmt::Debug for KeyMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyMemory(..)")
    }
}
