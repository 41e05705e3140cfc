//! Tokens of the CRM's identity provider: HS256 with a shared secret, or RS256, ES256 and EdDSA with its published keys.
//!
//! The algorithm is decided by what is configured, never by the token.

use std::sync::Arc;

use chrono::TimeDelta;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, RwLock};

use crate::clock::Timestamp;
use crate::config::Auth;
use crate::gateway::Gateway;
use crate::model::OrganizationId;

/// How long published keys are believed.
const BELIEVED: TimeDelta = TimeDelta::minutes(10);

/// How long they are believed while the identity provider cannot be reached.
const BELIEVED_AT_MOST: TimeDelta = TimeDelta::hours(24);

/// How soon an unknown key id may make us ask again.
const ASK_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;

/// Verifies tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    secret: Option<SecretString>,
    jwks_url: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    user_claim: String,
    organization_claim: String,
    published: Arc<RwLock<Published>>,
    /// Held by whoever asks for the keys. Who needs none that is not here does not wait for it.
    asking: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct Published {
    keys: Vec<Jwk>,
    asked: Option<Timestamp>,
    /// When they were fetched.
    fetched: Option<Timestamp>,
    /// Whether the keys could not be fetched when they were asked for last.
    failed: bool,
}

/// What a token says that we need.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) user: String,
    pub(super) organization: OrganizationId,
}

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("tokens are not accepted here; use an API key")]
    NotConfigured,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    #[error("the token's key is not known")]
    UnknownKey,
    #[error("the identity provider's keys cannot be fetched")]
    NoKeys,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
    #[error("the token has a critical extension that is not understood here")]
    Critical,
    #[error("the token's issuer or audience is another")]
    Addressee,
    #[error("the token's signature does not match")]
    Signature,
    #[error("the token's e-mail address is not verified")]
    Unverified,
    #[error("the token lacks the claim `{0}`")]
    Claim(String),
}

impl Tokens {
    pub(super) fn new(config: &Auth) -> Self {
        let set = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let secret = config.jwt_secret.expose_secret();
        Self {
            secret: (!secret.trim().is_empty()).then(|| config.jwt_secret.clone()),
            jwks_url: set(&config.jwks_url),
            issuer: set(&config.jwt_issuer),
            audience: set(&config.jwt_audience),
            user_claim: config.jwt_user_claim.clone(),
            organization_claim: config.jwt_organization_claim.clone(),
            published: Arc::default(),
            asking: Arc::default(),
        }
    }

