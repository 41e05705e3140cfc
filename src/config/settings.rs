//! The table of all settings: names, defaults, meanings.

/// One setting, as `switchboard config --explain` shows it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the file: `section.name`.
    pub name: &'static str,
    /// Its default, as it would stand in the file; empty if there is none.
    pub default: &'static str,
    /// What it means, with unit and bounds.
    pub about: &'static str,
    /// Its value is never shown.
    pub secret: bool,
}

/// What a setting's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// A list of texts.
    List,
    /// A number.
    Other,
}

impl Setting {
    /// What its value is; its default shows it.
    pub(super) fn kind(&self) -> Kind {
        match self.default.as_bytes().first() {
            Some(b'"') => Kind::Text,
            Some(b'[') => Kind::List,
            _ => Kind::Other,
        }
    }
}

const fn setting(name: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, default, about, secret: false }
}

const fn secret(name: &'static str, about: &'static str) -> Setting {
    Setting { name, default: "\"\"", about, secret: true }
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    setting("server.listen", "\"127.0.0.1:8080\"", "Address and port to listen on."),
    setting(
        "server.public_url",
        "\"\"",
        "The URL under which providers reach this gateway, for example https://gateway.example.com. It is what Twilio signs. Scheme and host are read in lower case, other letters than ASCII as punycode. If empty, the request's own host is believed.",
    ),
    setting(
        "server.trusted_proxies",
        "[]",
        "Networks (CIDR) of proxies whose X-Forwarded-Proto, -Host, -Port, -Prefix and -For are believed or, where they send none but the prefix, Forwarded (RFC 7239). In the environment and with --set also with commas between them: 10.0.0.0/8,192.0.2.7/32.",
    ),
    setting(
        "server.request_timeout_ms",
        "15000",
        "How long a request may take from its first byte to our answer, in milliseconds.",
    ),
    setting(
        "server.max_connections",
        "2048",
        "How many connections are served at once, as far as the limit of open files allows. For a further one, the longest idle one goes; where none is idle, it waits. Once three quarters are taken, no address (IPv6: /64) may have more than a quarter, proxies of server.trusted_proxies excepted.",
    ),
    setting(
        "server.head_timeout_ms",
        "12000",
        "How long a client may take to send a request's head, on a new connection from its beginning, in milliseconds, 100 to 60000.",
    ),
    setting(
        "server.idle_timeout_ms",
        "90000",
        "How long a connection that has served a request may wait for the next one, in milliseconds, 1000 to 3600000. Longer than the minute for which proxies keep their connections: one that is closed just as it is used again costs a webhook.",
    ),
    setting("server.api_body_bytes", "1048576", "The largest body of an API request, in bytes."),
    setting(
        "server.webhook_body_bytes",
        "3145728",
        "The largest body of a webhook, in bytes. Meta sends up to 3 MB.",
    ),
    setting(
        "server.shutdown_ms",
        "20000",
        "How long a shutdown waits for what was accepted, in milliseconds.",
    ),
    setting(
        "data.dir",
        "\"./switchboard-data\"",
        "The folder of the embedded database and the master key file.",
    ),
    secret(
        "database.url",
        "sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE. DATABASE_URL works too. If empty: SQLite in data.dir.",
    ),
    secret(
        "database.intake_url",
        "PostgreSQL only: log in with another user for webhook intake and sweeps. If empty, database.url is used with SET ROLE switchboard_intake.",
    ),
    secret(
        "database.api_url",
        "PostgreSQL only: log in with another user for the API. If empty, database.url is used with SET ROLE switchboard_app.",
    ),
    setting(
        "database.connections",
        "0",
        "How many connections the API may use. SQLite: how many readers. 0: twice as many as there are processors, 4 to 16.",
    ),
    setting(
        "database.statement_timeout_ms",
        "10000",
        "How long one statement may take, in milliseconds. SQLite: a reader's statement, counted from when its connection was lent.",
    ),
    setting(
        "database.sqlite_synchronous",
        "\"full\"",
        "SQLite only: full (a commit survives power loss) or normal (a commit survives a crash of the process only).",
    ),
    secret(
        "keys.master_key",
        "The master key, 32 bytes in base64; during a rotation several, the current one first, separated by commas. If empty: the file below.",
    ),
    setting(
        "keys.master_key_file",
        "\"\"",
        "The master key file. If empty: master.key in data.dir, made on first start.",
    ),
    secret(
        "auth.jwt_secret",
        "The secret of HS256 tokens of the CRM's identity provider, at least 32 bytes. If neither this nor a key set is given, tokens are refused.",
    ),
    setting(
        "auth.jwks_url",
        "\"\"",
        "Where the identity provider publishes its keys (JWKS), for RS256, ES256 and EdDSA tokens.",
    ),
    setting(
        "auth.jwt_issuer",
        "\"\"",
        "The `iss` that tokens must have. If empty, it is not checked.",
    ),
    setting(
        "auth.jwt_audience",
        "\"\"",
        "The `aud` that tokens must have. If empty, it is not checked, and tokens that the identity provider makes for others are believed here too.",
    ),
    setting(
        "auth.jwt_user_claim",
        "\"sub\"",
        "The claim that names the user: their e-mail address, or the subject they were created with.",
    ),
    setting(
        "auth.jwt_organization_claim",
        "\"organization_id\"",
        "The claim that names the organization, by its id.",
    ),
    setting(
        "intake.queue_requests",
        "4096",
        "How many webhooks may wait for their commit; beyond that they are answered 503 with Retry-After.",
    ),
    setting(
        "intake.queue_bytes",
        "67108864",
        "How many bytes of webhooks may be held in memory, waiting or being read; beyond that they are answered 503. A quarter is kept for those of at most 64 KiB; once three quarters are taken, no address may have more than a quarter.",
    ),
    setting("intake.batch_requests", "256", "How many webhooks one transaction may carry."),
    setting(
        "intake.writers",
        "1",
        "How many transactions may be under way at once, 1 to 4. SQLite: always 1.",
    ),
    setting(
        "intake.share_public_keys",
        "false",
        "Whether accounts of several organizations may have the same public key (Telnyx). A public key proves nothing about whose an account is: allow it only if you trust all organizations.",
    ),
    setting(
        "calls.silence_seconds",
        "120",
        "For how long nothing may be heard of a call that rang until it counts as missed (if we called: as not answered), 0 to 86400 seconds; 0: for ever. News that comes later corrects it.",
    ),
    setting(
        "sending.enabled",
        "true",
        "Whether this process sends. Messages are accepted all the same, and sent by the processes that do.",
    ),
    setting(
        "sending.max_age_hours",
        "24",
        "How long a message is tried before it is given up, in hours from the time it is due, 1 to 720.",
    ),
    setting(
        "sending.request_timeout_ms",
        "30000",
        "How long a provider may take to answer a request, in milliseconds, 1000 to 120000. A message whose request got no answer is not sent again blindly.",
    ),
    setting(
        "sending.conversation_wait_ms",
        "600000",
        "How long a message waits for an earlier one to the same person that is still to be sent, in milliseconds, at most a day.",
    ),
    setting(
        "sending.resends",
        "2",
        "How often a message is sent again by itself after the provider had taken it and told of a failure that may pass, 0 to 5. The pauses are at least 1, 10, and then 60 minutes.",
    ),
    setting(
        "sending.worker_timeout_ms",
        "15000",
        "After how long without a sign of life a sending process counts as dead, and its messages are taken over, in milliseconds, 3000 to 600000.",
    ),
    setting(
        "sending.bulk_wait_ms",
        "10000",
        "How long a request with many messages waits while another one of its organization is carried out, before it is told to come back (429), in milliseconds, at most 60000, and never more than 70 % of server.request_timeout_ms.",
    ),
    setting(
        "outgoing.allow",
        "[]",
        "What requests to addresses that users and messages name may reach though it is not public, or without TLS: hosts, host:port, and networks (CIDR). For bridges and media servers of your own. Credentials of Meta, Twilio and Telnyx go to hosts that are named here, and to addresses of a network only where the URL holds the address itself. An entry that ends in @ and the id of an organization holds for that one only, one without for all: waha:3000@019a3f1c-7e5b-7c3a-9a55-0d5e6f708192. In the environment and with --set also with commas between them: waha:3000,10.0.0.0/8.",
    ),
    setting(
        "media.upload_bytes",
        "104857600",
        "The largest file that may be handed in to be sent, in bytes.",
    ),
    setting(
        "media.fetch_bytes",
        "104857600",
        "The largest file that is fetched from a provider, in bytes.",
    ),
    setting(
        "media.link_hours",
        "6",
        "How long a link to a file is good that providers are given, in hours, 1 to 168.",
    ),
    setting(
        "media.s3_bucket",
        "\"\"",
        "The bucket of an S3-compatible store for files. If empty, they are kept in the folder media in data.dir. Files are sealed in either.",
    ),
    setting("media.s3_endpoint", "\"\"", "The store's URL, for stores that are not Amazon's."),
    setting("media.s3_region", "\"us-east-1\"", "The bucket's region."),
    secret(
        "media.s3_access_key",
        "The store's access key. If empty, the machine's own identity is used, where the cloud gives it one.",
    ),
    secret("media.s3_secret_key", "The store's secret key."),
    setting("retention.inbox_days", "30", "How long raw webhooks are kept, in days."),
    setting(
        "retention.quarantine_days",
        "90",
        "How long raw webhooks with open quarantined items are kept, in days. The organization gets a notice before, and a week from then on.",
    ),
    setting("retention.events_days", "30", "How long events are kept for readers, in days."),
    setting("retention.waiting_days", "7", "How long a status waits for its message, in days."),
    setting(
        "retention.queue_days",
        "30",
        "How long the journal of what was sent, and the answers to requests with an Idempotency-Key, are kept, in days.",
    ),
    setting("retention.audit_days", "365", "How long the audit log is kept, in days."),
    setting("retention.media_days", "0", "How long files are kept, in days; 0: for ever."),
    setting(
        "limits.key_per_minute",
        "0",
        "How many API requests one key, or one user with a token, may make a minute, 0 to 10000000; 0: no limit. Each process counts for itself. Webhooks are not limited, but for reports of calls (voip), which come with a key.",
    ),
    setting(
        "limits.organization_per_minute",
        "0",
        "The same for all keys and users of one organization together.",
    ),
    setting(
        "log.level",
        "\"info\"",
        "What is logged: error, warn, info, debug, trace, or a filter such as switchboard=debug,info.",
    ),
    setting("log.format", "\"readable\"", "readable or json."),
    secret(
        "metrics.token",
        "The bearer token with which /metrics may be read. If empty, /metrics is closed on the public address.",
    ),
    setting(
        "metrics.listen",
        "\"\"",
        "An address and port of its own for /metrics, such as 127.0.0.1:9464: there it is open to all, unless metrics.token is set.",
    ),
];
