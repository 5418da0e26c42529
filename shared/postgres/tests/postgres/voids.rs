//! The list of void tokens.

use uuid::Uuid;
use zerocart_auth::{Identity, Issuer, Role};
use zerocart_core::{
    Env, Kind, Setup,
    voids::{VoidList, Voids},
};
use zerocart_postgres::{Database, Options};
use zerocart_proto::rpc::{CreateUser, GetUser, Info, Rpc};
use zerocart_test_support::postgres::{TestDatabase, TestServer};

use std::{sync::Arc, time::Duration};

use crate::{
    proxy::Proxy,
    support::{call, call_within, connect, count},
};

const SELECT: &str = "SELECT 40 + 2";

/// The database of a function that serves `rpc`, after its start, and its list.
async fn started(url: &str, rpc: &'static Info) -> (Database, Arc<dyn VoidList>) {
    let env = Env::from_iter([("DATABASE_URL", url)]);
    let mut setup = Setup::new(env, "test").serving(rpc);
    let database = Database::from_setup(&mut setup, Options::preparing(&[SELECT])).unwrap();
    let list = setup.registered_void_list().unwrap();
    let (_, _, background, _) = setup.finish();
    for task in background {
        task.await;
    }
    (database, list)
}

/// The generations from 0 to 3 whose tokens of `user` are void.
fn void(voids: &Voids, user: Uuid) -> Vec<u32> {
    let identity = |generation| Identity {
        subject: user.to_string(),
        role: Role::Customer,
        issuer: Issuer::User,
        generation,
    };
    (0..4)
        .filter(|generation| voids.has(&identity(*generation)))
        .collect()
}

#[tokio::test]
async fn the_first_connection_reads_the_list_in_no_round_trip_of_its_own() {
    let test = TestDatabase::new("user").await;
    let admin = connect(test.admin_url()).await;
    let user = Uuid::now_v7();
    let insert = "INSERT INTO token_voids VALUES ($1, 2, now() + interval '1 minute')";
    admin.execute(insert, &[&user]).await.unwrap();
    let proxy = Proxy::before(test.url(), []).await;
    let url = proxy.url(test.url());
    let (_anyone, none) = started(&url, &CreateUser::INFO).await;
    let trips = proxy.round_trips();
    let (_people, list) = started(&url, &GetUser::INFO).await;
    assert_eq!(proxy.round_trips(), trips);

    let voids = list.at_start().await.unwrap();
    assert_eq!(void(&voids, user), [0, 1]);
    assert_eq!(void(&voids, Uuid::now_v7()), [0; 0]);
    // Where anyone may call, it is read if it is needed.
    assert!(none.at_start().await.is_none());
    assert_eq!(proxy.round_trips(), 0);
    let cx = call();
    for voids in [
        none.read(&cx).await,
        list.read(&cx).await,
        list.refresh().await,
    ] {
        assert_eq!(void(&voids.unwrap(), user), [0, 1]);
        assert_eq!(proxy.round_trips(), 1);
    }
}

#[tokio::test]
async fn the_highest_generation_counts_until_no_token_is_left() {
    let test = TestDatabase::new("user").await;
    let admin = connect(test.admin_url()).await;
    let (database, list) = started(test.url(), &GetUser::INFO).await;
    let users = [Uuid::now_v7(), Uuid::now_v7()];
    for (user, generation, good_from) in [
        (users[0], 1, 1),
        (users[0], 3, 3),
        (users[0], 2, 3),
        (users[1], 1, 1),
    ] {
        let session = database.session(&call()).await.unwrap();
        let recorded = session.record_void(user, generation).await.unwrap();
        assert_eq!(recorded, good_from);
    }
    let voids = list.read(&call()).await.unwrap();
    assert_eq!(void(&voids, users[0]), [0, 1, 2]);
    assert_eq!(void(&voids, users[1]), [0]);

    // They are kept for longer than a token may live, and then taken away by a later one.
    let kept = "SELECT min(until) - now() > interval '24 hours 30 minutes' FROM token_voids";
    let kept: bool = admin.query_one(kept, &[]).await.unwrap().get(0);
    assert!(kept);
    let over = "UPDATE token_voids SET until = now()";
    admin.execute(over, &[]).await.unwrap();
    let voids = list.read(&call()).await.unwrap();
    assert_eq!(void(&voids, users[0]), [0; 0]);
    assert_eq!(count(&admin, "token_voids").await, 2);
    let session = database.session(&call()).await.unwrap();
    // Its own is renewed, and no generation is forgotten.
    assert_eq!(session.record_void(users[0], 1).await.unwrap(), 3);
    assert_eq!(count(&admin, "token_voids").await, 1);
}

#[tokio::test]
async fn without_a_database_there_is_no_list() {
    let mut server = TestServer::private().await;
    let test = server.database("user").await;
    server.stop().await;
    let (_database, list) = started(test.url(), &GetUser::INFO).await;
    assert!(list.at_start().await.is_none());
    let cx = call_within(Duration::from_secs(60));
    let error = list.read(&cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.retry_after().is_some());
    assert!(list.refresh().await.is_err());
}
