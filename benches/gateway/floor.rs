//! The floor: single-row inserts of a 600-byte row into the same PostgreSQL, each its own transaction, fsync on.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::prepare;
use crate::{MEASURED, WARM_UP};

/// Rows a second over `connections` connections.
pub async fn measure(connections: usize) -> f64 {
    let url = prepare::database("floor").await;
    let mut owner = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("create table floor (id uuid primary key, body text not null)")
        .execute(&mut owner)
        .await
        .unwrap();
    let body: &'static str = "x".repeat(584).leak();
    let start = Instant::now() + WARM_UP;
    let end = start + MEASURED;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..connections {
        let url = url.clone();
        writers.spawn(async move {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let (mut counted, mut serial) = (0_u64, (number as u128) << 64);
            loop {
                let sent = Instant::now();
                if sent >= end {
                    return counted;
                }
                serial += 1;
                sqlx::query(AssertSqlSafe("insert into floor (id, body) values ($1, $2)"))
                    .bind(uuid::Uuid::from_u128(serial))
                    .bind(body)
                    .execute(&mut connection)
                    .await
                    .unwrap();
                counted += u64::from(sent >= start);
            }
        });
    }
    let total: u64 = writers.join_all().await.into_iter().sum();
    total as f64 / MEASURED.as_secs_f64()
}
