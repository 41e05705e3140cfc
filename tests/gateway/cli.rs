//! The command line: what it says, where, and to whom.

use std::process::{Command, Output, Stdio};

use crate::support::program::{Program, command, must, run};
use crate::support::{Database, Kind};

/// Everything that was printed.
fn text(output: Output) -> String {
    let (out, err) = (output.stdout, output.stderr);
    format!("{}{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err))
}

#[tokio::test]
async fn the_command_line_says_what_is_wrong_and_how_to_mend_it() {
    let database = Database::create(Kind::Sqlite).await;
    std::fs::write(database.folder.join("switchboard.db"), "").unwrap();
    let doctor = run(&database, &["doctor"]);
    assert!(!doctor.status.success());
    assert!(text(doctor).contains("run `switchboard migrate`"));
    assert!(must(&database, &["migrate"]).contains("none -> "));
    let doctor = run(&database, &["doctor"]);
    assert!(doctor.status.success(), "{}", text(doctor));
    let refused = run(&database, &["--set", "intake.writers=9", "serve"]);
    assert!(!refused.status.success());
    assert!(text(refused).contains("intake.writers: must be 1 to 4"));
    let refused =
        run(&database, &["--set", "database.url=postgres://nobody@127.0.0.1:1/none", "doctor"]);
    assert!(!refused.status.success());
    let refused = text(refused);
    assert!(refused.contains("database") && refused.contains("onnection refused"), "{refused}");
    let explained = must(&database, &["config", "--explain"]);
    for setting in switchboard::config::SETTINGS {
        let name = setting.name.split('.').nth(1).unwrap();
        assert!(explained.contains(&format!("  {name} = ")) && explained.contains(setting.about));
    }
    let shown =
        must(&database, &["config", "--set", "auth.jwt_secret=12345678901234561234567890123456"]);
    assert!(shown.contains("\njwt_secret = [REDACTED]\n"), "{shown}");
    assert!(shown.contains("\ntoken = (not set)\n") && shown.contains("\n[intake]\n"), "{shown}");
    std::fs::write(database.folder.join("master.key"), "not a key").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(
            database.folder.join("master.key"),
            std::fs::Permissions::from_mode(0o600),
        )
        .unwrap();
    }
    let doctor = run(&database, &["doctor"]);
    assert!(!doctor.status.success());
    assert!(text(doctor).contains("key 1 is not 32 bytes in base64"));
}

#[tokio::test]
async fn settings_come_from_the_file_the_environment_and_the_command_line() {
    let database = Database::create(Kind::Sqlite).await;
    let file = "[intake]\nwriters = 2\nbatch_requests = 20\nqueue_requests = 200";
    std::fs::write(database.folder.join("switchboard.toml"), file).unwrap();
    std::fs::write(database.folder.join("other.toml"), "[intake]\nqueue_requests = 201").unwrap();
    let shown = |arguments: &[&str]| {
        let mut command = command(&database);
        command.env("SWITCHBOARD_INTAKE__WRITERS", "3");
        command.env("SWITCHBOARD_INTAKE__BATCH_REQUESTS", "30");
        text(command.arg("config").args(arguments).output().unwrap())
    };
    let all = shown(&["--set", "intake.writers=4"]);
    for line in ["writers = 4", "batch_requests = 30", "queue_requests = 200"] {
        assert!(all.contains(&format!("\n{line}\n")), "{line}: {all}");
    }
    let other = shown(&["--config", "other.toml"]);
    assert!(other.contains("\nqueue_requests = 201\n"), "{other}");
    std::fs::write(database.folder.join("other.toml"), "[intake]\nwrtiers = 2").unwrap();
    let wrong = shown(&["--config", "other.toml"]);
    assert!(wrong.contains("wrtiers") && wrong.contains("from TOML file"), "{wrong}");
}

