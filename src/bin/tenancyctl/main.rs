//! The native tool: says what a configuration means and may hold, what becomes of a query, and what becomes of a request; proves that a running
//! deployment isolates its tenants; and has their old data deleted.
//!
//! Exit status: 0, yes; 1, no (an invalid configuration, a refused query or request, another parser that disagrees);
//! 2, the question could not be asked (usage, a file that can't be read).

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod audit;
mod check;
mod confined;
mod evidence;
mod grpc;
mod http;
mod mistakes;
mod naming;
mod retention;
mod rewrite;
mod route;
mod schema;
mod second_opinion;
mod table;
mod verify;

use anstyle::{AnsiColor, Effects, Style};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use promql_tenancy_filter::config::Config;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Explains and tries out promql-tenancy-filter without Envoy: its configuration, its rewriting, its decisions.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tenancyctl check plugin.json
  tenancyctl check envoy/envoy.yaml
  tenancyctl rewrite --tenant team-a 'sum(rate(http_requests_total[5m]))'
  tenancyctl route --config plugin.json GET '/api/v1/labels?match[]=up'
  tenancyctl verify http://127.0.0.1:10000 --tenant team-a --tenant team-b
  tenancyctl audit dashboards/ rules.yml
  tenancyctl retention plugin.json --url http://localhost:9090
  tenancyctl schema > promql-tenancy.schema.json

Exit status:
  0  yes
  1  no: an invalid configuration, a refused query or request, another parser that disagrees
  2  the question could not be asked: wrong usage, a file that can't be read";

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Rewrite(rewrite::Rewrite),
    Route(route::Route),
    Verify(Box<verify::Verify>),
    Audit(Box<audit::Audit>),
    Retention(Box<retention::Retention>),
    /// Print the JSON Schema of the configuration, for editors and for programs that write configurations
    #[command(after_help = SCHEMA)]
    Schema,
    /// Print what a shell needs to complete commands and options of this tool
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

const SCHEMA: &str = "\
Examples:
  tenancyctl schema > promql-tenancy.schema.json
  tenancyctl schema | jq '.properties | keys'";

const COMPLETIONS: &str = "\
Examples:
  tenancyctl completions bash > ~/.local/share/bash-completion/completions/tenancyctl
  tenancyctl completions zsh > ~/.zfunc/_tenancyctl
  tenancyctl completions fish > ~/.config/fish/completions/tenancyctl.fish";

const ERROR: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);

/// Why there is no plain yes.
enum Failure {
    /// The answer is no; the reason, where it has not been printed yet.
    No(Option<String>),
    /// The question could not be asked.
    Broken(String),
    /// Nobody reads the answer any more (`| head`).
    Closed,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Broken(error.to_string()),
        }
    }
}

fn main() -> ExitCode {
    let answer = match Arguments::parse().command {
        Command::Check(check) => check.run(),
        Command::Rewrite(rewrite) => rewrite.run(),
        Command::Route(route) => route.run(),
        Command::Verify(verify) => verify.run(),
        Command::Audit(audit) => audit.run(),
        Command::Retention(retention) => retention.run(),
        Command::Schema => print(&format!("{:#}\n", schema::schema())),
        Command::Completions { shell } => completions(shell),
    };
    match answer {
        Ok(()) | Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(Failure::No(reason)) => {
            if let Some(reason) = reason {
                anstream::eprintln!("{reason}");
            }
            ExitCode::FAILURE
        }
        Err(Failure::Broken(reason)) => {
            anstream::eprintln!("{ERROR}tenancyctl:{ERROR:#} {reason}");
            ExitCode::from(2)
        }
    }
}

/// Prints an answer. Colours stay only where a terminal shows them, and `NO_COLOR` is not set.
fn print(answer: &str) -> Result<(), Failure> {
    Ok(anstream::stdout().lock().write_all(answer.as_bytes())?)
}

fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tenancyctl", &mut script);
    Ok(io::stdout().lock().write_all(&script)?)
}

/// Reads a configuration, which may stand in a file of Envoy's; none is the defaults.
fn configuration(path: Option<&PathBuf>) -> Result<Config, Failure> {
    match path {
        None => Ok(Config::parse(b"").map_err(|error| Failure::No(Some(error.to_string())))?),
        Some(path) => check::only_config(path),
    }
}

/// Reads a file; `-` is standard input.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    if path.is_dir() {
        return Err(Failure::Broken(format!("{}: a folder: name the file", path.display())));
    }
    std::fs::read(path).map_err(|error| Failure::Broken(format!("{}: {error}", path.display())))
}
