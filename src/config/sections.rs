//! The sections of the settings, as types. What each setting means stands in the table.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

use super::Target;

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "SETTINGS documents every field")]
        pub struct $name { $(pub $field: $type),+ }
    };
}

section!(
    /// `[server]`
    Server {
        listen: SocketAddr,
        public_url: String,
        trusted_proxies: Vec<IpNet>,
        request_timeout_ms: u64,
        max_connections: usize,
        head_timeout_ms: u64,
        idle_timeout_ms: u64,
        api_body_bytes: usize,
        webhook_body_bytes: usize,
        shutdown_ms: u64,
    }
);
section!(
    /// `[data]`
    Data { dir: PathBuf }
);
section!(
    /// `[database]`
    Database {
        url: SecretString,
        intake_url: SecretString,
        api_url: SecretString,
        connections: u32,
        statement_timeout_ms: u64,
        sqlite_synchronous: String,
    }
);
section!(
    /// `[keys]`
    Keys { master_key: SecretString, master_key_file: PathBuf }
);
section!(
    /// `[auth]`
    Auth {
        jwt_secret: SecretString,
        jwks_url: String,
        jwt_issuer: String,
        jwt_audience: String,
        jwt_user_claim: String,
        jwt_organization_claim: String,
    }
);
section!(
    /// `[intake]`
    Intake { queue_requests: usize, queue_bytes: usize, batch_requests: usize, writers: usize, share_public_keys: bool }
);
section!(
    /// `[calls]`
    Calls { silence_seconds: i64 }
);
section!(
    /// `[sending]`
    Sending {
        max_age_hours: i64,
        request_timeout_ms: u64,
        conversation_wait_ms: u64,
        resends: i64,
        worker_timeout_ms: u64,
        bulk_wait_ms: u64,
        enabled: bool,
    }
);
section!(
    /// `[outgoing]`
    Outgoing { allow: Vec<Target> }
);
section!(
    /// `[media]`
    Media {
        upload_bytes: u64,
        fetch_bytes: u64,
        link_hours: i64,
        s3_bucket: String,
        s3_endpoint: String,
        s3_region: String,
        s3_access_key: SecretString,
        s3_secret_key: SecretString,
    }
);
section!(
    /// `[retention]`
    Retention {
        inbox_days: i64,
        quarantine_days: i64,
        events_days: i64,
        queue_days: i64,
        waiting_days: i64,
        audit_days: i64,
        media_days: i64,
    }
);
section!(
    /// `[limits]`
    Limits { key_per_minute: u32, organization_per_minute: u32 }
);
section!(
    /// `[log]`
    Log { level: String, format: String }
);
section!(
    /// `[metrics]`
    Metrics { token: SecretString, listen: String }
);

impl Metrics {
    /// The address of their own, if they have one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.trim().parse().ok()
    }
}
