//! `switchboard doctor`: is everything as it should be, and if not, what to do?

use std::process::ExitCode;

use chrono::TimeDelta;
use clap::Args;
use secrecy::ExposeSecret;

use super::logging;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::flow::{destinations, time};
use crate::gateway::{DirectoryAccount, Keyring, build, master_keys, store_options};
use crate::store::{Engine, Store, StoreError, accounts, organizations, sweep, timekeeping};
use crate::web::descriptors;

/// What to do besides looking.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct DoctorArgs {
    /// Say that this machine's clock is right, where gateways do not believe it: after a jump, or a long holiday.
    #[arg(long)]
    clock_is_right: bool,
}

/// How far clocks may be apart before signatures are at risk.
const SKEW: TimeDelta = TimeDelta::seconds(5);

/// What was found, and what to do about it.
struct Report {
    failures: u32,
}

impl Report {
    fn ok(what: &str, detail: impl std::fmt::Display) {
        say!("  ok    {what:<12} {detail}");
    }

    fn note(what: &str, detail: impl std::fmt::Display) {
        say!("  note  {what:<12} {detail}");
    }

    fn fail(&mut self, what: &str, detail: impl std::fmt::Display, mend: &str) {
        self.failures += 1;
        say!("  FAIL  {what:<12} {detail}");
        say!("        {:<12} -> {mend}", "");
    }
}

