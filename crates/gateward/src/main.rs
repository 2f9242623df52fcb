//! Gateward, the command: every subcommand, and which parts each one starts.

mod check;
mod cli;
mod demo;
mod explain;
mod files;
mod import;
mod instance;
mod key;
mod lastgood;
mod load;
mod logging;
mod pages;
mod password;
mod reload;
mod run;
mod schema;
mod served;
mod state;
mod stop;
mod supervise;
mod systemd;
mod terminal;
mod vault;
mod version;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Upgrade(args) => supervise::upgrade(&args),
        Command::Check(args) => check::check(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Import(command) => import::import(&command),
        Command::Key(command) => key::key(&command),
        Command::Schema => schema::schema(),
        Command::Password { command } => password::password(&command),
        Command::Demo(args) => demo::demo(args),
        Command::Version(args) => version::version(&args),
        Command::Completions(args) => cli::completions(&args),
    };
    exit.into()
}
