//! What handlers are given: who asks, and what the request says, checked.

use std::str::FromStr;

use axum::extract::{FromRequestParts, OptionalFromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{App, Problem, limits, times};
use crate::clock::Timestamp;
use crate::flow::{Actor, access, audit};
use crate::model::{OrganizationId, Principal, PrincipalKind, Scope};

/// The largest page of any list.
const MOST: i64 = 200;

/// What is said of a text that holds U+0000.
pub(super) const NUL: &str = "must not hold NUL characters";

/// A page whose size is not said.
const USUAL: i64 = 50;

/// Who asks, in which organization: every `/api` request has one.
#[derive(Debug, Clone)]
pub(super) struct Access {
    principal: Principal,
    request_id: Option<String>,
}

impl Access {
    /// Whoever may do this; everybody else is told which scope it takes.
    pub(super) fn needs(&self, scope: Scope) -> Result<OrganizationId, Problem> {
        if self.principal.may(scope) {
            return Ok(self.principal.organization_id);
        }
        Err(Problem::lacks_scope(scope))
    }

    /// A key for another organization is refused, and the attempt is put on record.
    async fn belongs_to(
        &self,
        app: &App,
        asked: OrganizationId,
        path: &str,
    ) -> Result<(), Problem> {
        if self.principal.organization_id == asked {
            return Ok(());
        }
        let detail = json!({ "reason": "organization mismatch", "path": path });
        refuse(app, asked, &self.actor(), detail).await;
        let detail = "the key belongs to another organization than X-Org-Id names";
        Err(Problem::organization_mismatch(detail))
    }

    /// Who asks, as flows know them.
    pub(super) fn actor(&self) -> Actor {
        Actor::of(&self.principal, self.request_id.clone())
    }
}

impl FromRequestParts<App> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?.ok_or_else(|| Problem::unauthorized(None))?;
        let asked = organization(&parts.headers)?;
        let request_id = request_id(&parts.headers);
        let principal = match token.starts_with(access::KEY_PREFIX) {
            true => by_key(app, token, &parts.extensions).await?,
            false => by_token(app, token, asked, request_id.as_ref(), &parts.extensions).await?,
        };
        let access = Self { principal, request_id };
        access.belongs_to(app, asked, parts.uri.path()).await?;
        Ok(access)
    }
}

/// A telephone system, by its key with the scope `voip:write`. The key says whose it is; `X-Org-Id` may say it too.
#[derive(Debug)]
pub(super) struct Telephony(pub(super) Actor);

impl FromRequestParts<App> for Telephony {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let key = parts.headers.get("x-voip-api-key").and_then(|value| value.to_str().ok());
        let key = key.ok_or_else(|| Problem::unauthorized(Some("X-VoIP-API-Key is missing")))?;
        let principal = by_key(app, key.trim(), &parts.extensions).await?;
        let access = Access { principal, request_id: request_id(&parts.headers) };
        if parts.headers.contains_key("x-org-id") {
            let asked = organization(&parts.headers)?;
            access.belongs_to(app, asked, parts.uri.path()).await?;
        }
        access.needs(Scope::VoipWrite)?;
        Ok(Self(access.actor()))
    }
}

impl OptionalFromRequestParts<App> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Problem> {
        if bearer(&parts.headers)?.is_none() {
            return Ok(None);
        }
        <Self as FromRequestParts<App>>::from_request_parts(parts, app).await.map(Some)
    }
}

async fn by_key(app: &App, token: &str, extensions: &Extensions) -> Result<Principal, Problem> {
    let found = access::by_key(&app.gateway, &app.keys, token).await?;
    let unknown = || Problem::unauthorized(Some("the API key is unknown, revoked or expired"));
    let principal = found.ok_or_else(unknown)?;
    if let PrincipalKind::Key(id) = &principal.kind {
        limits::admit(app, extensions, principal.organization_id, id.0)?;
    }
    Ok(principal)
}