    pub(super) async fn verify(
        &self,
        gateway: &Gateway,
        token: &str,
    ) -> Result<Claims, TokenError> {
        if self.secret.is_none() && self.jwks_url.is_none() {
            return Err(TokenError::NotConfigured);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        // What a token declares critical must be understood, and we understand none of it (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let key = self.key(gateway, &header).await?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp"]);
        validation.validate_aud = self.audience.is_some();
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
        let claims = decoded.map_err(|error| reason(&error))?.claims;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let missing = |name: &str| TokenError::Claim(name.to_owned());
        let organization = text(&self.organization_claim).and_then(|id| id.parse().ok());
        // It is looked up in the database and may end in the audit log.
        let plain = |user: &&str| user.len() <= 254 && !user.chars().any(char::is_control);
        let user = text(&self.user_claim).filter(plain);
        // An address that its holder has not proven may be anybody's. Some providers write it as a text.
        let unverified = match claims.get("email_verified") {
            None | Some(Value::Null | Value::Bool(true)) => false,
            Some(Value::String(word)) => !word.eq_ignore_ascii_case("true"),
            Some(_) => true,
        };
        if unverified && user.is_some_and(|user| user.contains('@')) {
            return Err(TokenError::Unverified);
        }
        Ok(Claims {
            user: user.ok_or_else(|| missing(&self.user_claim))?.to_owned(),
            organization: organization.ok_or_else(|| missing(&self.organization_claim))?,
        })
    }

    async fn key(&self, gateway: &Gateway, header: &Header) -> Result<DecodingKey, TokenError> {
        match (header.alg, &self.secret, &self.jwks_url) {
            (Algorithm::HS256, Some(secret), _) => {
                Ok(DecodingKey::from_secret(secret.expose_secret().as_bytes()))
            }
            (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA, _, Some(url)) => {
                let jwk = self.published_key(gateway, url, header).await?;
                if !suits(&jwk, header.alg) {
                    return Err(TokenError::Algorithm);
                }
                DecodingKey::from_jwk(&jwk).map_err(|_| TokenError::UnknownKey)
            }
            _ => Err(TokenError::Algorithm),
        }
    }

    /// The published key that the token names. Keys are asked for when they are old, and when one is not among them.
    async fn published_key(
        &self,
        gateway: &Gateway,
        url: &str,
        header: &Header,
    ) -> Result<Jwk, TokenError> {
        {
            let published = self.published.read().await;
            let fresh = published.is_younger(BELIEVED, gateway.clock.now());
            if let Some(key) = published.find(header).filter(|_| fresh) {
                return Ok(key);
            }
        }
        self.ask(gateway, url).await;
        let published = self.published.read().await;
        published.find(header).ok_or(match published.failed {
            true => TokenError::NoKeys,
            false => TokenError::UnknownKey,
        })
    }

    /// Asks for the keys, unless that was done just now. Once begun it is done to the end, whether or not the request
    /// that needs them is still there: else whoever hangs up could keep a new key from being known.
    async fn ask(&self, gateway: &Gateway, url: &str) {
        let alone = Arc::clone(&self.asking).lock_owned().await;
        let now = gateway.clock.now();
        if self.published.read().await.is_younger(ASK_AGAIN, now) {
            return;
        }
        let (transport, url) = (gateway.transport.clone(), url.to_owned());
        let published = Arc::clone(&self.published);
        let asked = tokio::spawn(async move {
            let _alone = alone;
            let answer = transport.fetch_json::<JwkSet>(&url).await;
            let mut published = published.write().await;
            published.asked = Some(now);
            published.failed = answer.is_err();
            match answer {
                Ok(set) => {
                    published.keys = set.keys;
                    published.fetched = Some(now);
                }
                Err(error) => {
                    if published.fetched.is_some_and(|at| now - at > BELIEVED_AT_MOST) {
                        published.keys.clear();
                    }
                    tracing::error!(%error, "the identity provider's keys cannot be fetched");
                }
            }
        });
        if let Err(error) = asked.await {
            tracing::error!(%error, "the identity provider's keys cannot be fetched");
        }
    }
}

impl Published {
    /// Whether the keys were asked for less than `age` ago. A clock that was put back makes them old.
    fn is_younger(&self, age: TimeDelta, now: Timestamp) -> bool {
        self.asked.is_some_and(|at| (now - at).abs() < age)
    }

    fn find(&self, header: &Header) -> Option<Jwk> {
        match &header.kid {
            Some(id) => {
                self.keys.iter().find(|key| key.common.key_id.as_ref() == Some(id)).cloned()
            }
            None => self.keys.iter().find(|key| suits(key, header.alg)).cloned(),
        }
    }
}

/// A key is used with the algorithm it is for, and with no other; and only if it is for signatures.
fn suits(key: &Jwk, algorithm: Algorithm) -> bool {
    let signs = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let fits = match &key.algorithm {
        AlgorithmParameters::RSA(_) => algorithm == Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) => {
            algorithm == Algorithm::ES256 && key.curve == EllipticCurve::P256
        }
        AlgorithmParameters::OctetKeyPair(key) => {
            algorithm == Algorithm::EdDSA && key.curve == EllipticCurve::Ed25519
        }
        _ => false,
    };
    signs && fits
}

fn reason(error: &jsonwebtoken::errors::Error) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::Early,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => TokenError::Addressee,
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::MissingRequiredClaim(claim) => TokenError::Claim(claim.clone()),
        _ => TokenError::Malformed,
    }
}
