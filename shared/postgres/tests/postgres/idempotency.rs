//! An effect is done once under a key, in all failures.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;
use zerocart_core::{Call, Error, Kind};
use zerocart_postgres::{Database, Options, Transaction};

use crate::support::{
    PATIENCE, call, call_under, config, count, database, insert, things, until, works,
};

/// Adds a thing, and then fails with `fail`, if any.
async fn add(
    database: &Database,
    cx: &Call,
    id: i32,
    fail: Option<Kind>,
    runs: &AtomicUsize,
) -> Result<String, Error> {
    database
        .write(cx, |tx: &mut Transaction<'_>| {
            Box::pin(async move {
                runs.fetch_add(1, Ordering::SeqCst);
                let answer = insert(tx, id, 1).await?;
                match fail {
                    Some(kind) => Err(Error::new(kind, "as told").with_http_status(418)),
                    None => Ok(answer),
                }
            })
        })
        .await
}

#[tokio::test]
async fn the_same_request_gets_the_same_response_and_one_effect() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let runs = AtomicUsize::new(0);
    for _ in 0..3 {
        let cx = call_under("k", "r");
        let answer = add(&database, &cx, 1, None, &runs).await;
        assert_eq!(answer.unwrap(), "thing 1");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(count(&admin, "things").await, 1);
    assert_eq!(count(&admin, "idempotency_keys").await, 1);
}

#[tokio::test]
async fn an_error_that_is_an_answer_is_kept_without_its_effect() {
    let (test, admin) = things().await;
    let database = database(test.url());
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_answer()) {
        let runs = AtomicUsize::new(0);
        for _ in 0..2 {
            let cx = call_under(kind.name(), "r");
            let error = add(&database, &cx, 1, Some(kind), &runs).await.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert_eq!(error.http_status(), 418);
            assert_eq!(error.message(), "as told");
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(count(&admin, "things").await, 0);
    }
}

#[tokio::test]
async fn a_violated_constraint_is_kept_too() {
    let (test, _admin) = things().await;
    let database = database(test.url());
    let runs = AtomicUsize::new(0);
    add(&database, &call_under("first", "r"), 1, None, &runs)
        .await
        .unwrap();
    for _ in 0..2 {
        let cx = call_under("second", "r");
        let error = add(&database, &cx, 1, None, &runs).await.unwrap_err();
        assert_eq!(error.kind(), Kind::AlreadyExists);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_error_that_is_no_answer_leaves_nothing() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let runs = AtomicUsize::new(0);
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_answer()) {
        let cx = call_under("k", "r");
        let error = add(&database, &cx, 1, Some(kind), &runs).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(count(&admin, "things").await, 0);
        assert_eq!(count(&admin, "idempotency_keys").await, 0);
    }
    let cx = call_under("k", "r");
    add(&database, &cx, 1, None, &runs).await.unwrap();
}

#[tokio::test]
async fn another_request_under_the_key_is_refused() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let runs = AtomicUsize::new(0);
    add(&database, &call_under("k", "r"), 1, None, &runs)
        .await
        .unwrap();
    let error = add(&database, &call_under("k", "other"), 2, None, &runs)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert_eq!(error.http_status(), 422);
    assert_eq!(error.violations()[0].field, "idempotency-key");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(count(&admin, "things").await, 1);
    works(&database).await;
}

#[tokio::test]
async fn a_request_that_still_runs_is_told_so() {
    let (test, _admin) = things().await;
    let database = Database::new(&config(test.url()), Options::default()).unwrap();
    let (entered, inside) = oneshot::channel();
    let (leave, left) = oneshot::channel::<()>();
    let first = tokio::spawn({
        let database = database.clone();
        async move {
            let cx = call_under("k", "r");
            database
                .write(&cx, |tx: &mut Transaction<'_>| {
                    Box::pin(async move {
                        entered.send(()).unwrap();
                        left.await.unwrap();
                        insert(tx, 1, 1).await
                    })
                })
                .await
        }
    });
    inside.await.unwrap();
    let runs = AtomicUsize::new(0);
    let error = add(&database, &call_under("k", "r"), 1, None, &runs)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Aborted);
    assert_eq!(error.http_status(), 409);
    // Another key is not in its way.
    add(&database, &call_under("l", "r"), 2, None, &runs)
        .await
        .unwrap();
    leave.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), "thing 1");
    let again = add(&database, &call_under("k", "r"), 1, None, &runs).await;
    assert_eq!(again.unwrap(), "thing 1");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_takes_effect() {
    let (test, admin) = things().await;
    let mut config = config(test.url());
    config.pool_size = 8.try_into().unwrap();
    let database = Database::new(&config, Options::default()).unwrap();
    let runs = std::sync::Arc::new(AtomicUsize::new(0));
    let calls = (0..32).map(|_| {
        let (database, runs) = (database.clone(), runs.clone());
        tokio::spawn(async move { add(&database, &call_under("k", "r"), 1, None, &runs).await })
    });
    let mut answered = 0;
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            Ok(answer) => {
                assert_eq!(answer, "thing 1");
                answered += 1;
            }
            Err(error) => assert_eq!(error.kind(), Kind::Aborted, "{error:?}"),
        }
    }
    assert!(answered >= 1);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(count(&admin, "things").await, 1);
}

