//! The demonstration's side of HTTP: what a provider or a CRM would send.

use anyhow::{Context, ensure};
use bytes::Bytes;
use reqwest::{Client, Method};
use serde_json::Value;

/// An API client of one organization.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) base: String,
    pub(super) organization: String,
    pub(super) key: String,
    pub(super) http: Client,
}

impl Api {
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key)
            .header("x-org-id", &self.organization);
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
