//! The floor: single-row inserts of a 600-byte row into the same PostgreSQL, each its own transaction, fsync on.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::prepare;
use crate::turns::{Costs, Turn};
use crate::{MEASURED, WARM_UP};

/// A database with one table.
pub struct Floor {
    url: String,
}

impl Floor {
    pub async fn new() -> Self {
        let url = prepare::database("floor").await;
        let mut owner = PgConnection::connect(&url).await.unwrap();
        let table = "create table floor (id uuid primary key, body text not null)";
        sqlx::raw_sql(table).execute(&mut owner).await.unwrap();
        Self { url }
    }

    /// Inserts over `connections` connections, each row its own.
    pub async fn measure(&self, connections: usize, round: u64) -> Turn {
        let body: &'static str = "x".repeat(584).leak();
        let start = Instant::now() + WARM_UP;
        let end = start + MEASURED;
        let before = Costs::until_now(std::process::id());
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..connections {
            let url = self.url.clone();
            writers.spawn(async move {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                let high = (round << 32) + number as u64;
                let (mut counted, mut all) = (0_u64, 0_u64);
                loop {
                    let sent = Instant::now();
                    if sent >= end {
                        return (counted, all);
                    }
                    all += 1;
                    sqlx::query(AssertSqlSafe("insert into floor (id, body) values ($1, $2)"))
                        .bind(uuid::Uuid::from_u64_pair(high, all))
                        .bind(body)
                        .execute(&mut connection)
                        .await
                        .unwrap();
                    counted += u64::from(sent >= start);
                }
            });
        }
        let counts = writers.join_all().await;
        let counted: u64 = counts.iter().map(|(counted, _)| counted).sum();
        let all: u64 = counts.iter().map(|(_, all)| all).sum();
        before.turn(std::process::id(), counted as f64 / MEASURED.as_secs_f64(), all as f64)
    }
}
