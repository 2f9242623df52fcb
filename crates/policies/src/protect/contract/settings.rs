//! From settings to a contract that is ready, or to what is wrong with either.

use base::{ByteSize, Pointer, Problem, Problems};
use config::v1::{Contract as Settings, Strictness};
use contract::{Contract as Written, Direction, Files};
use policy::Compile;

use super::Contract;
use super::judge::Judge;
use super::response::Responses;
use crate::mode::Mode;

/// Most violations that are told.
const TOLD: usize = 100;

impl From<Strictness> for Mode {
    fn from(said: Strictness) -> Self {
        match said {
            Strictness::Refuse => Self::Refuse,
            Strictness::Report => Self::Report,
        }
    }
}

/// The contract that `settings` name, which stand at `at`.
pub(super) fn ready(
    settings: &Settings,
    at: &Pointer,
    cx: &Compile<'_>,
) -> Result<Contract, Problems> {
    let mut problems = numbers(settings, at);
    let file = at.key("file");
    let files = Files::read(&settings.file, &settings.references, &file, (cx.world, cx.carry));
    let read = files.map_err(|problem| vec![problem]).and_then(|files| Written::read(files, &file));
    let judge = |written: &Written, direction| Judge::new(written, direction, settings, &file);
    let made = read.and_then(|written| {
        let requests = judge(&written, Direction::Request)?;
        let responses = match &settings.responses {
            None => None,
            Some(said) => Some(Responses {
                judge: judge(&written, Direction::Response)?,
                mode: said.mode.into(),
                percent: said.percent,
                most: bytes(said.max),
            }),
        };
        Ok(Contract {
            operations: written.operations,
            requests,
            responses,
            mode: settings.mode.into(),
            unknown_operations: settings.unknown_operations,
            unknown_parameters: settings.unknown_parameters,
            most: bytes(settings.max),
            told: settings.errors,
        })
    });
    match made {
        Ok(made) if problems.is_empty() => Ok(made),
        Ok(_) => Err(problems),
        Err(wrong) => {
            problems.extend(wrong);
            Err(problems)
        }
    }
}

/// What is wrong with the numbers.
fn numbers(settings: &Settings, at: &Pointer) -> Problems {
    let mut problems = Problems::new();
    if settings.errors > TOLD {
        let what = format!("at most {TOLD} violations are told");
        problems.push(Problem::new(&at.key("errors"), what).hint("callers need but a few"));
    }
    if settings.max.0 == 0 {
        let what = "no body has at most 0 bytes";
        problems.push(Problem::new(&at.key("max"), what).hint("write a size such as `256KiB`"));
    }
    let percent = settings.responses.as_ref().map_or(100.0, |said| said.percent);
    if !(0.0..=100.0).contains(&percent) {
        let what = format!("{percent} percent of the responses can't be looked at");
        let place = at.key("responses").key("percent");
        problems.push(Problem::new(&place, what).hint("write 0 to 100"));
    }
    problems
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}
