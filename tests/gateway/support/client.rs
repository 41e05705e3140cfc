//! A CRM's client of a running program.

use serde_json::Value;

use super::Database;
use super::program::{Program, must};

/// An organization's key, and where the program listens.
#[derive(Clone)]
pub struct Client {
    pub base: String,
    pub organization: String,
    pub key: String,
    pub http: reqwest::Client,
}

impl Client {
    /// A new organization's, made on the command line as the README has it.
    pub fn aurora(database: &Database, program: &Program) -> Self {
        let create = ["org", "create", "--name", "Aurora", "--country", "BR"];
        let organization = must(database, &create);
        let key = must(
            database,
            &["key", "create", "--org", &organization, "--name", "test", "--role", "owner"],
        );
        Self { base: program.base.clone(), organization, key, http: reqwest::Client::new() }
    }

    /// Status and body of an answer, if one came.
    pub async fn try_call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(u16, Value)> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key)
            .header("x-org-id", &self.organization);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// The body of an answer, which must be a good one.
    pub async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
        let (status, body) = self.try_call(method, path, body).await.unwrap();
        assert!((200..300).contains(&status), "{path}: {status}: {body}");
        body
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call(reqwest::Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.call(reqwest::Method::POST, path, Some(body)).await
    }

    /// Everything on the timeline.
    pub async fn communications(&self) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/api/v1/crm/communications?limit=200{cursor}")).await;
            found.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }
}
