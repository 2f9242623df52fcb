//! What can be typed: subcommands, flags, exit codes.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use base::Moment;
use clap::builder::RangedI64ValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// How the command ended; the same for every subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: it did what was asked.
    Done,
    /// 1: something failed while it ran.
    Failed,
    /// 3: the document was refused. (2 is a wrong command line.)
    Refused,
    /// 4: `explain` found no route.
    NoRoute,
}

impl Exit {
    /// What a serving process that never served ended with.
    pub const fn of(code: Option<i32>) -> Self {
        match code {
            Some(3) => Self::Refused,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Refused => 3,
            Exit::NoRoute => 4,
        })
    }
}

/// An API gateway: the single entry point in front of your APIs.
#[derive(Debug, Parser)]
#[command(
    name = "gateward",
    version,
    after_help = "Exit codes: 0 done, 1 failed while running, 2 wrong command line, \
                  3 document refused, 4 no route (explain).\n\
                  Start with `gateward demo`."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Carry traffic by a document, and follow its changes.
    Run(RunArgs),
    /// Have a running gateway go on by the binary that stands on disk now, without a break.
    Upgrade(UpgradeArgs),
    /// Check a document: report everything wrong with it, or say that nothing is.
    Check(CheckArgs),
    /// Say what would happen to a request, and why.
    Explain(ExplainArgs),
    /// Write an API from what describes it elsewhere.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Make keys for applications.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print the JSON Schema of documents, for editors.
    Schema,
    /// Hash passwords, for the users of the `basic` policy.
    Password {
        /// What to do.
        #[command(subcommand)]
        command: PasswordCommand,
    },
    /// Start a small orders API and a gateway in front of it, and print calls to try.
    Demo(DemoArgs),
    /// Print the version.
    Version(VersionArgs),
    /// Print shell completions.
    Completions(CompletionArgs),
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The document: a file, or a directory whose files add up.
    #[arg(
        short,
        long,
        env = "GATEWARD_CONFIG",
        default_value = "gateward.yaml",
        value_name = "PATH"
    )]
    pub config: PathBuf,
    /// Cores to use; all that this process may use unless said.
    #[arg(short, long, env = "GATEWARD_WORKERS", value_parser = workers(), value_name = "N")]
    pub workers: Option<u16>,
    /// Do not reload when the document or a file it names changes.
    #[arg(long)]
    pub no_watch: bool,
    /// Seconds that running exchanges get when the gateway stops.
    #[arg(long, env = "GATEWARD_GRACE", default_value_t = 30, value_name = "SECONDS")]
    pub grace: u64,
    /// Seconds between saying "not ready" and refusing new connections when the gateway stops.
    #[arg(long, env = "GATEWARD_LEAD", default_value_t = 5, value_name = "SECONDS")]
    pub lead: u64,
    /// Where the last good documents and the counts of quotas are kept; a directory of its own
    /// among the user's state, or systemd's, unless said.
    #[arg(long, env = "GATEWARD_STATE", value_name = "DIRECTORY")]
    pub state: Option<PathBuf>,
    /// Refuse to start by the last good document where the one given is refused.
    #[arg(long)]
    pub no_fallback: bool,
    /// Serve in this process: nothing restarts it, `gateward upgrade` does not reach it.
    #[arg(long)]
    pub no_supervisor: bool,
    /// Seconds a serving process has to get ready until it is given up.
    #[arg(long, env = "GATEWARD_START_PATIENCE", default_value_t = 60, value_name = "SECONDS")]
    pub start_patience: u64,
    #[command(flatten)]
    pub logging: LoggingArgs,
    /// Serve for the supervisor behind this descriptor.
    #[arg(long, hide = true, value_name = "DESCRIPTOR", value_parser = descriptor())]
    pub served: Option<i32>,
    /// Go on with what the supervisor before had, which this descriptor tells.
    #[arg(long, hide = true, value_name = "DESCRIPTOR", value_parser = descriptor())]
    pub resume: Option<i32>,
}

fn descriptor() -> RangedI64ValueParser<i32> {
    clap::value_parser!(i32).range(3..)
}

/// Flags of `upgrade`.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// The document that the gateway was started with.
    #[arg(
        short,
        long,
        env = "GATEWARD_CONFIG",
        default_value = "gateward.yaml",
        value_name = "PATH"
    )]
    pub config: PathBuf,
    /// The state directory that the gateway was started with, where that was named.
    #[arg(long, env = "GATEWARD_STATE", value_name = "DIRECTORY")]
    pub state: Option<PathBuf>,
    /// Cores to use from then on; as before unless said.
    #[arg(short, long, value_parser = workers(), value_name = "N")]
    pub workers: Option<u16>,
}

