//! What quotas have used up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::{Ledger, Settling, Used};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::Mutex;

/// Longest wait for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

/// Seconds after which is forgotten what nobody added to: no window is as long.
const FORGOTTEN: i64 = 800 * 86_400;

/// Makes the file what it is to be; does nothing to one that is.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS used (
    account TEXT NOT NULL,
    period INTEGER NOT NULL,
    key BLOB NOT NULL,
    amount INTEGER NOT NULL,
    touched INTEGER NOT NULL,
    PRIMARY KEY (account, period, key)
) STRICT, WITHOUT ROWID";

/// Counts in a file. It is opened when it is first asked, and again after it failed.
#[derive(Debug)]
pub struct CountsFile {
    path: PathBuf,
    open: Mutex<Option<SqliteConnection>>,
}

impl CountsFile {
    /// The counts in the file at `path`, which is made when something is to be kept.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), open: Mutex::new(None) }
    }

    async fn connect(&self) -> sqlx::Result<SqliteConnection> {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            // Who is killed loses nothing that was written; a machine that fails, the last seconds.
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY);
        let mut file = options.connect().await?;
        sqlx::query(TABLE).execute(&mut file).await?;
        sqlx::query("DELETE FROM used WHERE touched < unixepoch() - ?")
            .bind(FORGOTTEN)
            .execute(&mut file)
            .await?;
        Ok(file)
    }

    /// Does `work` with the open file; closes it where that fails.
    async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>,
    ) -> Result<T, String> {
        let mut open = self.open.lock().await;
        let done = async {
            // Taken out meanwhile: whoever gives up in between leaves nothing half done.
            let mut file = match open.take() {
                Some(file) => file,
                None => self.connect().await?,
            };
            let done = work(&mut file).await?;
            *open = Some(file);
            Ok(done)
        };
        let done: sqlx::Result<T> = done.await;
        done.map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

async fn read(file: &mut SqliteConnection, account: &str, since: i64) -> sqlx::Result<Vec<Used>> {
    let query = "SELECT key, period, amount FROM used WHERE account = ? AND period >= ?
        ORDER BY period";
    let rows = sqlx::query(query).bind(account).bind(since).fetch_all(file).await?;
    rows.into_iter()
        .map(|row| {
            let key: Vec<u8> = row.try_get(0)?;
            let amount: i64 = row.try_get(2)?;
            let amount = u64::try_from(amount).unwrap_or_default();
            Ok(Used { key: key.into(), period: row.try_get(1)?, amount })
        })
        .collect()
}

async fn add(
    file: &mut SqliteConnection,
    account: &str,
    used: &[Used],
    since: i64,
) -> sqlx::Result<Vec<Used>> {
    let mut change = file.begin_with("BEGIN IMMEDIATE").await?;
    let mut sums = Vec::with_capacity(used.len());
    for one in used {
        // Sums that are too large for the file stay at the largest there is.
        let query = "INSERT INTO used VALUES (?, ?, ?, ?, unixepoch())
            ON CONFLICT DO UPDATE SET touched = excluded.touched, amount = CASE
                WHEN amount > 9223372036854775807 - excluded.amount THEN 9223372036854775807
                ELSE amount + excluded.amount END
            RETURNING amount";
        let row = sqlx::query(query)
            .bind(account)
            .bind(one.period)
            .bind(&*one.key)
            .bind(i64::try_from(one.amount).unwrap_or(i64::MAX))
            .fetch_one(&mut *change)
            .await?;
        let amount = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
        sums.push(Used { amount, ..one.clone() });
    }
    sqlx::query("DELETE FROM used WHERE account = ? AND period < ?")
        .bind(account)
        .bind(since)
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(sums)
}

impl Ledger for CountsFile {
    fn read<'a>(&'a self, account: &'a str, since: i64) -> Settling<'a> {
        Box::pin(self.with(async move |file| read(file, account, since).await))
    }

    fn add<'a>(&'a self, account: &'a str, used: &'a [Used], since: i64) -> Settling<'a> {
        Box::pin(self.with(async move |file| add(file, account, used, since).await))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(key: &str, period: i64, amount: u64) -> Used {
        Used { key: key.as_bytes().into(), period, amount }
    }

    #[tokio::test]
    async fn what_is_added_is_there_for_whoever_opens_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.sqlite");
        let one = CountsFile::at(&path);
        assert_eq!(one.read("a", 0).await, Ok(vec![]));
        let sums = one.add("a", &[used("k", 3, 5), used("l", 4, 1)], 3).await;
        assert_eq!(sums, Ok(vec![used("k", 3, 5), used("l", 4, 1)]));
        let other = CountsFile::at(&path);
        assert_eq!(other.add("a", &[used("k", 3, 2)], 3).await, Ok(vec![used("k", 3, 7)]));
        assert_eq!(one.add("a", &[used("k", 3, 1)], 3).await, Ok(vec![used("k", 3, 8)]));
        assert_eq!(one.read("a", 3).await, Ok(vec![used("k", 3, 8), used("l", 4, 1)]));
        assert_eq!(one.read("a", 4).await, Ok(vec![used("l", 4, 1)]));
        assert_eq!(one.read("b", 0).await, Ok(vec![]), "accounts are apart");
    }

    #[tokio::test]
    async fn periods_that_are_over_are_forgotten_and_sums_do_not_overflow() {
        let folder = tempfile::tempdir().unwrap();
        let file = CountsFile::at(&folder.path().join("counts.sqlite"));
        file.add("a", &[used("k", 1, 5)], 1).await.unwrap();
        file.add("b", &[used("k", 1, 5)], 1).await.unwrap();
        file.add("a", &[used("k", 2, u64::MAX)], 2).await.unwrap();
        let most = i64::MAX as u64;
        assert_eq!(file.add("a", &[used("k", 2, 7)], 2).await, Ok(vec![used("k", 2, most)]));
        assert_eq!(file.read("a", 0).await, Ok(vec![used("k", 2, most)]));
        assert_eq!(file.read("b", 0).await, Ok(vec![used("k", 1, 5)]));
    }

    #[tokio::test]
    async fn a_file_that_can_not_be_opened_is_said_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("there/counts.sqlite");
        let file = CountsFile::at(&path);
        let why = file.read("a", 0).await.unwrap_err();
        assert!(why.contains("counts.sqlite: "), "{why}");
        std::fs::create_dir(folder.path().join("there")).unwrap();
        assert_eq!(file.read("a", 0).await, Ok(vec![]));
    }
}
