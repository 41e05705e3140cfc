//! Tokens of an identity provider that publishes its keys.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use bytes::Bytes;
use chrono::TimeDelta;
use http::Request;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use switchboard::flow::organizations::create_user;
use switchboard::model::Role;

use crate::support::peer::{Peer, PeerAnswer};
use crate::support::{Answer, Kind, Org, TestGateway};

/// A key for RS256, which opens nothing but these tests (PKCS 1).
const RSA: &str = "MIIEogIBAAKCAQEAieUdWTwhyPPyKvmMNT8tJFjunN84C9+BSvOBH6hLiFGZuW3RYezvqAFk67qI3bCG10oe2clx0MEE8ZFpNhX/\
    t40Q4l5IQNGkCFBCbg6xDQSEe2SdZoT077DqbJoWkhTp3CSNX/DrdUY97GkuB6Bu6BxhhbcxIRXqjhh+Vg+xW5X8PgAvCroO1ed7\
    NitKLHXv7QJDpI2klnVqB5+mucyEJ5p+1tP4ReoeBysP2bg0F6p+lO8atZy90zu5GEG3cMrKlU7qQJATDz8mBEGdstDVTUzlFVKD\
    E7rdbMm3i1nAOXYzBboudQ0BEvgvWOlIutPLzU41DMhg5rXrWA01RKHulQIDAQABAoIBAALiwBP7fauCa2l50nTUzyGJGOlAhKA+\
    +6oxYVzjvTzrlD98rFqTxkoqSU3jl/SnupKr0ux02kRnna5egCipGjJhqd5K4dE1cezYnSNHfG4Mz6bzapXYJ3YSqj0+lkVVWbWJ\
    MEo3NP49y5L0eomfUmLaITJWrJkIJ+H0YkRzzJ7hg0npJRzczmiPLqCDXyAxAHJOAt3JcQFfrujBbz/EoG3bgFqjZesjoTjUvUoU\
    TLXp6yISXGh2LhXYGefmdFtU+Mm6K93V8p8ey7x+SfpAZf7rhfmqVjEzMf/AS0c60/TB5cnXU/WGgfIWmNJt+dRmTTrkxgYvyjEy\
    dJlH5rzAQ5sCgYEAvwYHXONwvrM4/gAhJWy1V9eGSCM7jhwzNyKK5QKpwIMZNv7QTSZCP7gZ4MYz/7x6lhKaZWNNNH7XabzMfeob\
    GhFobfChHU1gwJEDiQ4jU+6yxzT3lOQ8nKvPDMTZJFJMwgKoZj5nrP2DkbiiXr8oWNYCvtUFMTw6wmHFISLiuFsCgYEAuMy/+r/8\
    o8hqgt4f3Pe5wV8I+Ea/CnkCltxuQgETPCHzkYwXWaQUb3Ejo/UTIS8crIAveVgsh41JkkYEt0eI75Fwx+gv1My10z5p81FD55kd\
    ivEwfhdXk+tjkBQ5pQiB6IVtd8qrxgUddrQBzXKjldWaPxFwbSv+Uxo2h4z7J88CgYAHBMmweArkduFZM9gD8AKZv6mHbQP7LL4V\
    AIfp8jcag7ahdqtgqk802CbbQ20VsG8wpG5X21Yy35Y6pF0/IyLrykf0AitpUDaF3M4scwCJTPP0rdWK+vffKdDpvzHbS8rWNhLJ\
    7vEQQiBbclVE9fEdkn93U4xlSrk9+ymrFgUOkQKBgBZeinqS1MUKlIIE2zyHLBARLefHwIZHAZ47Tolk0ew8e9xJZeYu615WBqdp\
    GgixSDpFRfndR36dBqPTH+0DlrrREyLPo0KSCQxqCK8wThTxvta7vU/2CV7ZZnLhT9z/O6JmzEps2QAeTGO7BGDXGKAhfAtYVBCS\
    +7UZfjJISXqXAoGARffbtCmjg6nxtlJRNXHtMlupyBIegQNlmPMGgjd/2ld97H6I0yqwa23aCWscLyUE2qAijNAILpgAOmvyf5H3\
    e6tbzj67Wc5jP40vwVyPbCiid1Ym3h7twt9kE4fFqrmGLeSTsdSUbkqQNLoIeAS/q69QRMjImpcTTobu19/wnb8=";

