//! What can go wrong in the store, sorted by what to do about it.

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or cannot serve now. Nothing is known to have been written; try again.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// A statement took longer than one may, and was broken off.
    #[error("a statement took too long: {0}")]
    TookTooLong(#[source] sqlx::Error),
    /// Two transactions stood in each other's way. Nothing was written; try again.
    #[error("the transaction conflicts with another: {0}")]
    Conflict(#[source] sqlx::Error),
    /// A row that must be the only one of its kind exists already. Holds the constraint's name where the engine tells.
    #[error("it exists already ({0})")]
    Duplicate(String),
    /// A value that the database refuses, or a statement that is wrong.
    #[error("the database refused a statement: {0}")]
    Refused(#[source] sqlx::Error),
    /// A row that is not as it should be.
    #[error("a stored value is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    /// Whether trying the same again may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TookTooLong(_) | Self::Conflict(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                if database.is_unique_violation() {
                    let name = database.constraint().map(ToOwned::to_owned);
                    return Self::Duplicate(name.unwrap_or_else(|| database.message().to_owned()));
                }
                match kind_of_code(&code) {
                    Kind::Unavailable => Self::Unavailable(error),
                    Kind::TookTooLong => Self::TookTooLong(error),
                    Kind::Conflict => Self::Conflict(error),
                    Kind::Refused => Self::Refused(error),
                }
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Damaged(error.to_string())
            }
            sqlx::Error::RowNotFound | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Encode(_) => {
                Self::Refused(error)
            }
            // Everything else is a connection that broke, a pool that is exhausted, or a protocol that stopped making
            // sense because the server went away.
            _ => Self::Unavailable(error),
        }
    }
}

enum Kind {
    Unavailable,
    TookTooLong,
    Conflict,
    Refused,
}

/// SQLSTATE has five characters; SQLite's (extended) result codes are numbers whose low byte is the code.
fn kind_of_code(code: &str) -> Kind {
    if code.len() == 5 {
        // The statement was canceled, by its time limit.
        if code == "57014" {
            return Kind::TookTooLong;
        }
        return match &code[..2] {
            // Connection, resources (a full disk, no memory), operator intervention (shutdown, crash, cancel), system error; a
            // transaction that is over, aborted, or may only read, as on a standby or where a host guards a full disk.
            "08" | "25" | "53" | "57" | "58" => Kind::Unavailable,
            // A damaged file or index: nothing is wrong with what was to be written.
            "XX" if code != "XX000" => Kind::Unavailable,
            "40" | "55" => Kind::Conflict,
            _ => Kind::Refused,
        };
    }
    match code.parse::<i64>().map(|code| code & 0xff) {
        // BUSY, LOCKED, SCHEMA (changed while the statement was prepared)
        Ok(5 | 6 | 17) => Kind::Conflict,
        // INTERRUPT: its time limit.
        Ok(9) => Kind::TookTooLong,
        // PERM, ABORT, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOLFS, NOTADB: the file, its disk or the
        // process fails, and nothing is wrong with what was to be written.
        Ok(3 | 4 | 7 | 8 | 10 | 11 | 13 | 14 | 15 | 22 | 26) => Kind::Unavailable,
        _ => Kind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(code: &str) -> &'static str {
        match kind_of_code(code) {
            Kind::Unavailable => "unavailable",
            Kind::TookTooLong => "took too long",
            Kind::Conflict => "conflict",
            Kind::Refused => "refused",
        }
    }

    #[test]
    fn what_a_disk_does_is_nobodys_mistake() {
        // FULL, IOERR (and its kinds: write, fsync, short read), READONLY (and a directory's), CANTOPEN, NOMEM, CORRUPT.
        for code in ["13", "10", "778", "1034", "522", "8", "1544", "14", "7", "11"] {
            assert_eq!(word(code), "unavailable", "SQLite's {code}");
        }
        // disk_full, out_of_memory, too_many_connections, io_error, admin_shutdown, cannot_connect_now,
        // read_only_sql_transaction, in_failed_sql_transaction, idle_in_transaction_session_timeout, index_corrupted.
        let codes = [
            "53100", "53200", "53300", "58030", "57P01", "57P03", "25006", "25P02", "25P03",
            "XX002",
        ];
        for code in codes {
            assert_eq!(word(code), "unavailable", "PostgreSQL's {code}");
        }
        for code in ["5", "6", "261", "517", "40001", "40P01", "55P03"] {
            assert_eq!(word(code), "conflict", "{code}");
        }
        for code in
            ["1", "18", "19", "275", "20", "22P05", "22003", "23514", "42703", "54000", "XX000"]
        {
            assert_eq!(word(code), "refused", "{code}");
        }
    }
}
