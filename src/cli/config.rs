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
        let mut section = "";
        for (setting, value) in settings.show()? {
            section = heading(section, setting.name);
            say!("{} = {value}", setting.name.split('.').nth(1).unwrap_or_default());
        }
        say!("\nThe settings are usable. `switchboard config --explain` says what each means.");
        return Ok(ExitCode::SUCCESS);
    }
    say!(
        "Settings come from, in rising order of precedence: their defaults, a file (switchboard.toml or"
    );
    say!("--config FILE), the environment, and the command line (--set NAME=VALUE).\n");
    let mut section = "";
    for setting in SETTINGS {
        section = heading(section, setting.name);
        let name = setting.name.split('.').nth(1).unwrap_or_default();
        say!("  {name} = {}", setting.default);
        say!("      {}", setting.about);
        say!("      {}", environment_name(setting.name));
    }
    Ok(ExitCode::SUCCESS)
}

/// Begins the setting's section, if the one before it stood in another.
fn heading<'a>(before: &'a str, name: &'a str) -> &'a str {
    let own = name.split('.').next().unwrap_or_default();
    if own != before {
        say!("{}[{own}]", if before.is_empty() { "" } else { "\n" });
    }
    own
}
