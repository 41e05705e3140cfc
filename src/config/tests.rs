//! Settings from every source, and what is said of wrong ones.

use super::*;

/// What comes of these variables and overrides.
fn load(environment: &[(&str, &str)], overrides: &[&str]) -> Result<Config, String> {
    load_from(None, environment, overrides)
}

/// The same with a file.
fn load_from(
    file: Option<&Path>,
    environment: &[(&str, &str)],
    overrides: &[&str],
) -> Result<Config, String> {
    let environment = environment.iter().map(|(name, value)| {
        let name =
            if *name == "DATABASE_URL" { (*name).to_owned() } else { environment_name(name) };
        (name, (*value).to_owned())
    });
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let figment = gather(file, environment, &overrides).map_err(|error| error.to_string())?;
    Config::of(&figment).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_a_valid_configuration() {
    load(&[], &[]).unwrap();
}

#[test]
fn connections_rest_longer_than_proxies_keep_them_and_heads_come_soon() {
    let server = load(&[], &[]).unwrap().server;
    assert!(server.idle_timeout_ms >= 75_000, "proxies keep a connection for a minute");
    assert!((10_000..=15_000).contains(&server.head_timeout_ms));
    for wrong in [
        "server.head_timeout_ms=99",
        "server.head_timeout_ms=60001",
        "server.idle_timeout_ms=999",
        "server.idle_timeout_ms=3600001",
        "server.max_connections=0",
    ] {
        let name = wrong.split('=').next().unwrap();
        assert!(load(&[], &[wrong]).unwrap_err().starts_with(name), "{wrong}");
    }
}

/// A file of settings for one test; it is gone with it.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("switchboard_test_config_{}_{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_command_line_wins_over_the_environment_over_the_file_over_the_defaults() {
    let file = File::new(
        "good",
        "[intake]
        writers = 2
        batch_requests = 20
        queue_requests = 200
        [server]
        trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.7/32\"]
        [database]
        url = \"sqlite:of-the-file\"",
    );
    let path = Some(file.0.as_path());
    let environment = [("intake.writers", "3"), ("intake.batch_requests", "30")];
    let config = load_from(path, &environment, &["intake.writers=4"]).unwrap();
    assert_eq!(config.intake.writers, 4, "the command line");
    assert_eq!(config.intake.batch_requests, 30, "the environment");
    assert_eq!(config.intake.queue_requests, 200, "the file");
    assert_eq!(config.server.listen, load(&[], &[]).unwrap().server.listen, "the default");
    assert_eq!(config.database.url.expose_secret(), "sqlite:of-the-file");
    let one = [("DATABASE_URL", "sqlite:a"), ("server.trusted_proxies", "203.0.113.0/24")];
    let config = load_from(path, &one, &[]).unwrap();
    assert_eq!(config.database.url.expose_secret(), "sqlite:a");
    assert_eq!(config.server.trusted_proxies.len(), 1, "a list is replaced, not added to");
    assert_eq!(config.intake.writers, 2);
}

#[test]
fn a_key_in_the_file_that_is_no_setting_is_named() {
    for (name, text, wrong) in [
        ("in_a_section", "[intake]\nwriters = 2\nwrtiers = 3", "wrtiers"),
        ("a_section", "[inbox]\nwriters = 2", "inbox"),
        ("outside", "writers = 2", "writers"),
    ] {
        let file = File::new(name, text);
        let error = load_from(Some(&file.0), &[], &[]).unwrap_err();
        assert!(error.contains(wrong) && error.contains("unknown field"), "{error}");
        assert!(error.contains("from TOML file"), "{error}");
    }
    let error = load(&[("intake.wrtiers", "2")], &[]).unwrap_err();
    assert!(error.contains("wrtiers") && error.contains("WRTIERS"), "{error}");
    let missing = Path::new("/nowhere/switchboard.toml");
    let error = load_from(Some(missing), &[], &[]).unwrap_err();
    assert!(error.contains("/nowhere/switchboard.toml: the file does not exist"), "{error}");
}