fn workers() -> RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=1024)
}

/// What the gateway says about itself (on standard error; the access log is a policy).
#[derive(Clone, Debug, Args)]
pub struct LoggingArgs {
    /// How much to say: error, warn, info, debug, trace, or per part as in
    /// `info,gateward_dataplane=debug`.
    #[arg(long, env = "GATEWARD_LOG", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
    /// Say less: errors only.
    #[arg(short, long, conflicts_with = "log_level")]
    pub quiet: bool,
    /// In which form.
    #[arg(long, env = "GATEWARD_LOG_FORMAT", default_value = "text", value_name = "FORM")]
    pub log_format: LogFormat,
}

/// The form of diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// JSON lines for machines.
    Json,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The document: a file, or a directory whose files add up.
    #[arg(default_value = "gateward.yaml", value_name = "PATH")]
    pub config: PathBuf,
    /// In which form to report.
    #[arg(long, default_value = "text", value_name = "FORM")]
    pub format: LogFormat,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The method.
    pub method: String,
    /// The URL as a caller would write it: scheme, host, port, path, query.
    pub url: String,
    /// A header field, as in `Name: value`. May be given again.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    pub headers: Vec<String>,
    /// The listener it comes by; found from the URL's scheme and port unless said.
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// The address it comes from.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub client: std::net::IpAddr,
    /// The document: a file, or a directory whose files add up.
    #[arg(
        short,
        long,
        env = "GATEWARD_CONFIG",
        default_value = "gateward.yaml",
        value_name = "PATH"
    )]
    pub config: PathBuf,
    /// In which form to answer.
    #[arg(long, default_value = "text", value_name = "FORM")]
    pub format: LogFormat,
}

/// A subcommand of `import`.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// From an OpenAPI document (3.1, 3.0, 2.0): print the piece of a document that has it as an
    /// API, with its operations as routes and requests held to it.
    Openapi(ImportOpenApiArgs),
}

/// Flags of `import openapi`.
#[derive(Debug, Args)]
pub struct ImportOpenApiArgs {
    /// The OpenAPI document, YAML or JSON. Written into the API as it stands here, so run this
    /// where the gateway's document lies.
    pub file: PathBuf,
    /// What the API is called; made of its title unless said.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where it is; the first server of the document unless said.
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// The path it is under; that of the first server unless said.
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// An address to listen on, which makes it a document that runs.
    #[arg(long, value_name = "ADDRESS")]
    pub listener: Option<String>,
    /// Write it to this file.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over that file if it is there.
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// A subcommand of `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make an API key: print it, this once, and the lines for the document, which have its hash.
    New(NewKeyArgs),
}

/// Flags of `key new`.
#[derive(Debug, Args)]
pub struct NewKeyArgs {
    /// The application it is for.
    #[arg(short, long, value_name = "NAME")]
    pub application: Option<String>,
    /// What logs call it.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// When it ends: a day, a time with its zone, or how long from now, as in 90d.
    #[arg(long, value_parser = crate::key::expires, value_name = "WHEN")]
    pub expires: Option<Moment>,
    /// What it may be used for. May be given again.
    #[arg(long = "scope", value_parser = crate::key::scope, value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// In which form to answer.
    #[arg(long, default_value = "text", value_name = "FORM")]
    pub format: LogFormat,
}

/// A subcommand of `password`.
#[derive(Debug, Subcommand)]
pub enum PasswordCommand {
    /// Read a password, from the terminal or from standard input, and print its hash.
    Hash,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The port the gateway listens on, on loopback; 0 takes any.
    #[arg(short, long, default_value_t = 8080, value_name = "PORT")]
    pub port: u16,
    /// The port of the admin listener, on loopback; 0 takes any.
    #[arg(long, default_value_t = 8090, value_name = "PORT")]
    pub admin_port: u16,
    /// Where to write the demo's document; a new directory for temporary files unless said.
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
}

/// Flags of `version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// In which form.
    #[arg(long, default_value = "text", value_name = "FORM")]
    pub format: LogFormat,
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// For which shell.
    pub shell: Shell,
}

/// `gateward completions`.
pub fn completions(args: &CompletionArgs) -> Exit {
    clap_complete::generate(args.shell, &mut Cli::command(), "gateward", &mut io::stdout());
    Exit::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