#[tokio::test]
async fn a_request_that_dies_half_way_runs_again() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let (entered, inside) = oneshot::channel();
    let dying = tokio::spawn({
        let database = database.clone();
        async move {
            let cx = call_under("k", "r");
            database
                .write(&cx, |tx: &mut Transaction<'_>| {
                    Box::pin(async move {
                        insert(tx, 1, 1).await?;
                        entered.send(()).unwrap();
                        std::future::pending::<Result<String, Error>>().await
                    })
                })
                .await
        }
    });
    inside.await.unwrap();
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    let runs = AtomicUsize::new(0);
    until("the server has let go of the key", async || {
        match add(&database, &call_under("k", "r"), 1, None, &runs).await {
            Ok(answer) => answer == "thing 1",
            Err(error) => {
                assert_eq!(error.kind(), Kind::Aborted, "{error:?}");
                false
            }
        }
    })
    .await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(count(&admin, "things").await, 1);
}

#[tokio::test]
async fn a_record_is_kept_for_a_day() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let age = async |interval: &str| {
        let sql = format!("UPDATE idempotency_keys SET created_at = now() - interval '{interval}'");
        admin.batch_execute(&sql).await.unwrap();
    };
    let runs = AtomicUsize::new(0);
    add(&database, &call_under("k", "r"), 1, None, &runs)
        .await
        .unwrap();
    age("23 hours 59 minutes").await;
    add(&database, &call_under("k", "r"), 2, None, &runs)
        .await
        .unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 1);

    // Expired: it runs again, even for another request; here with an error as its answer.
    age("24 hours 1 minute").await;
    for _ in 0..2 {
        let cx = call_under("k", "other");
        let error = add(&database, &cx, 3, Some(Kind::NotFound), &runs)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    age("25 hours").await;
    for _ in 0..2 {
        let answer = add(&database, &call_under("k", "r"), 4, None, &runs).await;
        assert_eq!(answer.unwrap(), "thing 4");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(count(&admin, "idempotency_keys").await, 1);
}

#[tokio::test]
async fn records_take_a_few_expired_ones_away() {
    let (test, admin) = things().await;
    let database = database(test.url());
    admin
        .batch_execute(
            "INSERT INTO idempotency_keys (key, fingerprint, response, created_at)
             SELECT sha256(n::text::bytea), sha256(''), '', now() - interval '2 days'
             FROM generate_series(1, 15) n",
        )
        .await
        .unwrap();
    let runs = AtomicUsize::new(0);
    for (id, left) in [(1, 6), (2, 2), (3, 3)] {
        let cx = call_under(&format!("key {id}"), "r");
        add(&database, &cx, id, None, &runs).await.unwrap();
        assert_eq!(count(&admin, "idempotency_keys").await, left);
    }
}

#[tokio::test]
async fn a_record_that_somebody_reads_is_in_nobodys_way() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let runs = AtomicUsize::new(0);
    add(&database, &call_under("k", "r"), 1, None, &runs)
        .await
        .unwrap();
    // Another session holds the lock of this key, as one that replays the answer does.
    admin.batch_execute("BEGIN").await.unwrap();
    admin
        .execute(
            "SELECT pg_advisory_xact_lock(('x' || encode(substr(key, 1, 8), 'hex'))::bit(64)::bigint)
             FROM idempotency_keys",
            &[],
        )
        .await
        .unwrap();
    let cx = call_under("k", "r");
    let answer = tokio::time::timeout(PATIENCE, add(&database, &cx, 1, None, &runs)).await;
    assert_eq!(answer.unwrap().unwrap(), "thing 1");
}