/// What stands before the 32 bytes of a private key (PKCS 8).
const ED25519: &str = "302e020100300506032b657004220420";
const P256: &str = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";

/// A key of the identity provider.
struct Signer {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn rsa() -> Self {
        let key = EncodingKey::from_rsa_der(&BASE64_STANDARD.decode(RSA).unwrap());
        Self { id: "rsa", algorithm: Algorithm::RS256, key }
    }

    fn elliptic() -> Self {
        let der = [hex::decode(P256).unwrap(), vec![7; 32]].concat();
        Self { id: "elliptic", algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(&der) }
    }

    /// Another key for every `seed`.
    fn edwards(id: &'static str, seed: u8) -> Self {
        let der = [hex::decode(ED25519).unwrap(), vec![seed; 32]].concat();
        Self { id, algorithm: Algorithm::EdDSA, key: EncodingKey::from_ed_der(&der) }
    }

    fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    /// The key as it is published.
    fn published(&self) -> Value {
        let mut key = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        key.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(key).unwrap()
    }
}

/// The document with these keys.
fn keys(signers: &[&Signer]) -> PeerAnswer {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.published()).collect();
    PeerAnswer::new(200).body(json!({ "keys": keys }).to_string())
}

/// An identity provider, a gateway that believes it, and the claims of Ana, who is a member of Aurora.
struct Crm {
    provider: Peer,
    gateway: TestGateway,
    aurora: Org,
    claims: Value,
}

impl Crm {
    async fn start(answers: Vec<PeerAnswer>, settings: &[&str]) -> Self {
        let provider = Peer::start(answers).await;
        let url = format!("auth.jwks_url={}", provider.url("/keys"));
        let gateway = TestGateway::start(Kind::Sqlite, &[&[&*url], settings].concat()).await;
        let aurora = gateway.organization("Aurora").await;
        let member = Some((aurora.id, Role::Member));
        create_user(&gateway.gateway, "ana@example.com", None, None, member).await.unwrap();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let claims = json!({
            "sub": "ana@example.com", "organization_id": aurora.id.to_string(), "exp": now + 3_600,
        });
        Self { provider, gateway, aurora, claims }
    }

    async fn ask(&self, token: &str) -> Answer {
        let request = Request::get("/api/v1/leads")
            .header("authorization", format!("Bearer {token}"))
            .header("x-org-id", self.aurora.id.to_string());
        self.gateway.send(request.body(Bytes::new()).unwrap()).await
    }

    async fn believes(&self, signer: &Signer) {
        self.ask(&signer.token(&self.claims)).await.expect(200);
    }

    /// The token must be refused for this reason.
    async fn refuses(&self, token: &str, reason: &str) {
        let problem = self.ask(token).await.expect(401);
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{reason}: {problem}");
    }

    /// How often the provider was asked for its keys.
    fn asked(&self) -> usize {
        self.provider.requests().len()
    }

    /// Waits until the provider was asked so often.
    async fn is_asked(&self, times: usize) {
        while self.asked() < times {
            tokio::task::yield_now().await;
        }
    }

    fn later(&self, seconds: i64) {
        self.gateway.advance(TimeDelta::seconds(seconds));
    }
}

#[tokio::test]
async fn tokens_of_published_keys_are_believed_and_the_keys_are_asked_for_once() {
    let signers = [&Signer::rsa(), &Signer::elliptic(), &Signer::edwards("edwards", 1)];
    let crm = Crm::start(vec![keys(&signers)], &[]).await;
    for signer in signers {
        crm.believes(signer).await;
        // The only key of its kind need not be named.
        let token = jsonwebtoken::encode(&Header::new(signer.algorithm), &crm.claims, &signer.key);
        crm.ask(&token.unwrap()).await.expect(200);
        let expired = json!({ "exp": 1_000 });
        crm.refuses(&signer.token(&expired), "expired").await;
    }
    let forged = Signer::edwards("edwards", 2);
    crm.refuses(&forged.token(&crm.claims), "signature").await;
    let elsewhere = Signer::edwards("rsa", 1);
    crm.refuses(&elsewhere.token(&crm.claims), "algorithm").await;
    assert_eq!(crm.asked(), 1);
    crm.gateway.end().await;
}

