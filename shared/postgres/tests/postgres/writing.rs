//! Transactions without a key, and commits whose outcome is not known.

use zerocart_core::{Call, Error, Kind};
use zerocart_postgres::{ErrorExt, Transaction};

use crate::{
    proxy::{Fate, Proxy},
    support::{call, call_under, count, database, insert, things, works},
};

#[tokio::test]
async fn statements_of_a_transaction_take_effect_together_or_not_at_all() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let ids = vec![1, 2];
    let answer = database
        .write(&call(), |tx: &mut Transaction<'_>| {
            let ids = &ids;
            Box::pin(async move {
                for id in ids {
                    insert(tx, *id, 1).await?;
                }
                Ok(String::from("both"))
            })
        })
        .await;
    assert_eq!(answer.unwrap(), "both");
    assert_eq!(count(&admin, "things").await, 2);

    let answer: Result<String, Error> = database
        .write(&call(), |tx: &mut Transaction<'_>| {
            Box::pin(async move {
                insert(tx, 3, 1).await?;
                insert(tx, 1, 1).await
            })
        })
        .await;
    assert_eq!(answer.unwrap_err().kind(), Kind::AlreadyExists);
    assert_eq!(count(&admin, "things").await, 2);
    works(&database).await;
}

#[tokio::test]
async fn a_failed_transaction_is_never_reported_as_committed() {
    let (test, admin) = things().await;
    let database = database(test.url());
    for cx in [call(), call_under("k", "r")] {
        let answer: Result<String, Error> = database
            .write(&cx, |tx: &mut Transaction<'_>| {
                Box::pin(async move {
                    insert(tx, 1, 1).await?;
                    // The error is dropped, and with it the knowledge that all is lost.
                    drop(insert(tx, 1, 1).await);
                    Ok(String::new())
                })
            })
            .await;
        assert_eq!(answer.unwrap_err().kind(), Kind::Internal);
        assert_eq!(count(&admin, "things").await, 0);
        works(&database).await;
    }
}

#[tokio::test]
async fn a_handler_without_statements_writes_nothing() {
    let (test, _admin) = things().await;
    let answer = database(test.url())
        .write(&call(), |_: &mut Transaction<'_>| {
            Box::pin(async { Ok(String::from("nothing")) })
        })
        .await;
    assert_eq!(answer.unwrap(), "nothing");
}

#[tokio::test]
async fn one_statement_can_be_the_whole_effect() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let add = async |cx: Call, id: i32| {
        database
            .write_one(
                &cx,
                "INSERT INTO things VALUES ($1, 1) RETURNING id",
                &[&id],
                |row| {
                    let row = row.on_constraint("things_pkey", || {
                        Error::new(Kind::AlreadyExists, "twice")
                    })?;
                    Ok(row.get::<_, i32>(0))
                },
            )
            .await
    };
    assert_eq!(add(call(), 1).await.unwrap(), 1);
    assert_eq!(
        add(call(), 1).await.unwrap_err().kind(),
        Kind::AlreadyExists
    );
    for _ in 0..2 {
        assert_eq!(add(call_under("k", "2"), 2).await.unwrap(), 2);
        let error = add(call_under("l", "1"), 1).await.unwrap_err();
        assert_eq!(error.kind(), Kind::AlreadyExists);
    }
    assert_eq!(count(&admin, "things").await, 2);
    assert_eq!(count(&admin, "idempotency_keys").await, 2);
}

#[tokio::test]
async fn one_statement_without_its_row_is_a_fault_and_records_nothing() {
    let (test, admin) = things().await;
    let database = database(test.url());
    for cx in [call(), call_under("k", "r")] {
        let sql = "INSERT INTO things SELECT $1, 1 WHERE $1 < 0 RETURNING id";
        let answer = database.write_one(&cx, sql, &[&1], |row| Ok(row?.get::<_, i32>(0)));
        assert_eq!(answer.await.unwrap_err().kind(), Kind::Internal);
    }
    assert_eq!(count(&admin, "idempotency_keys").await, 0);
    works(&database).await;
}

