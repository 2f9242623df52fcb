//! What outlives a process and is no document. In SQLite, so that several processes can keep it at
//! a time, as those of an upgrade do, and one that is killed leaves nothing half written.

mod ledger;

pub use ledger::CountsFile;
