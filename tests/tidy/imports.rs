//! Imports point downward, and each outside library has its rooms.

use crate::house::{cut, none, sources};

/// Each room of the gateway, and the rooms it may know besides itself. `main` knows all.
const ROOMS: [(&str, &[&str]); 14] = [
    ("clock", &[]),
    ("ids", &["clock"]),
    ("metrics", &["model"]),
    ("vault", &[]),
    ("model", &["clock"]),
    ("config", &["model"]),
    ("store", &["clock", "ids", "metrics", "model", "vault"]),
    ("transport", &["clock", "config", "metrics", "vault"]),
    ("gateway", &["clock", "config", "ids", "metrics", "model", "store", "transport", "vault"]),
    (
        "flow",
        &["clock", "config", "gateway", "ids", "metrics", "model", "store", "transport", "vault"],
    ),
    ("web", &["clock", "config", "flow", "gateway", "ids", "metrics", "model", "store"]),
    ("jobs", &["clock", "flow", "gateway", "metrics", "model", "store"]),
    ("sandbox", &["clock", "ids", "model", "transport"]),
    (
        "cli",
        &[
            "clock", "config", "flow", "gateway", "ids", "jobs", "metrics", "model", "sandbox",
            "store", "vault", "web",
        ],
    ),
];

/// Outside libraries that have a room of their own. (`cli` uses `reqwest` to be the providers in the demonstration.)
const LIBRARIES: [(&str, &[&str]); 14] = [
    ("axum", &["web"]),
    ("hyper", &["web", "sandbox"]),
    ("utoipa", &["web"]),
    ("jsonwebtoken", &["web"]),
    ("sqlx", &["store", "model"]),
    ("reqwest", &["transport", "cli"]),
    ("chacha20poly1305", &["vault"]),
    ("hkdf", &["vault"]),
    ("object_store", &["transport"]),
    ("figment", &["config"]),
    ("clap", &["cli"]),
    ("apalis", &["jobs"]),
    ("apalis_sqlite", &["jobs"]),
    ("apalis_postgres", &["jobs"]),
];

/// What the providers may use: no socket, no clock, no database, no runtime.
const PROVIDERS_MAY_USE: [&str; 17] = [
    "base64",
    "bytes",
    "chrono",
    "core",
    "ed25519_dalek",
    "hex",
    "hmac",
    "http",
    "icu_properties",
    "secrecy",
    "serde",
    "serde_json",
    "sha1",
    "sha2",
    "std",
    "subtle",
    "thiserror",
];

fn room(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

/// The names that follow `crate::`, in braces too.
fn named_after_crate(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (index, _) in code.match_indices("crate::") {
        if code[..index].ends_with('$')
            || code[..index].ends_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            continue;
        }
        let rest = &code[index + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => names.extend(heads(list)),
            None => names.extend(head(rest)),
        }
    }
    names
}

fn head(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first word of each entry of a list in braces.
fn heads(list: &str) -> Vec<String> {
    let (mut depth, mut entries) = (0, vec![String::new()]);
    for character in list.chars() {
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => entries.push(String::new()),
            _ if depth == 0 => entries.last_mut().expect("there is one").push(character),
            _ => {}
        }
    }
    entries.iter().filter_map(|entry| head(entry.trim())).collect()
}

fn uses(code: &str, library: &str) -> bool {
    code.match_indices(library).any(|(index, _)| {
        let before = code[..index].chars().next_back();
        let starts = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':'));
        starts && code[index + library.len()..].starts_with("::")
    })
}

#[test]
fn imports_point_downward() {
    let mut complaints = Vec::new();
    for source in sources(&["src"]) {
        let room = room(&source.path);
        if matches!(room, "main" | "lib") {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            complaints.push(format!(
                "{}: `{room}` is a room the architecture does not know",
                source.path
            ));
            continue;
        };
        for name in named_after_crate(&cut(&source.text).code) {
            let is_room = ROOMS.iter().any(|(room, _)| *room == name);
            if name != room && is_room && !allowed.contains(&name.as_str()) {
                complaints.push(format!("{}: {room} may not know {name}", source.path));
            }
        }
    }
    none(&complaints);
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut complaints = Vec::new();
    for source in sources(&["src"]) {
        let code = cut(&source.text).code;
        for (library, rooms) in LIBRARIES {
            if uses(&code, library) && !rooms.contains(&room(&source.path)) {
                complaints.push(format!("{}: {library} is for {rooms:?}", source.path));
            }
        }
    }
    none(&complaints);
}

#[test]
fn providers_are_pure() {
    let mut complaints = Vec::new();
    let manifest = include_str!("../../providers/Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).expect("there are some");
    for line in dependencies.lines().skip(1).take_while(|line| !line.starts_with('[')) {
        let Some(name) = line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()) else {
            continue;
        };
        let name = name.replace('-', "_");
        if name != "url" && !PROVIDERS_MAY_USE.contains(&name.as_str()) {
            complaints
                .push(format!("providers/Cargo.toml: {name} is not on the list of pure libraries"));
        }
    }
    for source in sources(&["providers/src"]) {
        let code = cut(&source.text).code;
        for impure in [
            "std::net",
            "std::fs",
            "std::process",
            "std::thread",
            "SystemTime",
            "Utc::now",
            "Instant::now",
        ] {
            if code.contains(impure) {
                complaints.push(format!("{}: {impure}", source.path));
            }
        }
    }
    none(&complaints);
}

/// What is handed to a provider to verify comes from the world, or again from the inbox, and from nowhere else.
#[test]
fn only_receiving_and_replaying_build_what_is_verified() {
    let mut complaints = Vec::new();
    for source in sources(&["src"]) {
        let code = cut(&source.text).code;
        for (word, rooms) in [
            ("Inbound::Kept", &["src/flow/replay.rs"][..]),
            ("Inbound::Webhook", &["src/flow/receive.rs", "src/flow/replay.rs"]),
        ] {
            if builds(&code, word) && !rooms.contains(&source.path.as_str()) {
                complaints.push(format!("{}: builds {word}; only {rooms:?} may", source.path));
            }
        }
    }
    none(&complaints);
}

/// Whether a variant is built, not only matched: patterns leave fields out with `..`.
fn builds(code: &str, variant: &str) -> bool {
    code.match_indices(variant).any(|(index, _)| {
        let rest = &code[index..];
        !rest[..rest.find('}').unwrap_or(rest.len())].contains("..")
    })
}

#[test]
fn every_provider_has_its_fixtures() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut complaints = Vec::new();
    for provider in providers::PROVIDERS {
        let folder = root.join(provider.name);
        let webhooks = std::fs::read_dir(folder.join("webhooks")).map_or(0, Iterator::count);
        if webhooks < 25 {
            complaints
                .push(format!("fixtures/{}/webhooks: {webhooks}, fewer than 25", provider.name));
        }
        for file in ["accounts.json", "signatures.json", "classes.json", "expected"] {
            if !folder.join(file).exists() {
                complaints.push(format!("fixtures/{}/{file} is missing", provider.name));
            }
        }
    }
    none(&complaints);
}

#[test]
fn names_after_crate_are_found() {
    let code = "use crate::{a::b, c, d::{e, f}}; crate::g::h(); use crate::i;";
    assert_eq!(named_after_crate(code), ["a", "c", "d", "g", "i"]);
    assert!(uses("use axum::Router", "axum") && !uses("crate::axum::x", "axum"));
}
