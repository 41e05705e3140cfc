//! `switchboard sandbox`: the providers' emulators, for people and for other processes' tests.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;

use super::serve;
use crate::sandbox::{ENDPOINTS, Sandbox, SandboxOptions, Strictness};

/// Where the sandbox listens unless it is told otherwise.
const LISTEN: &str = "127.0.0.1:8900";

/// Run emulators of the providers.
#[derive(Debug, Clone, Args)]
pub(super) struct SandboxArgs {
    /// The gateway that webhooks of the built-in accounts are sent to.
    #[arg(long, value_name = "URL")]
    webhooks: Option<String>,
    /// Without the limits that providers have on rates, pairs and the 24-hour window.
    #[arg(long)]
    unthrottled: bool,
    /// How long statuses take to follow, in milliseconds: LEAST-MOST.
    #[arg(long, value_name = "MS-MS", default_value = "20-80")]
    delay: String,
}

pub(super) async fn run(args: SandboxArgs, listen: Option<&str>) -> anyhow::Result<()> {
    let listen = listen.unwrap_or(LISTEN);
    let address: SocketAddr =
        listen.parse().with_context(|| format!("{listen} is no address and port"))?;
    let (least, most) = args.delay.split_once('-').unwrap_or((&args.delay, &args.delay));
    let delay = least.parse().and_then(|least| Ok((least, most.parse()?)));
    let sandbox = Sandbox::start(SandboxOptions {
        listen: address,
        webhooks: args.webhooks.clone(),
        limits: args.unthrottled.then_some(Strictness::NONE),
        status_delay_ms: delay.context("--delay must be milliseconds, for example 20-80")?,
        ..SandboxOptions::default()
    })
    .await
    .with_context(|| format!("cannot listen on {address}"))?;
    say!("The sandbox listens. Base URLs for accounts:\n");
    for provider in ["meta", "twilio", "telnyx", "waha"] {
        say!("  {provider:8} {}", sandbox.base_url(provider));
    }
    match &args.webhooks {
        Some(url) => say!("\nWebhooks of the built-in accounts go to {url}/hooks/…"),
        None => say!("\nWebhooks go where requests or added accounts say; see --webhooks."),
    }
    say!("\nControl:\n");
    for (path, about) in ENDPOINTS {
        say!("  {path:24} {about}");
    }
    say!("\nFor example, a person writes:\n");
    say!("  curl {}/control/inbound --json \\", sandbox.url());
    say!(
        "    '{{\"provider\":\"meta\",\"from\":\"+5511987654321\",\"name\":\"Ana\",\"text\":\"Oi!\"}}'"
    );
    serve::told_to_stop().await;
    sandbox.stop();
    Ok(())
}
