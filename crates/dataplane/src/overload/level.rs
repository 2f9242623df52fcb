//! How short memory is, and what is done about it.

use config::v1::Priority;

/// How short memory is. Each level does what those before it do, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// It is not.
    Calm,
    /// Connections are not kept: idle ones close, answers end theirs, HTTP/2 connections run a few
    /// streams only.
    Saving,
    /// New requests of low priority are refused.
    RefusingLow,
    /// And those of normal priority.
    RefusingNormal,
    /// All are refused, and no connection is accepted.
    Full,
}

/// From how many percent of the budget on a level holds.
const FROM: [(Level, u64); 4] =
    [(Level::Full, 95), (Level::RefusingNormal, 92), (Level::RefusingLow, 90), (Level::Saving, 80)];

/// A level is left this many percent below where it began, so that it does not come and go.
const SLACK: u64 = 3;

impl Level {
    /// The level of this number; the last one for any beyond.
    pub const fn of(number: u8) -> Self {
        match number {
            0 => Self::Calm,
            1 => Self::Saving,
            2 => Self::RefusingLow,
            3 => Self::RefusingNormal,
            _ => Self::Full,
        }
    }

    /// The level that follows this one when `percent` of the budget are in use.
    pub fn next(self, percent: u64) -> Self {
        let holds = |&&(level, from): &&(Self, u64)| {
            percent >= from || (self >= level && percent + SLACK >= from)
        };
        FROM.iter().find(holds).map_or(Self::Calm, |(level, _)| *level)
    }

    /// Whether new requests of this priority are refused.
    pub fn sheds(self, priority: Priority) -> bool {
        match priority {
            Priority::Low => self >= Self::RefusingLow,
            Priority::Normal => self >= Self::RefusingNormal,
            Priority::High => self >= Self::Full,
        }
    }

    /// What it is called in logs and `/status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Saving => "saving",
            Self::RefusingLow => "refusing_low",
            Self::RefusingNormal => "refusing_normal",
            Self::Full => "full",
        }
    }
}
