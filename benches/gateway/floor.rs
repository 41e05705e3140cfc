//! The floor: single-row inserts of a 600-byte row into the same PostgreSQL, each its own transaction, fsync on.

use std::time::Instant;

use sqlx::{Connection, PgConnection};

use crate::prepare;
use crate::turns::{self, Turn};

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
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(PgConnection::connect(&self.url).await.unwrap());
        }
        let writers = open.into_iter().enumerate().map(|(number, connection)| {
            move |start, end| insert(connection, (round << 32) + number as u64, start, end)
        });
        turns::without_gateway(writers).await
    }
}

/// Inserts rows until the time is over; counts those of the measured time.
async fn insert(mut connection: PgConnection, high: u64, start: Instant, end: Instant) -> u64 {
    let body = "x".repeat(584);
    let mut counted = 0;
    for low in 0.. {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        sqlx::query("insert into floor (id, body) values ($1, $2)")
            .bind(uuid::Uuid::from_u64_pair(high, low))
            .bind(&body)
            .execute(&mut connection)
            .await
            .unwrap();
        counted += u64::from(sent >= start);
    }
    counted
}
