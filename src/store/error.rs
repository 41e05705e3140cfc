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
            // Connection, resources, operator intervention (shutdown, crash, cancel), system error.
            "08" | "53" | "57" | "58" => Kind::Unavailable,
            "40" | "55" => Kind::Conflict,
            _ => Kind::Refused,
        };
    }
    match code.parse::<i64>().map(|code| code & 0xff) {
        // BUSY, LOCKED
        Ok(5 | 6) => Kind::Conflict,
        // INTERRUPT
        Ok(9) => Kind::TookTooLong,
        // NOMEM, IOERR, FULL, CANTOPEN
        Ok(7 | 10 | 13 | 14) => Kind::Unavailable,
        _ => Kind::Refused,
    }
}