#[tokio::test]
async fn the_doctor_makes_nothing() {
    let database = Database::create(Kind::Sqlite).await;
    let told = text(run(&database, &["doctor"]));
    assert_eq!(told.matches("will be made on first start").count(), 2, "{told}");
    assert!(told.contains("Everything is well."), "{told}");
    assert_eq!(std::fs::read_dir(&database.folder).unwrap().count(), 0);
}

#[tokio::test]
async fn words_that_are_none_are_refused_with_the_list_of_those_that_are() {
    let database = Database::create(Kind::Sqlite).await;
    let nobody = "0197d0a0-0000-7000-8000-000000000000";
    for (arguments, reason) in [
        (["replay", "--reason", "foo"].as_slice(), "unreadable, unrouted, ambiguous, refused"),
        (&["replay", "--provider", "foo"], "meta, twilio, telnyx, waha, evolution"),
        (
            &["key", "create", "--org", nobody, "--name", "x", "--role", "owner"],
            "there is no such organization",
        ),
        (&["key", "list", "--org", nobody], "there is no such organization"),
        (&["demo", "--once"], "a database of its own"),
    ] {
        let output = run(&database, arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let told = text(output);
        assert!(told.contains(reason), "{arguments:?}: {told}");
    }
    let set = ["demo", "--once", "--set", "database.url=sqlite:mine.db"];
    let output = Command::new(env!("CARGO_BIN_EXE_switchboard")).args(set).output().unwrap();
    assert!(!output.status.success() && text(output).contains("a database of its own"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let database = Database::create(Kind::Sqlite).await;
    for arguments in
        [["doctor"].as_slice(), &["config", "--explain"], &["config"], &["org", "list"]]
    {
        let mut child = command(&database)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.is_empty(), "{arguments:?}: {told}");
    }
}

async fn starts_quietly(kind: Kind) {
    let database = Database::create(kind).await;
    drop(Program::serve(&database, &[]).await);
    drop(Program::serve(&database, &[]).await);
    let log = std::fs::read_to_string(database.folder.join("log")).unwrap();
    assert!(log.contains("listening"), "{log}");
    assert!(!log.contains('\u{1b}'), "a file has no colours: {log}");
    assert!(!log.contains("already exists"), "the database's notices are for debugging: {log}");
}

#[tokio::test]
async fn a_log_in_a_file_is_plain_and_quiet_on_sqlite() {
    starts_quietly(Kind::Sqlite).await;
}

#[tokio::test]
async fn a_log_in_a_file_is_plain_and_quiet_on_postgres() {
    starts_quietly(Kind::Postgres).await;
}

/// The first start prints an owner's key, which works; no later start prints one.
#[tokio::test]
async fn the_first_start_alone_prints_an_owners_key() {
    let database = Database::create(Kind::Sqlite).await;
    let printed = || std::fs::read_to_string(database.folder.join("printed")).unwrap();
    let mut program = Program::serve(&database, &[]).await;
    let first = printed();
    let after = |name: &str| {
        let line = first.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} is missing from:\n{first}")).trim().to_owned()
    };
    let (organization, key) = (after("X-Org-Id:"), after("Authorization:  Bearer "));
    let client = reqwest::Client::new();
    let asks = async |base: &str| {
        let request =
            client.get(format!("{base}/api/v1/accounts")).header("x-org-id", &organization);
        request.bearer_auth(&key).send().await.unwrap().status().as_u16()
    };
    assert_eq!(asks(&program.base).await, 200);
    assert!(program.terminate().await);
    let program = Program::serve(&database, &[]).await;
    let second = printed();
    assert!(second.contains("Listening on "), "{second}");
    assert!(!second.contains("Bearer") && !second.contains(&key), "{second}");
    assert_eq!(asks(&program.base).await, 200, "the key is still good");
    let log = std::fs::read_to_string(database.folder.join("log")).unwrap();
    assert!(!log.contains(&key), "{log}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_embedded_database_is_for_nobody_elses_eyes() {
    use std::os::unix::fs::PermissionsExt;

    let database = Database::create(Kind::Sqlite).await;
    let folder = database.folder.join("data");
    let output = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .env_remove("DATABASE_URL")
        .current_dir(&database.folder)
        .args(["--data-dir", "data", "org", "create", "--name", "Aurora"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(output));
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    assert!(folder.join("switchboard.db").exists());
}

#[test]
fn the_demonstration_shows_everything_and_leaves_nothing_behind() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["demo", "--once", "--listen", "127.0.0.1:0"])
        .env_remove("DATABASE_URL")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "forged: 401",
        "quarantined",
        "known already",
        "Ana Souza",
        "Martín Pérez",
        "… and ",
        "call ringing",
        "rate limited (#131056)",
        "queued → unknown ",
        "Meta got it 1 time\n",
        "422 window_closed: ",
        ", replayed\n",
        "422 idempotency_key_reused",
        "took 7 messages, 0 of them twice",
        "given up",
    ] {
        assert!(text.contains(part), "{part} is missing from:\n{text}");
    }
    let ways: Vec<&str> = text.lines().filter(|line| line.contains("queued → ")).collect();
    assert_eq!(ways.len(), 7, "{ways:#?}");
    let arrives = |steps: &[&str]| {
        let passes = |way: &&&str| {
            let places: Vec<_> = steps.iter().map(|step| way.find(step)).collect();
            places.iter().all(Option::is_some) && places.is_sorted()
        };
        ways.iter().filter(passes).count()
    };
    assert_eq!(arrives(&["queued", "→ sent ", "→ delivered ", "→ read "]), 5, "{ways:#?}");
    assert_eq!(arrives(&["queued", "→ sending ", "→ sent ", "→ delivered "]), 2, "{ways:#?}");
    let kept = text.split("waiting to be replayed").nth(1).unwrap();
    let kept = kept.split("The leads' timelines").next().unwrap();
    for whose in ["Aurora Dental", "Borealis Motors", "(nobody's)"] {
        assert!(kept.contains(whose), "{whose} is missing from:\n{kept}");
    }
    assert!(!text.contains("curl -s"), "nobody answers any more");
    assert!(!text.contains("call ,"), "{text}");
    for provider in providers::PROVIDERS {
        let recorded =
            switchboard::sandbox::webhooks(provider).iter().filter(|r| !r.is_challenge()).count();
        let row =
            text.lines().find(|line| line.trim_start().starts_with(&format!("{} ", provider.name)));
        assert!(
            row.unwrap().contains(&format!("{recorded} of {recorded}")),
            "{}: {}",
            provider.name,
            row.unwrap()
        );
    }
    let folder = text.split("SQLite in ").nth(1).unwrap().lines().next().unwrap();
    assert!(!std::path::Path::new(folder.trim()).exists());
}

