//! The real program as a child process.

use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use super::Database;

/// A running gateway. Killed when dropped.
pub struct Program {
    pub child: Child,
    pub base: String,
}

/// The program with the test's database and nothing of our own environment. It is the one that was built with the tests, or the
/// one that `HOSTILE_PROGRAM` names.
pub fn command(database: &Database) -> Command {
    let given = std::env::var_os("HOSTILE_PROGRAM");
    let mut command =
        Command::new(given.unwrap_or_else(|| env!("CARGO_BIN_EXE_switchboard").into()));
    command.env_remove("DATABASE_URL").current_dir(&database.folder);
    command.arg("--data-dir").arg(&database.folder).arg("--database-url").arg(&database.url);
    command
}

/// Runs a command to its end.
pub fn run(database: &Database, arguments: &[&str]) -> Output {
    command(database).args(arguments).output().unwrap()
}

/// Runs a command that must succeed; returns what it printed, without blanks around it.
#[track_caller]
pub fn must(database: &Database, arguments: &[&str]) -> String {
    let output = run(database, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Program {
    /// Starts `serve` on a free port and waits until it answers. What it prints is in the folder's `printed`, what it logs
    /// in its `log`.
    pub async fn serve(database: &Database, settings: &[&str]) -> Self {
        let port = free_port();
        Self::serve_at(database, port, settings).await
    }

    pub async fn serve_at(database: &Database, port: u16, settings: &[&str]) -> Self {
        Self::start(command(database), database, port, settings).await
    }

    /// The same with so many descriptors, and no more.
    #[cfg(unix)]
    pub async fn serve_with_descriptors(
        database: &Database,
        descriptors: u32,
        settings: &[&str],
    ) -> Self {
        let plain = command(database);
        let mut command = Command::new("sh");
        command.env_remove("DATABASE_URL").current_dir(&database.folder);
        command.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\""));
        command.arg(plain.get_program()).args(plain.get_args());
        Self::start(command, database, free_port(), settings).await
    }

    async fn start(
        mut command: Command,
        database: &Database,
        port: u16,
        settings: &[&str],
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        command.arg("--listen").arg(format!("127.0.0.1:{port}"));
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        let log = std::fs::File::create(database.folder.join("log")).unwrap();
        let printed = std::fs::File::create(database.folder.join("printed")).unwrap();
        let child = command.arg("serve").stdout(printed).stderr(log).spawn().unwrap();
        let program = Self { child, base: format!("http://127.0.0.1:{port}") };
        program.wait_until_it_answers(&database.folder).await;
        program
    }

    async fn wait_until_it_answers(&self, folder: &Path) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let client = reqwest::Client::new();
        while client.get(format!("{}/health", self.base)).send().await.is_err() {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the program does not answer: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn port(&self) -> u16 {
        self.base.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// `kill -9`: no chance to finish anything.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").arg(format!("-{name}")).arg(id).status();
        assert!(sent.unwrap().success());
    }

    /// A polite request to stop; returns whether it stopped by itself and well.
    pub async fn terminate(&mut self) -> bool {
        self.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < deadline, "the program does not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
