//! The vendors' own SDKs judge the emulators of the real program: `tests/judges`. Where an SDK cannot be installed, its
//! judges are skipped, with a word why.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::support::program::free_port;

/// How long an installation and a judge may take on a slow machine.
const INSTALL: Duration = Duration::from_secs(330);
const JUDGE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn twilios_sdk_for_python_is_content() {
    judged("python", "twilio_judge.py").await;
}

#[tokio::test]
async fn telnyxs_sdk_for_python_is_content() {
    judged("python", "telnyx_judge.py").await;
}

#[tokio::test]
async fn pywa_is_content() {
    judged("python", "meta_judge.py").await;
}

#[tokio::test]
async fn twilios_sdk_for_javascript_is_content() {
    judged("node", "twilio_judge.mjs").await;
}

#[tokio::test]
async fn telnyxs_sdk_for_javascript_is_content() {
    judged("node", "telnyx_judge.mjs").await;
}

/// Runs a judge against a sandbox of its own; it fails with what the judge says.
async fn judged(language: &'static str, judge: &'static str) {
    let verdict = tokio::task::spawn_blocking(move || {
        let folder = match installed(language) {
            Ok(folder) => folder,
            Err(why) => {
                // `eprintln!` would be kept from whoever looks at a test that passed.
                let _ = writeln!(std::io::stderr(), "skipped: {judge}: {why}");
                return Ok(String::new());
            }
        };
        let sandbox = Sandbox::start();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges").join(judge);
        let mut command = match language {
            "python" => Command::new(folder.join("bin/python")),
            _ => Command::new("node"),
        };
        // Modules of JavaScript are looked for beside the script, which is not where they were installed.
        command.arg(script).arg(&sandbox.url).env("JUDGES_MODULES", &folder);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        bounded(command, JUDGE)
    });
    if let Err(why) = verdict.await.unwrap() {
        panic!("{judge}: {why}");
    }
}

/// The folder in which the SDKs of a language are, or why they are in none. Asked once in a run of the tests.
fn installed(language: &str) -> Result<PathBuf, String> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    static NODE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let slot = if language == "python" { &PYTHON } else { &NODE };
    let install = || {
        if let Some(why) = std::env::var_os("JUDGES_SKIPPED") {
            return Err(why.to_string_lossy().into_owned());
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/judges");
        let mut command = Command::new("bash");
        command.arg(root.join("tests/judges/install")).arg(language).arg(&folder);
        match bounded(command, INSTALL) {
            Ok(_) => Ok(folder.join(language)),
            Err(printed) => Err(printed.lines().next_back().unwrap_or_default().to_owned()),
        }
    };
    slot.get_or_init(install).clone()
}

/// What a command prints; or, if it fails or takes too long, why.
fn bounded(mut command: Command, patience: Duration) -> Result<String, String> {
    let file = tempfile();
    let (out, errors) = (file.try_clone().unwrap(), file.try_clone().unwrap());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let printed = printed(file);
    match status {
        Some(status) if status.success() => Ok(printed),
        Some(_) => Err(printed),
        None => Err(format!("not done after {patience:?}\n{printed}")),
    }
}

fn tempfile() -> std::fs::File {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("switchboard_test_judge_{}_{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let options = std::fs::OpenOptions::new().read(true).append(true).create(true).open(&path);
    // The file lives as long as somebody has it open.
    std::fs::remove_file(&path).unwrap();
    options.unwrap()
}

fn printed(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap_or_default();
    text.trim().to_owned()
}

/// `switchboard sandbox` as people start it. Killed when dropped.
struct Sandbox {
    child: Child,
    url: String,
}

impl Sandbox {
    fn start() -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        command.env_remove("DATABASE_URL").current_dir(std::env::temp_dir());
        command.args(["--listen", &address, "sandbox", "--delay", "0-5"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let sandbox = Self { child, url: format!("http://{address}") };
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < deadline, "the sandbox does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        sandbox
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
