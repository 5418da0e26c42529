//! Times as clients read them.

use zerocart_postgres::rfc3339;

use crate::support::{call, database, things};

#[tokio::test]
async fn a_time_is_in_utc_with_microseconds() {
    let (test, _admin) = things().await;
    let session = database(test.url()).session(&call()).await.unwrap();
    for (zone, time) in [
        ("UTC", rfc3339!("timestamptz '2026-11-22 21:10:09.5+01'")),
        (
            "Asia/Kolkata",
            rfc3339!("timestamptz '2026-11-22 20:10:09.5Z'"),
        ),
    ] {
        let zone = format!("SET TIME ZONE '{zone}'");
        session.execute(&zone, &[]).await.unwrap();
        let row = session.query_one(&format!("SELECT {time}"), &[]).await;
        let text: String = row.unwrap().get(0);
        assert_eq!(text, "2026-11-22T20:10:09.500000Z");
    }
}
