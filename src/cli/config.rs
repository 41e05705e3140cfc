//! `switchboard config`: what can be set, and what is.

use std::process::ExitCode;

use clap::Args;

use super::SettingArgs;
use crate::config::{SETTINGS, environment_name};

/// Show the settings.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// List every setting with its default, its environment variable and its meaning.
    #[arg(long)]
    explain: bool,
}

pub(super) fn run(args: &ConfigArgs, settings: &SettingArgs) -> anyhow::Result<ExitCode> {
    if !args.explain {
        let config = settings.load()?;
        println!("{config:#?}");
        println!("The settings are usable. `switchboard config --explain` says what each means.");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "Settings come from, in rising order of precedence: their defaults, a file (switchboard.toml or"
    );
    println!("--config FILE), the environment, and the command line (--set NAME=VALUE).\n");
    let mut section = "";
    for setting in SETTINGS {
        let own = setting.name.split('.').next().unwrap_or_default();
        if own != section {
            println!("[{own}]");
            section = own;
        }
        let name = setting.name.split('.').nth(1).unwrap_or_default();
        println!("  {name} = {}", setting.default);
        println!("      {}", setting.about);
        println!("      {}", environment_name(setting.name));
    }
    Ok(ExitCode::SUCCESS)
}