#[test]
fn an_override_is_typed_and_its_name_is_checked() {
    assert_eq!(load(&[], &["intake.writers=2"]).unwrap().intake.writers, 2);
    assert_eq!(load(&[], &["log.level=debug"]).unwrap().log.level, "debug");
    assert!(load(&[], &["log.levle=debug"]).unwrap_err().contains("no such setting"));
    let error = load(&[], &["intake.writers=many"]).unwrap_err();
    assert!(error.starts_with("intake.writers: ") && error.contains("command line"), "{error}");
    assert_eq!(load(&[], &["intake.writers=9"]).unwrap_err(), "intake.writers: must be 1 to 4");
    let both = load(&[("intake.writers", "3")], &["intake.writers=2"]).unwrap();
    assert_eq!(both.intake.writers, 2, "the command line wins");
}

#[test]
fn a_secret_is_a_text_whatever_it_looks_like() {
    for secret in ["1234567890123456", "1e5", "true", "[x]", "{x = 1}", "\"quoted\"", "2026-11-01"]
    {
        let plain = secret.trim_matches('"');
        let config = load(&[("media.s3_secret_key", secret), ("media.s3_access_key", "x")], &[]);
        assert_eq!(config.unwrap().media.s3_secret_key.expose_secret(), plain);
        let config = load(&[], &[&format!("metrics.token={secret}")]).unwrap();
        assert_eq!(config.metrics.token.expose_secret(), plain);
    }
    let config = load(&[("DATABASE_URL", "sqlite:a"), ("database.url", "sqlite:b")], &[]).unwrap();
    assert_eq!(config.database.url.expose_secret(), "sqlite:b");
}

#[test]
fn a_list_may_be_given_with_commas_or_as_toml() {
    for text in [
        "10.0.0.0/8,192.0.2.7/32",
        "10.0.0.0/8, 192.0.2.7/32",
        "[\"10.0.0.0/8\", \"192.0.2.7/32\"]",
    ] {
        assert_eq!(
            load(&[("server.trusted_proxies", text)], &[]).unwrap().server.trusted_proxies.len(),
            2
        );
        let set = format!("server.trusted_proxies={text}");
        assert_eq!(load(&[], &[&set]).unwrap().server.trusted_proxies.len(), 2);
    }
    for (text, count) in [("10.0.0.0/8", 1), ("\"10.0.0.0/8\"", 1), ("", 0), ("[]", 0)] {
        let config = load(&[("server.trusted_proxies", text)], &[]).unwrap();
        assert_eq!(config.server.trusted_proxies.len(), count, "{text}");
    }
    let error = load(&[("server.trusted_proxies", "10.0.0.0/8,here")], &[]).unwrap_err();
    assert!(error.starts_with("server.trusted_proxies"), "{error}");
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    for (setting, reason) in [
        ("auth.jwks_url=identity.example.com", "auth.jwks_url: must be an http(s) URL"),
        ("auth.jwks_url=file:///etc/keys", "auth.jwks_url: must be an http(s) URL"),
        ("log.level=loud", "log.level: must be"),
        ("log.level=info,sqlx=loud", "log.level: must be"),
        ("log.format=xml", "log.format: must be"),
        (
            "database.url=mysql://root:hunter2@localhost/x",
            "database.url: must be sqlite: or postgres:",
        ),
        ("database.url=switchboard.db", "database.url: must be sqlite: or postgres:"),
        ("database.api_url=sqlite:hunter2", "database.api_url: must be postgres:"),
        ("server.public_url=gateway.example.com", "server.public_url: must be"),
    ] {
        let error = load(&[], &[setting]).unwrap_err();
        assert!(error.starts_with(reason) && !error.contains("hunter2"), "{setting}: {error}");
    }
    for setting in
        ["log.level=info,sqlx=warn", "log.level=OFF", "database.url=postgresql://localhost/x"]
    {
        load(&[], &[setting]).unwrap();
    }
}

