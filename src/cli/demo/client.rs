//! The demonstration's side of HTTP: what a provider or a CRM would send.

use anyhow::{Context, ensure};
use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// An API client of one organization.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) base: String,
    pub(super) organization: String,
    pub(super) key: String,
    pub(super) http: Client,
}

/// What the API answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether it is the answer to an earlier request with the same key.
    pub(super) replayed: bool,
    pub(super) body: Value,
}

impl Api {
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Posts, and returns the answer whatever it is.
    pub(super) async fn attempt(
        &self,
        path: &str,
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.request(Method::POST, path).json(body);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.with_context(|| path.to_owned())?;
        let status = response.status().as_u16();
        let replayed = response.headers().contains_key("idempotency-replayed");
        let body = response.json().await.with_context(|| format!("{path} answered no JSON"))?;
        Ok(Answer { status, replayed, body })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key)
            .header("x-org-id", &self.organization)
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.with_context(|| path.to_owned())?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{path} answered {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{path} answered no JSON"))
    }
}

/// Sends a webhook; returns the HTTP status.
pub(super) async fn deliver(http: &Client, request: http::Request<Bytes>) -> anyhow::Result<u16> {
    let request = reqwest::Request::try_from(request).context("the webhook is no HTTP request")?;
    Ok(http.execute(request).await.context("the webhook could not be delivered")?.status().as_u16())
}
