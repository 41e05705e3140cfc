//! Looks at the database for accounts that are not in memory: few, and shared by all who wait.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Gateway;
use crate::store::StoreError;

/// How long it takes from one look to the next: whoever makes ids up must not make us ask the database for each.
const PAUSE: Duration = Duration::from_millis(250);

/// The last look.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: Mutex<Option<Look>>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    began: Instant,
    is_well: bool,
}

impl Gateway {
    /// Reads the directory anew, if something has changed: what was made before this was called is known afterwards. The
    /// database is asked at most four times a second, however many call; a call waits for the first look that begins after it.
    /// Returns whether the look was well: where several wait for one, only the first is given its error.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn look_for_new(&self) -> Result<bool, StoreError> {
        let called = Instant::now();
        // Whoever has the lock looks for all who wait for it.
        let mut last = self.looks.last.lock().await;
        if let Some(look) = *last {
            if look.began >= called {
                return Ok(look.is_well);
            }
            tokio::time::sleep(PAUSE.saturating_sub(look.began.elapsed())).await;
        }
        let began = Instant::now();
        let looked = self.refresh_directory().await;
        *last = Some(Look { began, is_well: looked.is_ok() });
        looked.map(|()| true)
    }
}