#[test]
fn a_secret_of_tokens_is_as_long_as_its_hash() {
    let load = |secret: &str| load(&[("auth.jwt_secret", secret)], &[]);
    for (secret, bytes) in
        [("x".repeat(31), 31), (format!("  {}  ", "x".repeat(31)), 31), ("é".repeat(15), 30)]
    {
        let error = load(&secret).unwrap_err();
        assert!(
            error.starts_with(&format!(
                "auth.jwt_secret: has {bytes} bytes and must have at least 32"
            )),
            "{error}"
        );
        assert!(!error.contains(secret.trim()), "{error}");
    }
    for secret in ["", "   ", &"x".repeat(32), &"é".repeat(16)] {
        load(secret).unwrap();
    }
}

#[test]
fn metrics_have_an_address_of_their_own_or_none() {
    for wrong in ["9464", "localhost", "127.0.0.1:8080"] {
        let error = load(&[("metrics.listen", wrong)], &[]).unwrap_err();
        assert!(error.starts_with("metrics.listen: must be an address"), "{error}");
    }
    let address = |text: &str| load(&[("metrics.listen", text)], &[]).unwrap().metrics.address();
    assert_eq!(address(""), None);
    assert_eq!(address(" 127.0.0.1:9464 ").unwrap().port(), 9464);
}

#[test]
fn no_error_shows_a_secret() {
    let folder =
        std::env::temp_dir().join(format!("switchboard_test_config_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("wrong.toml");
    for text in [
        "[auth]\njwt_secret = 4711",
        "[auth]\njwt_secret = [\"4711\"]",
        "[auth]\njwt_secret = 4711 and more",
        "auth = 4711",
        "database = \"postgres://u:4711@host/db\"",
    ] {
        std::fs::write(&file, text).unwrap();
        let error = Config::load(Some(&file), &[]).unwrap_err().to_string();
        assert!(error.contains("wrong.toml") || error.contains("TOML"), "{error}");
        assert!(!error.contains("4711"), "{error}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    for set in [
        "auth.jwt_secret:4711",
        "auth.jwt_secret 4711",
        "auth.jwt_secret 4711=",
        "database.url:4711?x=1",
    ] {
        let error = load(&[], &[set]).unwrap_err();
        assert!(!error.contains("4711"), "{error}");
    }
}

#[test]
fn the_settings_are_shown_as_a_file_has_them_without_secrets() {
    let overrides = [
        "auth.jwt_secret=47114711471147114711471147114711".to_owned(),
        "server.trusted_proxies=10.0.0.0/8".to_owned(),
    ];
    let shown = Config::show(None, &overrides).unwrap();
    let of = |name: &str| shown.iter().find(|(s, _)| s.name == name).unwrap().1.clone();
    assert_eq!(of("auth.jwt_secret"), "[REDACTED]");
    assert_eq!(of("metrics.token"), "(not set)");
    assert_eq!(of("server.trusted_proxies"), "[\"10.0.0.0/8\"]");
    assert_eq!(of("intake.writers"), "1");
    assert_eq!(of("server.listen"), "\"127.0.0.1:8080\"");
}

#[test]
fn the_public_url_is_read_as_requests_will_have_it() {
    let read = |text: &str| load(&[("server.public_url", text)], &[]).map(|c| c.server.public_url);
    for (given, url) in [
        ("", ""),
        ("https://gateway.example.com", "https://gateway.example.com"),
        (" HTTPS://GW.Example.com/ ", "https://gw.example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443/Sb//", "https://xn--bcher-kva.example:8443/Sb"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ] {
        assert_eq!(read(given).as_deref(), Ok(url), "{given}");
    }
    for wrong in [
        "gateway.example.com",
        "ftp://gateway.example.com",
        "https://",
        "https://a b",
        "https://gw?x=1",
        "https://gw#x",
        "https://xn--\u{df}-",
        "/hooks",
    ] {
        let error = read(wrong).unwrap_err();
        assert!(error.starts_with("server.public_url: must be an http(s) URL"), "{wrong}: {error}");
    }
}