/// What another function says before a transaction: asked without a connection, and no argument
/// against an answer that is recorded.
#[tokio::test]
async fn a_preparation_never_outweighs_a_recorded_answer() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let add = async |cx: &Call, prepared: Result<i32, Kind>| {
        let preparation = async {
            // The only connection of the pool is free meanwhile.
            works(&database).await;
            prepared.map_err(|kind| Error::new(kind, "as prepared"))
        };
        database
            .write_after(cx, preparation, |tx: &mut Transaction<'_>, id| {
                Box::pin(async move { insert(tx, id, 1).await })
            })
            .await
    };
    let failed = async |cx: &Call, kind| add(cx, Err(kind)).await.unwrap_err().kind();

    // Without a key, one after the other.
    assert_eq!(failed(&call(), Kind::NotFound).await, Kind::NotFound);
    assert_eq!(add(&call(), Ok(1)).await.unwrap(), "thing 1");
    assert_eq!(count(&admin, "idempotency_keys").await, 0);

    // No answer, so nothing is recorded; then an answer, which stays.
    let cx = call_under("k", "r");
    assert_eq!(failed(&cx, Kind::Unavailable).await, Kind::Unavailable);
    assert_eq!(add(&cx, Ok(2)).await.unwrap(), "thing 2");
    for prepared in [Ok(3), Err(Kind::Unavailable), Err(Kind::NotFound)] {
        assert_eq!(add(&cx, prepared).await.unwrap(), "thing 2");
    }

    // An error that is an answer stays, too.
    let cx = call_under("refused", "r");
    assert_eq!(failed(&cx, Kind::NotFound).await, Kind::NotFound);
    assert_eq!(add(&cx, Ok(3)).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(count(&admin, "things").await, 2);
    assert_eq!(count(&admin, "idempotency_keys").await, 2);
}

#[tokio::test]
async fn after_a_lookup_nothing_is_prepared_for_what_was_answered() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let (cx, prepared) = (call_under("k", "r"), AtomicUsize::new(0));
    for _ in 0..2 {
        let preparation = async { Ok(prepared.fetch_add(1, Ordering::SeqCst)) };
        let added = database.write_after_lookup(&cx, preparation, |tx: &mut Transaction<'_>, _| {
            Box::pin(async move { insert(tx, 1, 1).await })
        });
        assert_eq!(added.await.unwrap(), "thing 1");
        assert_eq!(prepared.load(Ordering::SeqCst), 1);
    }
    assert_eq!(count(&admin, "things").await, 1);
}

#[tokio::test]
async fn a_part_of_a_call_is_not_its_answer() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let cx = call_under("k", "r");
    for id in 1..=2 {
        let part = database.transaction(&cx, |tx: &mut Transaction<'_>| {
            Box::pin(async move {
                insert(tx, id, 1).await?;
                Ok(Some(id))
            })
        });
        assert_eq!(part.await.unwrap(), Some(id));
    }
    let undone = database.transaction(&cx, |tx: &mut Transaction<'_>| {
        Box::pin(async move {
            insert(tx, 3, 1).await?;
            insert(tx, 1, 1).await
        })
    });
    assert_eq!(undone.await.unwrap_err().kind(), Kind::AlreadyExists);
    assert_eq!(count(&admin, "things").await, 2);
    assert_eq!(count(&admin, "idempotency_keys").await, 0);
}

/// What no transaction spans: whether it was done, and how it ended, is known under the key.
#[tokio::test]
async fn work_outside_of_a_transaction_has_one_answer() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let runs = AtomicUsize::new(0);
    let work = async |cx: &Call, fail: Option<Kind>| {
        let work = async {
            runs.fetch_add(1, Ordering::SeqCst);
            match fail {
                Some(kind) => Err(Error::new(kind, "as told")),
                None => Ok("done".to_owned()),
            }
        };
        database.once(cx, work).await
    };
    // Without a key it is simply done.
    for run in 1..=2 {
        assert_eq!(work(&call(), None).await.unwrap(), "done");
        assert_eq!(runs.load(Ordering::SeqCst), run);
    }
    assert_eq!(count(&admin, "idempotency_keys").await, 0);

    runs.store(0, Ordering::SeqCst);
    let cx = call_under("k", "r");
    // No answer, so it runs again.
    let error = work(&cx, Some(Kind::Unavailable)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    for _ in 0..2 {
        assert_eq!(work(&cx, None).await.unwrap(), "done");
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    // Another request is refused before anything runs.
    let error = work(&call_under("k", "other"), None).await.unwrap_err();
    assert_eq!(error.http_status(), 422);
    assert_eq!(runs.load(Ordering::SeqCst), 2);

    // An error that is an answer is one.
    let cx = call_under("refused", "r");
    for _ in 0..2 {
        let error = work(&cx, Some(Kind::FailedPrecondition)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition);
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }
}

#[tokio::test]
async fn of_many_at_once_outside_of_a_transaction_all_get_the_answer() {
    let (test, admin) = things().await;
    let database = database(test.url());
    let work = |_: usize| {
        let database = database.clone();
        tokio::spawn(async move {
            let cx = call_under("k", "r");
            let done = async { Ok("done".to_owned()) };
            database.once(&cx, done).await
        })
    };
    for task in (0..8).map(work).collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(answer) => assert_eq!(answer, "done"),
            // It came while another recorded the answer.
            Err(error) => assert_eq!(error.http_status(), 409),
        }
    }
    assert_eq!(count(&admin, "idempotency_keys").await, 1);
}