async fn by_token(
    app: &App,
    token: &str,
    asked: OrganizationId,
    request_id: Option<&String>,
    extensions: &Extensions,
) -> Result<Principal, Problem> {
    let claims = app.tokens.verify(&app.gateway, token).await;
    let claims = claims.map_err(|reason| Problem::unauthorized(Some(&reason.to_string())))?;
    let own = claims.organization;
    let user = Sha256::digest(&claims.user);
    limits::admit(app, extensions, own, Uuid::from_slice(&user[..16]).unwrap_or_default())?;
    let principal = access::by_claims(&app.gateway, &claims.user, own).await?;
    if own != asked {
        // Whether the user is a member of the token's organization does not matter here: the attempt is put on record.
        let detail = json!({ "reason": "organization mismatch", "user": claims.user });
        let principal = principal.unwrap_or_else(|| Principal {
            organization_id: own,
            kind: PrincipalKind::Stranger(claims.user),
            scopes: Vec::new(),
        });
        refuse(app, asked, &Actor::of(&principal, request_id.cloned()), detail).await;
        let detail = "the token is for another organization than X-Org-Id names";
        return Err(Problem::organization_mismatch(detail));
    }
    principal.ok_or_else(|| {
        Problem::forbidden("the token's user is no member of the token's organization")
    })
}

/// Writes the attempt down. If even that fails, the attempt is refused all the same.
async fn refuse(app: &App, target: OrganizationId, actor: &Actor, detail: serde_json::Value) {
    tracing::warn!(%target, own = %actor.organization_id, "a request for another organization was refused");
    if let Err(error) = audit::note_refusal(&app.gateway, target, actor, detail).await {
        tracing::error!(%error, "a refused attempt could not be written to the audit log");
    }
}

/// The bearer token, if there is an `Authorization` header at all.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let token = token.filter(|token| !token.is_empty());
    token
        .map(Some)
        .ok_or_else(|| Problem::unauthorized(Some("the Authorization header is not `Bearer …`")))
}

/// The organization that `X-Org-Id` names.
fn organization(headers: &HeaderMap) -> Result<OrganizationId, Problem> {
    let value =
        headers.get("x-org-id").ok_or_else(|| Problem::invalid("X-Org-Id", "is missing"))?;
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    id.ok_or_else(|| Problem::invalid("X-Org-Id", "must be an organization's id"))
}

/// The request's id, which the outermost layer has set.
fn request_id(headers: &HeaderMap) -> Option<String> {
    headers.get("x-request-id").and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

/// The query. A wrong parameter is named.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        // PostgreSQL has no text with such a character in it, and nobody means one.
        let given = parts.uri.query().unwrap_or_default();
        let mut given = url::form_urlencoded::parse(given.as_bytes());
        if let Some((name, _)) =
            given.find(|(name, value)| (name.to_string() + value).contains('\0'))
        {
            return Err(Problem::invalid(name.replace('\0', ""), NUL));
        }
        let query = axum::extract::Query::<T>::from_request_parts(parts, app).await;
        query.map(|axum::extract::Query(query)| Self(query)).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, rest)| rest);
            match text.split_once(": ") {
                Some((name, reason)) => Problem::invalid(name, reason),
                None => Problem::malformed(text),
            }
        })
    }
}

/// The one id in the path. Text that is no id names nothing.
#[derive(Debug)]
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr + Send> FromRequestParts<App> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = <Path<String> as FromRequestParts<App>>::from_request_parts(parts, app);
        let Path(text) =
            path.await.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
        text.parse().map(Self).map_err(|_| Problem::not_found("resource"))
    }
}

/// The id in the path, and the text behind it by which something of it is named. Text that cannot name anything names nothing.
#[derive(Debug)]
pub(super) struct Within<T>(pub(super) T, pub(super) String);

impl<T: FromStr + Send> FromRequestParts<App> for Within<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path =
            <Path<(String, String)> as FromRequestParts<App>>::from_request_parts(parts, app);
        let Path((id, named)) =
            path.await.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
        let id = id.parse().ok().filter(|_| !named.contains('\0'));
        id.map(|id| Self(id, named)).ok_or_else(|| Problem::not_found("resource"))
    }
}

/// The size of a page.
pub(super) fn limit(asked: Option<i64>) -> Result<i64, Problem> {
    match asked.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        _ => Err(Problem::invalid("limit", format!("must be 1 to {MOST}"))),
    }
}

/// Where a page begins: the `next_cursor` of the page before.
pub(super) fn cursor(asked: Option<&str>) -> Result<Option<Uuid>, Problem> {
    asked
        .map(|text| text.parse().map_err(|_| Problem::invalid("cursor", "is not a cursor of ours")))
        .transpose()
}

/// An instant in RFC 3339 form.
pub(super) fn instant(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let read = |text| times::parse(text).map_err(|reason| Problem::invalid(field, reason));
    text.map(read).transpose()
}
