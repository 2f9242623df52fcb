//! Counts that outlive the process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// How much of something was used in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// By whom.
    pub key: Box<[u8]>,
    /// The period's number; later ones have higher numbers.
    pub period: i64,
    /// How much.
    pub amount: u64,
}

/// An answer that takes a while: what was asked for, or why there is nothing.
pub type Settling<'a> = Pin<Box<dyn Future<Output = Result<Vec<Used>, String>> + Send + 'a>>;

/// Where it is kept what was used. Several processes may add to one account at a time.
///
/// Never asked while a request waits: policies count in memory, and settle from time to time.
pub trait Ledger: fmt::Debug + Send + Sync {
    /// What `account` has from period `since` on, in the order of periods.
    fn read<'a>(&'a self, account: &'a str, since: i64) -> Settling<'a>;

    /// Adds `used` to `account`, all of it or none. Gives the sums of what was added to, and
    /// forgets what is of periods before `since`.
    fn add<'a>(&'a self, account: &'a str, used: &'a [Used], since: i64) -> Settling<'a>;
}
