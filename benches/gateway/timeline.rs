pub async fn on_postgres() {}
pub async fn on_sqlite() {}
