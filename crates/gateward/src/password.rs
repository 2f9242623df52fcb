//! `gateward password`: hashes of passwords, for the `basic` policy.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::cli::{Exit, PasswordCommand};
use crate::run::fail;

/// `gateward password`.
pub fn password(command: &PasswordCommand) -> Exit {
    match command {
        PasswordCommand::Hash => hash(),
    }
}

/// Reads a password and prints what is stored of it.
fn hash() -> Exit {
    let password = match read() {
        Ok(Some(password)) => password,
        Ok(None) => return fail("the two are not the same"),
        Err(error) => return fail(&format!("the password can't be read: {error}")),
    };
    if password.is_empty() || password.chars().any(char::is_control) {
        return fail("a password is not empty and has no control characters");
    }
    match policies::hash_password(&password) {
        Some(hash) => {
            println!("{hash}");
            Exit::Done
        }
        None => fail("there is no randomness to be had"),
    }
}

/// The password: asked for twice and not shown where somebody types it, otherwise the first line.
/// None where the two differ.
fn read() -> io::Result<Option<String>> {
    if !io::stdin().is_terminal() {
        return line().map(Some);
    }
    let hidden = Hidden::start()?;
    let first = ask("Password: ")?;
    let second = ask("Again: ")?;
    drop(hidden);
    Ok((first == second).then_some(first))
}

fn ask(prompt: &str) -> io::Result<String> {
    eprint!("{prompt}");
    io::stderr().flush()?;
    let line = line();
    eprintln!();
    line
}

fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
