//! Files: uploaded, looked up, downloaded, deleted.
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media>

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;

use super::errors::{fail, unknown_object};
use crate::sandbox::accounts::SandboxAccount;
use crate::sandbox::exchange::{Answer, Handled, Request};
use crate::sandbox::files::StoredFile;
use crate::sandbox::world::World;

/// How long a link to a file is good, in minutes.
const LINK_MINUTES: i64 = 5;

/// How long an uploaded file is kept, in days.
const KEPT_DAYS: i64 = 30;

const MEGABYTE: usize = 1 << 20;

/// Which type of message a media type is for; `None` if it is not supported at all.
pub(super) fn kind_of(mime_type: &str) -> Option<&'static str> {
    let bare = mime_type.split(';').next().unwrap_or_default().trim();
    Some(match bare {
        "image/jpeg" | "image/png" => "image",
        "image/webp" => "sticker",
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" => "audio",
        "video/mp4" | "video/3gpp" => "video",
        "text/plain" | "application/pdf" => "document",
        office if office.starts_with("application/vnd.") || office == "application/msword" => {
            "document"
        }
        _ => return None,
    })
}

fn largest(kind: &str) -> usize {
    match kind {
        "image" => 5 * MEGABYTE,
        "sticker" => MEGABYTE / 2,
        "document" => 100 * MEGABYTE,
        _ => 16 * MEGABYTE,
    }
}

pub(super) fn upload(world: &World, account: &Arc<SandboxAccount>, request: &Request) -> Handled {
    let parts = request.parts();
    let parts = parts.ok_or_else(|| fail(100, "The body must be multipart/form-data."))?;
    let part = |name: &str| parts.iter().find(|part| part.name == name);
    let text =
        |name: &str| part(name).map(|part| String::from_utf8_lossy(&part.bytes).into_owned());
    let query = request.query();
    let product = text("messaging_product");
    if product.as_deref().or(query.get("messaging_product")) != Some("whatsapp") {
        return Err(fail(100, "The parameter messaging_product is required."));
    }
    let file = part("file").filter(|file| file.filename.is_some());
    let file = file.ok_or_else(|| fail(100, "The parameter file is required."))?;
    let said = text("type").or_else(|| query.get("type").map(ToOwned::to_owned));
    let mime_type = said.or_else(|| file.content_type.clone());
    let mime_type = mime_type.ok_or_else(|| fail(100, "The parameter type is required."))?;
    let kind = kind_of(&mime_type).ok_or_else(|| {
        fail(
            100,
            &format!("Param file must be a file with one of the supported types; got {mime_type}."),
        )
    })?;
    if file.bytes.is_empty() || file.bytes.len() > largest(kind) {
        let details = format!("A {kind} must have 1 to {} bytes.", largest(kind));
        return Err(fail(131_053, &details));
    }
    let id = numeric(world);
    let stored = StoredFile {
        owner: ("meta".to_owned(), account.name().to_owned()),
        mime_type,
        filename: file.filename.clone(),
        bytes: file.bytes.clone(),
        at: world.later(),
    };
    world.files().put(id.clone(), stored);
    Ok(Answer::json(200, &json!({ "id": id })))
}

/// An id as the Graph API has them: digits.
pub(super) fn numeric(world: &World) -> String {
    let hex = world.new_id();
    let number = u64::from_str_radix(hex.get(..15).unwrap_or_default(), 16).unwrap_or_default();
    format!("{:016}", number % 10_000_000_000_000_000)
}

/// The file, if it is one of these accounts' and not too old.
fn find(world: &World, accounts: &[Arc<SandboxAccount>], id: &str) -> Option<StoredFile> {
    let files = world.files();
    let file = files.get(id)?;
    let ours = accounts.iter().any(|account| account.name() == file.owner.1);
    let fresh = world.later() - file.at < TimeDelta::days(KEPT_DAYS);
    (file.owner.0 == "meta" && ours && fresh).then(|| file.clone())
}

pub(super) fn describe(
    world: &World,
    accounts: &[Arc<SandboxAccount>],
    id: &str,
    request: &Request,
) -> Handled {
    let file = find(world, accounts, id).ok_or_else(|| unknown_object(request, id))?;
    let expires = (world.later() + TimeDelta::minutes(LINK_MINUTES)).timestamp();
    let url = format!(
        "{}/meta/lookaside/whatsapp_business/attachments/?mid={id}&ext={expires}&hash=sandbox",
        world.base()
    );
    Ok(Answer::json(
        200,
        &json!({
            "url": url,
            "mime_type": file.mime_type,
            "sha256": hex::encode(file.sha256()),
            "file_size": file.bytes.len(),
            "id": id,
            "messaging_product": "whatsapp",
        }),
    ))
}

pub(super) fn download(world: &World, request: &Request) -> Handled {
    let token = request.bearer().unwrap_or_default();
    let mut accounts = world.accounts_of("meta");
    accounts.retain(|account| account.secret("access_token") == token);
    if accounts.is_empty() {
        let page = "<!DOCTYPE html><html><body>You do not have access.</body></html>";
        return Err(Answer::of(401, "text/html; charset=utf-8", page));
    }
    let query = request.query();
    let expires: i64 = query.get("ext").and_then(|ext| ext.parse().ok()).unwrap_or_default();
    let file = query.get("mid").and_then(|id| find(world, &accounts, id));
    match file.filter(|_| world.later().timestamp() < expires) {
        Some(file) => Ok(Answer::of(200, &file.mime_type, file.bytes)),
        None => {
            let page = "<!DOCTYPE html><html><body>URL signature expired</body></html>";
            Err(Answer::of(404, "text/html; charset=utf-8", page))
        }
    }
}

pub(super) fn delete(
    world: &World,
    accounts: &[Arc<SandboxAccount>],
    id: &str,
    request: &Request,
) -> Handled {
    find(world, accounts, id).ok_or_else(|| unknown_object(request, id))?;
    world.files().remove(id);
    Ok(Answer::json(200, &json!({ "success": true })))
}
