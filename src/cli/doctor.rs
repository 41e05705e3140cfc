//! `switchboard doctor`: is everything as it should be, and if not, what to do?

use std::process::ExitCode;

use chrono::TimeDelta;
use secrecy::ExposeSecret;

use super::logging;
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::{Keyring, build, master_keys, store_options};
use crate::store::{Engine, Store, StoreError, accounts, organizations, sweep};

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

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    logging::start("off", "readable")?;
    let mut report = Report { failures: 0 };
    Report::ok("settings", "all settings are known and usable");
    check_public_url(&config);
    check_tokens(&config);
    let keyring = check_keys(&mut report, &config);
    check_database(&mut report, &config, keyring.as_ref()).await;
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
    let url = config.server.public_url.as_str();
    if url.is_empty() {
        Report::note(
            "public url",
            "server.public_url is not set: Twilio's signatures are checked against the request's own host",
        );
    } else if url.starts_with("http://") {
        Report::note("public url", format!("{url} is not https; providers call https URLs only"));
    } else {
        Report::ok("public url", url);
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
async fn check_database(report: &mut Report, config: &Config, keyring: Option<&Keyring>) {
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
            check_store(report, &store, keyring).await;
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

async fn check_store(report: &mut Report, store: &Store, keyring: Option<&Keyring>) {
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
    if let Err(error) = check_isolation(report, store).await {
        report.fail(
            "isolation",
            error,
            "run `switchboard migrate` as the schema's owner, who must be able to create roles",
        );
    }
    if let Some(keyring) = keyring
        && let Err(error) = check_credentials(report, store, keyring).await
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

async fn check_credentials(
    report: &mut Report,
    store: &Store,
    keyring: &Keyring,
) -> Result<(), StoreError> {
    let mut session = store.read_all().await?;
    let organizations = organizations::list(&mut session).await?.len();
    let (mut opened, mut failed) = (0, 0);
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
            Ok(credentials) => {
                build(account, credentials, Clock::System.now()).err().map(|e| e.to_string())
            }
            Err(error) => Some(error.to_string()),
        };
        match problem {
            None => opened += 1,
            Some(problem) => {
                failed += 1;
                let what = format!("account {} ({}): {problem}", account.id, account.provider);
                report.fail(
                    "credentials",
                    what,
                    "give the account its credentials again, or bring the right master key back",
                );
            }
        }
    }
    if failed == 0 {
        Report::ok(
            "credentials",
            format!("{opened} accounts of {organizations} organizations open"),
        );
    }
    Ok(())
}