#[tokio::test]
async fn the_operator_sees_and_decides_whom_not_to_write_to() {
    let database = Database::create(Kind::Sqlite).await;
    must(&database, &["migrate"]);
    let made = must(&database, &["org", "create", "--name", "Aurora"]);
    let org = made.split_whitespace().find(|word| word.len() == 36).unwrap().to_owned();
    let of = |verb: &str, scope: &[&str]| {
        let mut all = vec!["suppression", verb, "--org", &org, "--channel", "sms"];
        all.extend(scope);
        all.push("+14155550177");
        run(&database, &all)
    };
    assert!(of("add", &["--scope", "marketing"]).status.success());
    assert!(of("add", &[]).status.success());
    let listed = must(&database, &["suppression", "list", "--org", &org]);
    let lines: Vec<&str> = listed.lines().filter(|line| line.contains("+14155550177")).collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(
        listed.contains(" marketing ") && listed.contains(" all ") && listed.contains(" manual ")
    );
    assert!(of("lift", &["--scope", "all"]).status.success());
    assert!(!of("lift", &["--scope", "all"]).status.success(), "there is none");
    assert!(of("lift", &[]).status.success());
    let refused = text(of("add", &["--scope", "some"]));
    assert!(refused.contains("must be all or marketing"), "{refused}");
}
