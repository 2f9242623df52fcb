//! Section J: reload, upgrade, drain, crash.