#[tokio::test]
async fn a_lost_answer_to_commit_is_not_reported_as_failure() {
    let (test, admin) = things().await;
    for (id, cx) in [(1, call()), (2, call_under("k", "2"))] {
        let proxy = Proxy::before(test.url(), [Fate::CutAt("COMMIT")]).await;
        let database = database(&proxy.url(test.url()));
        let add = async || {
            database
                .write(&cx, |tx: &mut Transaction<'_>| Box::pin(insert(tx, id, 1)))
                .await
        };
        let error = add().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("not known"), "{error}");
        assert!(error.retry_after().is_some());
        // It did take effect; with a key, repeating it tells.
        assert_eq!(count(&admin, "things").await, i64::from(id));
        match cx.idempotency {
            Some(_) => assert_eq!(add().await.unwrap(), "thing 2"),
            None => assert_eq!(add().await.unwrap_err().kind(), Kind::AlreadyExists),
        }
        assert_eq!(count(&admin, "things").await, i64::from(id));
    }
}

#[tokio::test]
async fn a_connection_lost_before_commit_is_a_definite_failure() {
    let (test, admin) = things().await;
    for (cx, word) in [(call(), "BEGIN"), (call_under("k", "r"), "SAVEPOINT")] {
        let proxy = Proxy::before(test.url(), [Fate::LostAt(word)]).await;
        let database = database(&proxy.url(test.url()));
        let error = database
            .write(&cx, |tx: &mut Transaction<'_>| Box::pin(insert(tx, 1, 1)))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(!error.message().contains("not known"), "{error}");
        assert_eq!(count(&admin, "things").await, 0);
    }
}

/// Round trips are what a call costs; a statement that the connection does not know yet takes one
/// more, to be prepared.
#[tokio::test]
async fn each_way_to_write_has_its_round_trips() {
    let (test, _admin) = things().await;
    let proxy = Proxy::before(test.url(), []).await;
    let database = database(&proxy.url(test.url()));
    let add = async |cx: Call, id: i32| {
        database
            .write(&cx, |tx: &mut Transaction<'_>| Box::pin(insert(tx, id, 1)))
            .await
    };
    let one = async |cx: Call, id: i32| {
        let sql = "INSERT INTO things (id, amount) VALUES ($1, 1) RETURNING id";
        database
            .write_one(&cx, sql, &[&id], |row| {
                row?;
                Ok(String::new())
            })
            .await
    };
    add(call(), 1).await.unwrap();
    one(call(), 2).await.unwrap();
    proxy.round_trips();

    // BEGIN with the statement; COMMIT.
    add(call(), 3).await.unwrap();
    assert_eq!(proxy.round_trips(), 2);
    // BEGIN, lock, look-up and savepoint; the statement; the record with COMMIT.
    add(call_under("k", "r"), 4).await.unwrap();
    assert_eq!(proxy.round_trips(), 3);
    // BEGIN, lock, look-up and savepoint; ROLLBACK.
    add(call_under("k", "r"), 4).await.unwrap();
    assert_eq!(proxy.round_trips(), 2);
    let after = async |cx: Call, id: i32| {
        database
            .write_after(&cx, async { Ok(id) }, |tx: &mut Transaction<'_>, id| {
                Box::pin(async move { insert(tx, id, 1).await })
            })
            .await
    };
    after(call_under("m", "r"), 7).await.unwrap();
    assert_eq!(proxy.round_trips(), 3);
    after(call_under("m", "r"), 7).await.unwrap();
    assert_eq!(proxy.round_trips(), 2);
    one(call(), 5).await.unwrap();
    assert_eq!(proxy.round_trips(), 1);
    one(call_under("l", "r"), 6).await.unwrap();
    assert_eq!(proxy.round_trips(), 3);
}
