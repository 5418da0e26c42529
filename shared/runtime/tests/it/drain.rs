//! The end of a function: what runs goes on, nothing new begins.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime,
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};
use zerocart_core::Env;
use zerocart_proto::rpc::{GetProduct, Rpc};
use zerocart_runtime::{build, serve_router};
use zerocart_test_support::{
    clients::{Client, Wire},
    functions::{PATIENCE, Script, Scripted},
};

use crate::{env, get_tea, tea};

/// get-product, which says when a call began, and answers when it is let.
struct Held {
    address: SocketAddr,
    began: mpsc::UnboundedReceiver<()>,
    gate: Arc<Semaphore>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

async fn held(drain: Duration) -> Held {
    let (begin, began) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let inside = Arc::clone(&gate);
    let script = Script::<GetProduct>::new(move |_, _| {
        let (begin, inside) = (begin.clone(), Arc::clone(&inside));
        async move {
            begin.send(()).unwrap();
            inside.acquire().await.unwrap().forget();
            Ok(tea())
        }
    });
    let variables = env(&[]).into_iter().chain([script.into_env()]);
    let built = build::<Scripted<GetProduct>>(Env::from_iter(variables)).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let server = tokio::spawn(serve_router(listener, built.router, stopped, drain));
    Held {
        address,
        began,
        gate,
        stop,
        server,
    }
}

/// Waits until nothing listens at `address` any more.
async fn refused(address: SocketAddr) {
    let refused = async {
        loop {
            match TcpStream::connect(address).await {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
                // Accepted before the end, or reset by it.
                _ => tokio::task::yield_now().await,
            }
        }
    };
    timeout(PATIENCE, refused)
        .await
        .expect("it stops listening");
}

#[tokio::test]
async fn what_runs_ends_and_nothing_new_begins() {
    for wire in Wire::ALL {
        let mut held = held(10 * PATIENCE).await;
        let client = Client::new(wire, held.address);
        let call = tokio::spawn(async move { client.call::<GetProduct>(&get_tea()).await });
        held.began.recv().await.unwrap();
        held.stop.send(()).unwrap();
        refused(held.address).await;
        assert!(
            !call.is_finished() && !held.server.is_finished(),
            "{wire:?}"
        );
        held.gate.add_permits(1);
        assert_eq!(call.await.unwrap().ok(), tea(), "{wire:?}");
        let ended = timeout(PATIENCE, held.server).await;
        ended.expect("it ends with its last call").unwrap();
    }
}

#[tokio::test]
async fn the_drain_is_bounded() {
    for wire in Wire::ALL {
        let mut held = held(Duration::from_millis(20)).await;
        let client = Client::new(wire, held.address);
        let call = tokio::spawn(async move { client.call::<GetProduct>(&get_tea()).await });
        held.began.recv().await.unwrap();
        held.stop.send(()).unwrap();
        let ended = timeout(PATIENCE, held.server).await;
        ended
            .expect("it does not wait for a call that never ends")
            .unwrap();
        call.abort();
    }
}

#[tokio::test]
async fn idle_connections_hold_nothing_up() {
    let held = held(10 * PATIENCE).await;
    // One that never said a word, one between two requests. (Half a head may be the begin of a
    // call: it has the time that any head has.)
    let mut silent = TcpStream::connect(held.address).await.unwrap();
    let mut idle = TcpStream::connect(held.address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let h2 = Client::new(Wire::Http2, held.address);
    assert_eq!(h2.get("/health").await.status, 200);

    held.stop.send(()).unwrap();
    let ended = timeout(PATIENCE, held.server).await;
    ended.expect("nothing runs").unwrap();
    for (what, stream) in [("silent", &mut silent), ("idle", &mut idle)] {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        // An end or a reset: either way it is closed.
        assert!(read.is_ok(), "{what}");
    }
}

/// A client that asks for nothing is not waited for; the clock runs ahead while nothing happens.
#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let held = held(PATIENCE).await;
    for begin in [&b""[..], b"PRI * HTTP/2.0\r\n", b"GET /health HT"] {
        let mut silent = TcpStream::connect(held.address).await.unwrap();
        silent.write_all(begin).await.unwrap();
        let mut rest = Vec::new();
        let began = tokio::time::Instant::now();
        let read = timeout(10 * PATIENCE, silent.read_to_end(&mut rest)).await;
        // An end or a reset: either way it is closed.
        assert!(read.is_ok(), "{begin:?}");
        assert!(began.elapsed() >= Duration::from_secs(10), "{begin:?}");
    }
    held.stop.send(()).unwrap();
    held.server.await.unwrap();
}

/// Calls of the same client under way at once.
const LANES: u32 = 24;

/// The server ends under load: each call that it has executed is answered, although the client still writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_that_was_executed_is_answered() {
    let mut all = 0;
    for round in 0..150 {
        let executed = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&executed);
        let script = Script::<GetProduct>::new(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok(tea()) }
        });
        let variables = env(&[]).into_iter().chain([script.into_env()]);
        let built = build::<Scripted<GetProduct>>(Env::from_iter(variables)).unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        // One thread, as in a function.
        let server = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let stopped = async { drop(stopped.await) };
                serve_router(listener, built.router, stopped, PATIENCE).await;
            });
        });
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let client = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = client.await.unwrap();
        tokio::spawn(connection);
        let calls = (0..LANES).map(|_| tokio::spawn(answers(sender.clone(), address)));
        let calls: Vec<_> = calls.collect();
        drop(sender);
        sleep(Duration::from_micros(2000 + round * 37 % 5000)).await;
        stop.send(()).unwrap();
        let mut answered = 0;
        for call in calls {
            answered += call.await.unwrap();
        }
        server.join().unwrap();
        assert_eq!(executed.load(Ordering::Relaxed), answered, "round {round}");
        all += answered;
    }
    assert!(all > 150 * LANES, "{all}");
}

/// Calls one after the other until there is no answer: how many there were.
async fn answers(mut sender: http2::SendRequest<Body>, address: SocketAddr) -> u32 {
    let message = get_tea().encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    let framed = [&[0][..], &length.to_be_bytes(), &message].concat();
    for answered in 0.. {
        let request = Request::post(format!("http://{address}{}", GetProduct::INFO.grpc_path))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::from(framed.clone()))
            .unwrap();
        let Ok(answer) = sender.send_request(request).await else {
            return answered;
        };
        let Ok(body) = answer.into_body().collect().await else {
            return answered;
        };
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    }
    unreachable!("it ends without an answer")
}