pub(super) async fn run(config: Config, args: DoctorArgs) -> anyhow::Result<ExitCode> {
    logging::start("off", "readable")?;
    let mut report = Report { failures: 0 };
    Report::ok("settings", "all settings are known and usable");
    check_public_url(&config);
    check_descriptors(&config);
    check_tokens(&config);
    let keyring = check_keys(&mut report, &config);
    check_database(&mut report, &config, keyring.as_ref(), args).await;
    match report.failures {
        0 => {
            say!("Everything is well.");
            Ok(ExitCode::SUCCESS)
        }
        count => {
            say!("{count} of the checks failed.");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn check_public_url(config: &Config) {
    let (what, url) = ("public url", config.server.public_url.as_str());
    if url.is_empty() {
        Report::note(
            what,
            "server.public_url is not set: Twilio's signatures are checked against the request's own host",
        );
    } else if url.starts_with("http://") {
        Report::note("public url", format!("{url} is not https; providers call https URLs only"));
    } else {
        Report::ok("public url", url);
    }
}

/// `serve` takes as many as it may have.
fn check_descriptors(config: &Config) {
    let (_, limit) = descriptors::limits();
    let wanted = config.server.max_connections;
    let (what, limit_text) =
        ("open files", limit.map_or("no limit".to_owned(), |limit| format!("at most {limit}")));
    match descriptors::places(wanted, limit) {
        places if places < wanted => Report::note(
            what,
            format!(
                "{limit_text}: enough for {places} connections, not for server.max_connections = {wanted}; raise the limit (ulimit -Hn, LimitNOFILE)"
            ),
        ),
        _ => Report::ok(what, format!("{limit_text}: enough for {wanted} connections")),
    }
}

/// Tokens are believed by their signature. Without an audience that is any token of the identity provider's.
fn check_tokens(config: &Config) {
    let auth = &config.auth;
    let used = [auth.jwt_secret.expose_secret(), &auth.jwks_url];
    if used.iter().all(|text| text.trim().is_empty()) {
        return;
    }
    match auth.jwt_audience.trim() {
        "" => Report::note(
            "tokens",
            "auth.jwt_audience is not set: tokens that the identity provider makes for others are believed here too",
        ),
        audience => Report::ok("tokens", format!("for the audience {audience}")),
    }
}

/// Looks, and makes nothing: a database that is not there yet is for `serve` to make.
async fn check_database(
    report: &mut Report,
    config: &Config,
    keyring: Option<&Keyring>,
    args: DoctorArgs,
) {
    let url = config.database_url();
    if let Some(file) = Store::file(&url).filter(|file| !file.exists()) {
        Report::note("database", format!("{} will be made on first start", file.display()));
        return;
    }
    let opened = match Store::reach(&url).await {
        Ok(()) => Store::open(&store_options(config)).await,
        Err(error) => Err(error),
    };
    match opened {
        Ok(store) => {
            check_store(report, config, &store, keyring, args).await;
            store.close().await;
        }
        Err(error) => {
            let mend = "check database.url, and that the server runs and accepts this user";
            report.fail("database", error, mend);
        }
    }
}

fn check_keys(report: &mut Report, config: &Config) -> Option<Keyring> {
    let file = config.master_key_file();
    if config.keys.master_key.expose_secret().trim().is_empty() && !file.exists() {
        Report::note("master key", format!("{} will be made on first start", file.display()));
        return None;
    }
    match master_keys(config) {
        Ok(master) => {
            Report::ok("master key", format!("from {}", master.describe()));
            if master.is_file() && !config.keys.master_key.expose_secret().is_empty() {
                Report::note("master key", "keys.master_key is set, and the file is not used");
            }
            Some(Keyring::new(master))
        }
        Err(error) => {
            let mend = "set keys.master_key (32 random bytes in base64), or mend the key file";
            report.fail("master key", error, mend);
            None
        }
    }
}

async fn check_store(
    report: &mut Report,
    config: &Config,
    store: &Store,
    keyring: Option<&Keyring>,
    args: DoctorArgs,
) {
    match store.schema_version().await {
        Ok((Some(applied), newest)) if applied == newest => {
            Report::ok("schema", format!("migration {applied}"));
        }
        Ok((applied, newest)) => {
            let applied = applied.unwrap_or_default();
            let mend =
                if applied > newest { "run a newer program" } else { "run `switchboard migrate`" };
            report.fail("schema", format!("migration {applied}, this program has {newest}"), mend);
            return;
        }
        Err(error) => {
            let mend = "check database.url, and that the server runs and accepts this user";
            report.fail("database", error, mend);
            return;
        }
    }
    check_clock(report, store).await;
    let checked = match args.clock_is_right {
        true => say_clock_is_right(report, store).await,
        false => check_life(report, store).await,
    };
    if let Err(error) = checked {
        report.fail("clock", error, "check that the database accepts writes, and say it again");
    }
    if let Err(error) = check_isolation(report, store).await {
        report.fail(
            "isolation",
            error,
            "run `switchboard migrate` as the schema's owner, who must be able to create roles",
        );
    }
    if let Err(error) = check_allowed(config, store).await {
        report.fail("database", error, "check the database");
    }
    if let Some(keyring) = keyring
        && let Err(error) = check_credentials(report, config, store, keyring).await
    {
        report.fail("credentials", error, "check the database");
    }
}

async fn check_clock(report: &mut Report, store: &Store) {
    let engine = match store.engine() {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    };
    let now = Clock::System.now();
    match store.ping().await {
        Ok(theirs) if (now - theirs).abs() <= SKEW => {
            Report::ok("database", format!("{engine} answers"));
            Report::ok(
                "clock",
                format!("{} ms from the database's", (now - theirs).num_milliseconds()),
            );
        }
        Ok(theirs) => {
            let detail = format!("{} s from the database's", (now - theirs).num_seconds());
            report.fail(
                "clock",
                detail,
                "synchronize both machines' clocks (NTP): Telnyx's signatures are good for 300 s",
            );
        }
        Err(error) => {
            report.fail("database", error, "check that the server runs and accepts this user");
        }
    }
    let newest = async { sweep::newest_webhook(&mut store.read_all().await?).await };
    if let Ok(Some(newest)) = newest.await
        && newest > now + SKEW
    {
        let detail = format!("the newest webhook was received at {newest}, which lies ahead");
        report.fail("clock", detail, "the clock went back: synchronize it (NTP)");
    }
}

/// What gateways know of time.
async fn check_life(report: &mut Report, store: &Store) -> Result<(), StoreError> {
    let (known, _) = timekeeping::read(store, &Clock::System).await?;
    let Some(alive_at) = known.alive_at else { return Ok(()) };
    let at = |at: Option<Timestamp>| at.map_or("never".to_owned(), |at| at.to_rfc3339());
    Report::ok("alive", format!("{alive_at}; old rows were last deleted: {}", at(known.swept_at)));
    if let Some(at) = known.jumped_at {
        report.fail("clock", format!("it jumped at {at}"), "set it right, or use --clock-is-right");
    }
    let apart = (Clock::System.now() - alive_at).abs();
    if apart > TimeDelta::days(1) {
        let days = apart.num_days();
        Report::note(
            "alive",
            format!(
                "that is {days} days from this machine's clock: until it is believed nothing is deleted for its age; if the clock is right, say so with --clock-is-right"
            ),
        );
    }
    Ok(())
}

async fn say_clock_is_right(report: &mut Report, store: &Store) -> Result<(), StoreError> {
    let said = time::say_right(store, &Clock::System).await?;
    match said.contradicted {
        None => Report::ok(
            "clock",
            format!("{} is right, as you say; gateways take it within a minute", said.now),
        ),
        Some(ahead) => report.fail(
            "clock",
            format!("{} s from PostgreSQL's: they cannot both be right", ahead.num_seconds()),
            "synchronize both machines' clocks (NTP), and say it again",
        ),
    }
    Ok(())
}

async fn check_isolation(report: &mut Report, store: &Store) -> Result<(), StoreError> {
    if store.engine() == Engine::Sqlite {
        Report::ok("isolation", "every statement names its organization");
        return Ok(());
    }
    let nobody = crate::model::OrganizationId::PLATFORM;
    let api = sweep::can_bypass_isolation(&mut store.read(nobody).await?).await?;
    let intake = sweep::can_bypass_isolation(&mut store.read_all().await?).await?;
    match (api, intake) {
        (false, false) => {
            Report::ok("isolation", "row-level security holds for the API's role and for intake's");
        }
        _ => {
            let mend = "let database.api_url and database.intake_url log in as roles without SUPERUSER and BYPASSRLS";
            report.fail("isolation", "a role can bypass row-level security", mend);
        }
    }
    Ok(())
}

/// What is allowed for everybody lets each organization reach what was meant for one.
async fn check_allowed(config: &Config, store: &Store) -> Result<(), StoreError> {
    let organizations = organizations::list(&mut store.read_all().await?).await?;
    let known = |id| organizations.iter().any(|organization| organization.id.0 == id);
    for target in &config.outgoing.allow {
        match target.organization {
            None if organizations.len() > 1 => Report::note(
                "allowed",
                format!(
                    "outgoing.allow: {0} may be reached by all {1} organizations; {0}@ID is for one of them only",
                    target.place,
                    organizations.len()
                ),
            ),
            Some(id) if !known(id) => {
                let place = &target.place;
                Report::note(
                    "allowed",
                    format!("outgoing.allow: {place}@{id}: there is no such organization"),
                );
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where an account's credentials may not go, nothing is sent for it.
fn check_destinations(report: &mut Report, config: &Config, accounts: &[DirectoryAccount]) {
    match destinations::strays(config, accounts) {
        Ok(strays) => {
            for (id, reason) in strays {
                let mend = "change the account's base_url, or name its host in outgoing.allow";
                report.fail(
                    "destination",
                    format!("account {id}: nothing is sent: {reason}"),
                    mend,
                );
            }
        }
        Err(error) => {
            report.fail("destination", error, "check that the system's certificates can be read");
        }
    }
}

async fn check_credentials(
    report: &mut Report,
    config: &Config,
    store: &Store,
    keyring: &Keyring,
) -> Result<(), StoreError> {
    let mut session = store.read_all().await?;
    let organizations = organizations::list(&mut session).await?.len();
    let (mut opened, mut failed) = (Vec::new(), 0);
    if let Err(error) = keyring.check_own(&mut session).await {
        failed += 1;
        let what = format!("the key that makes fingerprints of keys: {error}");
        report.fail("credentials", what, "bring the right master key back");
    }
    for sealed in accounts::list_all(&mut session).await? {
        let account = &sealed.account;
        let credentials =
            keyring.open(&mut session, account.organization_id, account.id, &sealed.sealed).await;
        let problem = match credentials {
            Ok(credentials) => match build(account, credentials, Clock::System.now()) {
                Ok(account) => {
                    opened.push(account);
                    continue;
                }
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        failed += 1;
        let what = format!("account {} ({}): {problem}", account.id, account.provider);
        report.fail(
            "credentials",
            what,
            "give the account its credentials again, or bring the right master key back",
        );
    }
    if failed == 0 {
        let accounts = opened.len();
        Report::ok(
            "credentials",
            format!("{accounts} accounts of {organizations} organizations open"),
        );
    }
    check_destinations(report, config, &opened);
    Ok(())
}