#[tokio::test]
async fn keys_that_are_not_understood_do_not_hide_the_others() {
    let (good, sealing) = (Signer::edwards("good", 1), Signer::edwards("for sealing", 2));
    let mut for_sealing = sealing.published();
    for_sealing["use"] = json!("enc");
    let strange = json!([
        { "kty": "AKP", "kid": "quantum", "alg": "ML-DSA-44", "pub": "AAAA" },
        { "kty": "EC", "kid": "curve", "crv": "secp256k1", "x": "AAAA", "y": "AAAA" },
        { "kty": "EC", "kid": "long", "crv": "P-384", "x": "AAAA", "y": "AAAA" },
        { "kty": "OKP", "kid": "exchange", "crv": "X25519", "x": "AAAA" },
        { "kty": "RSA", "kid": "broken", "n": "!", "e": "" },
        { "kty": "RSA", "kid": "half" },
        { "kid": "nothing" },
        for_sealing,
        good.published(),
    ]);
    let document = PeerAnswer::new(200).body(json!({ "keys": strange }).to_string());
    let crm = Crm::start(vec![document], &[]).await;
    crm.believes(&good).await;
    crm.refuses(&sealing.token(&crm.claims), "algorithm").await;
    for key in strange.as_array().unwrap() {
        let Some(id) = key["kid"].as_str().filter(|id| *id != "good") else { continue };
        for signer in [Signer::rsa(), Signer::elliptic(), Signer::edwards("", 1)] {
            let header = Header { kid: Some(id.to_owned()), ..Header::new(signer.algorithm) };
            let token = jsonwebtoken::encode(&header, &crm.claims, &signer.key).unwrap();
            crm.ask(&token).await.expect(401);
        }
    }
    crm.gateway.end().await;
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_at_most_every_half_minute() {
    let (known, unknown) = (Signer::edwards("known", 1), Signer::edwards("unknown", 2));
    let answers = vec![keys(&[&known]), keys(&[&known])];
    let crm = Crm::start(answers, &[]).await;
    crm.believes(&known).await;
    for _ in 0..5 {
        crm.refuses(&unknown.token(&crm.claims), "key is not known").await;
    }
    assert_eq!(crm.asked(), 1, "the keys are as good as new");
    crm.later(31);
    for _ in 0..5 {
        crm.refuses(&unknown.token(&crm.claims), "key is not known").await;
        crm.believes(&known).await;
    }
    assert_eq!(crm.asked(), 2);
    crm.gateway.end().await;
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_named_and_an_old_one_is_forgotten() {
    let (old, new) = (Signer::edwards("old", 1), Signer::edwards("new", 2));
    let crm = Crm::start(vec![keys(&[&old])], &[]).await;
    crm.believes(&old).await;
    crm.provider.will(keys(&[&old, &new]));
    crm.later(31);
    crm.believes(&new).await;
    crm.believes(&old).await;
    assert_eq!(crm.asked(), 2);
    // Nobody names a key that is not known, and still the old one is taken back in time.
    crm.provider.will(keys(&[&new]));
    crm.later(599);
    crm.believes(&old).await;
    crm.later(2);
    crm.refuses(&old.token(&crm.claims), "key is not known").await;
    crm.believes(&new).await;
    assert_eq!(crm.asked(), 3);
    crm.gateway.end().await;
}

#[tokio::test]
async fn a_published_key_is_no_secret_to_sign_with() {
    let signers = [&Signer::rsa(), &Signer::elliptic(), &Signer::edwards("edwards", 1)];
    let secret = "auth.jwt_secret=a-secret-of-the-crm-that-is-long-enough";
    for (settings, reason) in [([].as_slice(), "algorithm"), (&[secret], "signature")] {
        let crm = Crm::start(vec![keys(&signers)], settings).await;
        crm.believes(signers[0]).await;
        for signer in signers {
            let published = signer.published();
            let text = |name: &str| published[name].as_str().map(ToOwned::to_owned);
            let public = text("x").or_else(|| text("n")).unwrap();
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(&public).unwrap();
            for secret in [public.into_bytes(), bytes, published.to_string().into_bytes()] {
                let key = EncodingKey::from_secret(&secret);
                let header = Header { kid: Some(signer.id.to_owned()), ..Header::default() };
                let token = jsonwebtoken::encode(&header, &crm.claims, &key).unwrap();
                crm.refuses(&token, reason).await;
            }
        }
        crm.gateway.end().await;
    }
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let signer = Signer::edwards("known", 1);
    let crm = Crm::start(vec![keys(&[&signer])], &[]).await;
    crm.believes(&signer).await;
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = part(&crm.claims);
    for algorithm in ["none", "None", "NONE", ""] {
        let header = part(&json!({ "alg": algorithm, "kid": "known", "typ": "JWT" }));
        for token in [format!("{header}.{claims}."), format!("{header}.{claims}")] {
            crm.refuses(&token, "malformed").await;
        }
    }
    let whole = signer.token(&crm.claims);
    let unsigned = whole.rsplit_once('.').unwrap().0;
    crm.refuses(&format!("{unsigned}."), "signature").await;
    crm.gateway.end().await;
}

#[tokio::test]
async fn without_the_provider_its_tokens_are_refused_and_known_keys_serve_on_for_a_day() {
    let signer = Signer::edwards("known", 1);
    let answers = vec![
        PeerAnswer::hang_up(),
        PeerAnswer::new(503),
        PeerAnswer::new(200).body("<html>"),
        keys(&[&signer]),
        PeerAnswer::hang_up(),
        PeerAnswer::hang_up(),
    ];
    let crm = Crm::start(answers, &[]).await;
    for _ in 0..3 {
        for _ in 0..3 {
            crm.refuses(&signer.token(&crm.claims), "keys cannot be fetched").await;
        }
        crm.later(31);
    }
    assert_eq!(crm.asked(), 3);
    crm.believes(&signer).await;
    crm.later(3_600);
    crm.believes(&signer).await;
    assert_eq!(crm.asked(), 5);
    crm.later(24 * 3_600);
    crm.refuses(&signer.token(&crm.claims), "keys cannot be fetched").await;
    crm.gateway.get(&crm.aurora, "/api/v1/leads").await.expect(200);
    crm.gateway.end().await;
}

#[tokio::test]
async fn who_waits_for_a_slow_provider_keeps_nobody_else_waiting() {
    let (known, unknown) = (Signer::edwards("known", 1), Signer::edwards("unknown", 2));
    let crm = Crm::start(vec![keys(&[&known]), PeerAnswer::never()], &[]).await;
    crm.believes(&known).await;
    crm.later(31);
    let token = unknown.token(&crm.claims);
    let waiting = crm.ask(&token);
    let others = async {
        crm.is_asked(2).await;
        crm.believes(&known).await;
    };
    tokio::select! {
        biased;
        _ = waiting => panic!("the provider has not answered"),
        () = others => {}
    }
    crm.gateway.end().await;
}

#[tokio::test]
async fn a_request_that_is_given_up_keeps_no_new_key_from_being_known() {
    let (old, new) = (Signer::edwards("old", 1), Signer::edwards("new", 2));
    let crm = Crm::start(vec![keys(&[&old]), keys(&[&new])], &[]).await;
    crm.believes(&old).await;
    crm.later(31);
    let token = new.token(&crm.claims);
    tokio::select! {
        biased;
        () = crm.is_asked(2) => {}
        _ = crm.ask(&token) => {}
    }
    crm.believes(&new).await;
    assert_eq!(crm.asked(), 2);
    crm.gateway.end().await;
}
