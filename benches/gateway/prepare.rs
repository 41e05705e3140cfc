//! What is there before anything is measured: databases, organizations, a running gateway.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use switchboard::clock::Clock;
use switchboard::config::Config;
use switchboard::flow::{Actor, access, accounts, organizations, routes};
use switchboard::gateway::Gateway;
use switchboard::model::{NewOrganization, OrganizationId, Scope};

pub const SECRET: &str = "5f4dcc3b5aa765d61d8327deb882cf99";

/// An organization of the benchmark.
#[derive(Debug, Clone)]
pub struct Org {
    pub id: OrganizationId,
    pub number: String,
}

/// A database with organizations.
pub struct Bench {
    pub folder: PathBuf,
    pub url: String,
    pub organizations: Vec<Org>,
    /// A key for each organization.
    pub keys: Vec<String>,
}

pub fn cluster() -> String {
    std::env::var("BENCH_POSTGRES").expect("run ./benches/run")
}

pub fn cluster_port() -> u16 {
    cluster().rsplit(':').next().unwrap().parse().unwrap()
}

/// A new database in the cluster.
pub async fn database(name: &str) -> String {
    let mut connection = PgConnection::connect(&format!("{}/postgres", cluster())).await.unwrap();
    for sql in [format!("drop database if exists {name}"), format!("create database {name}")] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    format!("{}/{name}", cluster())
}

pub fn folder(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("switchboard-bench-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens there.
pub fn wait_for(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the gateway does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Makes organizations, each with a Meta account of the same application and a number of its own.
pub async fn organizations(folder: &Path, url: &str, count: usize) -> Bench {
    let overrides = [
        format!("data.dir={}", folder.display()),
        format!("database.url={url}"),
        "log.level=error".to_owned(),
        // Only to make them quickly: the gateway that is measured has the default.
        "database.sqlite_synchronous=normal".to_owned(),
    ];
    let config = Config::load(None, &overrides).unwrap();
    let store = switchboard::gateway::open_store(&config).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let gateway = Gateway::start(config, Clock::System).await.unwrap();
    let mut made = Vec::with_capacity(count);
    let mut keys = Vec::with_capacity(count);
    for index in 0..count {
        let number = format!("{}", 106_000_000_000_000 + index);
        let id = organization(&gateway, index, &number).await;
        let actor = Actor::operator(id);
        let key = access::create_key(&gateway, &actor, "bench", Scope::ALL.to_vec(), None).await;
        keys.push(key.unwrap().secret);
        made.push(Org { id, number });
    }
    gateway.stop().await;
    Bench { folder: folder.to_owned(), url: url.to_owned(), organizations: made, keys }
}

async fn organization(gateway: &Gateway, index: usize, number: &str) -> OrganizationId {
    let new = NewOrganization {
        name: format!("Organization {index}"),
        plan_tier: "bench".to_owned(),
        default_country: None,
    };
    let id = organizations::create(gateway, new).await.unwrap().id;
    let actor = Actor::operator(id);
    let secret = |text: &str| SecretString::from(text);
    let account = accounts::NewAccount {
        provider: "meta".to_owned(),
        name: "Meta".to_owned(),
        settings: [("waba_id".to_owned(), "102290129340398".to_owned())].into(),
        credentials: [
            ("app_secret".to_owned(), secret(SECRET)),
            ("verify_token".to_owned(), secret("token")),
            // So that it can send: nothing is, in what is measured with these.
            ("access_token".to_owned(), secret("bench-access-token")),
        ]
        .into(),
    };
    let account = accounts::create(gateway, &actor, account).await.unwrap();
    let route = routes::NewRoute {
        account_id: account.id,
        channel: "whatsapp".to_owned(),
        address: format!("+5511{:08}", 40_000_000 + index),
        handle: Some(number.to_owned()),
        state: None,
    };
    routes::create(gateway, &actor, route).await.unwrap();
    id
}

/// The gateway under measurement: the release program, as it is shipped.
pub struct Running {
    child: Child,
    pub port: u16,
}

impl Running {
    pub fn start(bench: &Bench, settings: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(std::env::var("BENCH_PROGRAM").expect("run ./benches/run"));
        command.arg("--data-dir").arg(&bench.folder).arg("--database-url").arg(&bench.url);
        command.arg("--listen").arg(format!("127.0.0.1:{port}")).args(["--set", "log.level=warn"]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let child = command.arg("serve").stdout(Stdio::null()).spawn().unwrap();
        wait_for(port);
        Self { child, port }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
