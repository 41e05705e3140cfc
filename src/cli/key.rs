//! `switchboard key`: API keys, and the master key that protects all credentials.

use anyhow::Context;
use clap::Subcommand;

use super::table;
use crate::flow::Actor;
use crate::flow::access::{self, KeyMemory};
use crate::gateway::Gateway;
use crate::model::{ApiKeyId, OrganizationId, Role, Scope};
use crate::store::{api_keys, organizations};

/// Keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Create an API key. It is printed once.
    Create {
        /// The organization it is for.
        #[arg(long)]
        org: OrganizationId,
        /// What it is for.
        #[arg(long)]
        name: String,
        /// What it may do, for example communications:read. Repeat for several.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Everything that a member of this role may do: owner, admin or member.
        #[arg(long)]
        role: Option<String>,
        /// When it stops working, for example 2027-01-01T00:00:00Z.
        #[arg(long)]
        expires: Option<crate::clock::Timestamp>,
    },
    /// List an organization's API keys.
    List {
        /// The organization.
        #[arg(long)]
        org: OrganizationId,
    },
    /// Take an API key back.
    Revoke {
        /// The organization it is for.
        #[arg(long)]
        org: OrganizationId,
        /// Its id.
        id: ApiKeyId,
    },
    /// Re-wrap every organization's data key under a new master key, while gateways run.
    Rotate {
        /// Keep the old master key in the key file, for backups that were made before.
        #[arg(long)]
        keep_old: bool,
    },
}

pub(super) async fn run(gateway: &Gateway, command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create { org, name, scopes, role, expires } => {
            let scopes = parse_scopes(&scopes, role.as_deref())?;
            must_exist(gateway, org).await?;
            let actor = Actor::operator(org);
            let issued = access::create_key(gateway, &actor, &name, scopes, expires).await?;
            say!("{}", issued.secret);
        }
        KeyCommand::List { org } => list(gateway, org).await?,
        KeyCommand::Revoke { org, id } => {
            let memory = KeyMemory::default();
            access::revoke_key(gateway, &memory, &Actor::operator(org), id).await?;
            say!("revoked");
        }
        KeyCommand::Rotate { keep_old } => rotate(gateway, keep_old).await?,
    }
    gateway.stop().await;
    Ok(())
}

fn parse_scopes(words: &[String], role: Option<&str>) -> anyhow::Result<Vec<Scope>> {
    let mut scopes = match role {
        Some(role) => {
            Role::from_word(role).context("--role: must be owner, admin or member")?.scopes()
        }
        None => Vec::new(),
    };
    for word in words {
        let known = Scope::ALL.map(Scope::word).join(", ");
        let scope = Scope::from_word(word)
            .with_context(|| format!("--scope {word}: is none of {known}"))?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    anyhow::ensure!(!scopes.is_empty(), "give the key something to do: --role or --scope");
    Ok(scopes)
}

async fn must_exist(gateway: &Gateway, organization: OrganizationId) -> anyhow::Result<()> {
    let found = organizations::get(&mut gateway.store.read_all().await?, organization).await?;
    found.map(drop).context("there is no such organization")
}

async fn list(gateway: &Gateway, organization: OrganizationId) -> anyhow::Result<()> {
    must_exist(gateway, organization).await?;
    let mut session = gateway.store.read(organization).await?;
    let found = api_keys::list(&mut session, organization).await?;
    let show = |at: Option<crate::clock::Timestamp>| at.map_or(String::new(), |at| at.to_rfc3339());
    let row = |key: &crate::model::ApiKey| {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.word()).collect();
        let state = if key.revoked_at.is_some() { "revoked" } else { "valid" };
        let name = key.name.clone();
        vec![
            key.id.to_string(),
            key.prefix.clone(),
            state.to_owned(),
            show(key.last_used_at),
            name,
            scopes.join(" "),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    table::print(&["id", "prefix", "state", "last used", "name", "scopes"], &rows, 200);
    Ok(())
}

/// A key file gets a new key in front, everything is wrapped by it, and the old key is taken out. Keys from the environment
/// are put there by the operator: the first wraps, the others still open.
async fn rotate(gateway: &Gateway, keep_old: bool) -> anyhow::Result<()> {
    let master = gateway.keys.master();
    if master.is_file() {
        master.add_to_file()?;
    }
    let mut session = gateway.store.write_as_owner().await?;
    let rewrapped = gateway.keys.rewrap_all(&mut session).await?;
    session.commit().await?;
    say!("{rewrapped} data keys are wrapped by the new master key ({}).", master.describe());
    if !master.is_file() {
        say!("The old master key can be taken out of the environment now.");
    } else if keep_old {
        say!("The old master key is still in the file; old backups open with it.");
    } else {
        master.forget_old()?;
        say!(
            "The old master key has been taken out of the file; keep a copy if you keep old backups."
        );
    }
    Ok(())
}
