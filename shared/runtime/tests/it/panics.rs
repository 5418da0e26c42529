//! A handler that panics answers one clean error, and the process goes on.

use tonic::Code;
use zerocart_proto::rpc::GetProduct;
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::Script,
};

use crate::{TEA, get_tea, serve, tea};

#[tokio::test]
async fn a_panic_is_one_internal_error() {
    let function = serve(Script::<GetProduct>::new(|_, request| {
        // Before the first await, after one, and with something that is no text.
        match request.id.as_bytes()[0] {
            b'1' => panic!("the password is hunter2"),
            b'2' => std::panic::panic_any(7),
            _ => {}
        }
        async move {
            tokio::task::yield_now().await;
            assert!(
                !request.id.starts_with('3'),
                "the password is {}",
                "hunter2"
            );
            Ok(tea())
        }
    }))
    .await;
    for wire in Wire::ALL {
        let client = Client::new(wire, function.address());
        for first in ["1", "2", "3"] {
            let mut bad = get_tea();
            bad.id.replace_range(..1, first);
            let outcome = client.call::<GetProduct>(&bad).await;
            assert_eq!(outcome.code, Code::Internal, "{wire:?} {first}");
            assert_eq!(outcome.message, "an internal error occurred", "{wire:?}");
            assert!(!format!("{outcome:?}").contains("hunter2"), "{wire:?}");
            if wire.is_json() {
                assert_eq!(outcome.http_status, 500, "{wire:?}");
            }
            // The same connection, the same process.
            client.call::<GetProduct>(&get_tea()).await.ok();
        }
    }
}

#[tokio::test]
async fn a_panic_ends_no_other_call() {
    let (began, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let inside = std::sync::Arc::clone(&gate);
    let function = serve(Script::<GetProduct>::new(move |_, request| {
        let (began, inside) = (began.clone(), std::sync::Arc::clone(&inside));
        async move {
            assert_eq!(request.id, TEA);
            began.send(()).unwrap();
            inside.acquire().await.unwrap().forget();
            Ok(tea())
        }
    }))
    .await;
    // One h2c connection carries both.
    let client = Client::new(Wire::Grpc, function.address());
    let other = client.clone();
    let running = tokio::spawn(async move { other.call::<GetProduct>(&get_tea()).await });
    has_begun.recv().await.unwrap();
    let mut bad = get_tea();
    bad.id.replace_range(..1, "1");
    let outcome = client.call::<GetProduct>(&bad).await;
    assert_eq!(outcome.code, Code::Internal);
    gate.add_permits(1);
    running.await.unwrap().ok();
}
