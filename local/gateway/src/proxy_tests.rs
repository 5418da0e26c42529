//! Attempts and time limits over a scripted upstream, on a paused clock.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Channel};

use super::*;
use crate::sending::Broken;

/// What the upstream does with an attempt.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Refuse,
    ConnectTimeout,
    Unknown,
    /// Takes the whole body, then breaks.
    BreakAfterBody,
    /// Never takes the body.
    Ignore,
    /// Takes the whole body, and answers after so many seconds.
    AnswerAfter(u64),
}

#[derive(Debug, Clone)]
struct Script {
    deeds: Arc<Mutex<VecDeque<Deed>>>,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn new(deeds: &[Deed]) -> Self {
        let deeds = Arc::new(Mutex::new(deeds.iter().copied().collect()));
        Self {
            deeds,
            bodies: Arc::default(),
        }
    }

    async fn take(&self, body: Body) -> Result<(), UpstreamError> {
        let body = body
            .collect()
            .await
            .map_err(|error| UpstreamError::Broken(error.into()))?;
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        self.bodies.lock().unwrap().push(text);
        Ok(())
    }
}

impl Upstream for Script {
    async fn send(
        &self,
        target: Target,
        request: Request<Body>,
    ) -> Result<Response<Body>, UpstreamError> {
        assert_eq!(target.host, "h");
        let deed = self
            .deeds
            .lock()
            .unwrap()
            .pop_front()
            .expect("one attempt too many");
        let connect = |kind: io::ErrorKind| UpstreamError::Connect(io::Error::from(kind).into());
        match deed {
            Deed::Refuse => Err(connect(io::ErrorKind::ConnectionRefused)),
            Deed::ConnectTimeout => Err(connect(io::ErrorKind::TimedOut)),
            Deed::Unknown => Err(UpstreamError::Resolve("no such host".into())),
            Deed::BreakAfterBody => {
                self.take(request.into_body()).await?;
                Err(UpstreamError::Broken("reset".into()))
            }
            Deed::Ignore => {
                let _held = request;
                std::future::pending().await
            }
            Deed::AnswerAfter(seconds) => {
                self.take(request.into_body()).await?;
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(Response::new(Body::empty()))
            }
        }
    }
}

fn service() -> Service {
    Service {
        name: "s".to_owned(),
        host: "h".to_owned(),
        port: 80,
        protocol: Protocol::Http,
        path: None,
        retries: 2,
        connect_timeout: Duration::from_secs(1),
        write_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(30),
    }
}

async fn status(script: &Script, method: Method, body: impl Into<RequestBody>) -> u16 {
    let outbound = Outbound {
        method,
        uri: Uri::from_static("http://h/"),
        headers: HeaderMap::new(),
        body: body.into(),
    };
    match forward(script, &service(), outbound).await {
        Ok(response) => response.status().as_u16(),
        Err(reply) => reply.status().as_u16(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_repeated_and_what_becomes_of_it() {
    use Deed::{AnswerAfter, BreakAfterBody, ConnectTimeout, Ignore, Refuse, Unknown};
    let get = Method::GET;
    let post = Method::POST;
    let cases: [(Method, &[Deed], u16); 10] = [
        // Nothing was sent: anything may be tried again.
        (post.clone(), &[Refuse, Refuse, AnswerAfter(1)], 200),
        (post.clone(), &[Refuse, Refuse, Refuse], 502),
        (
            post.clone(),
            &[ConnectTimeout, ConnectTimeout, ConnectTimeout],
            504,
        ),
        // Something was sent.
        (post.clone(), &[BreakAfterBody], 502),
        (post.clone(), &[AnswerAfter(31)], 504),
        (
            get.clone(),
            &[BreakAfterBody, AnswerAfter(31), AnswerAfter(29)],
            200,
        ),
        (
            get.clone(),
            &[AnswerAfter(31), AnswerAfter(31), AnswerAfter(31)],
            504,
        ),
        // A host that is not known is not asked for again.
        (get.clone(), &[Unknown], 503),
        // The upstream does not take the body: the limit for writing.
        (post, &[Ignore], 504),
        (Method::PUT, &[Ignore, Refuse, AnswerAfter(0)], 200),
    ];
    for (method, deeds, expected) in cases {
        let script = Script::new(deeds);
        let got = status(&script, method.clone(), Bytes::from_static(b"body")).await;
        assert_eq!(got, expected, "{method} {deeds:?}");
        assert!(
            script.deeds.lock().unwrap().is_empty(),
            "{method} {deeds:?}"
        );
        for body in script.bodies.lock().unwrap().iter() {
            assert_eq!(body, "body", "every attempt sends the whole body");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn writing_and_reading_have_limits_of_their_own() {
    let start = Instant::now();
    status(
        &Script::new(&[Deed::Ignore]),
        Method::POST,
        Bytes::from_static(b"body"),
    )
    .await;
    assert_eq!(start.elapsed().as_secs(), 10);
    let start = Instant::now();
    status(
        &Script::new(&[Deed::AnswerAfter(99)]),
        Method::POST,
        Bytes::from_static(b"body"),
    )
    .await;
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_not_the_upstreams_fault() {
    let (mut client, body) = Channel::<Bytes, Broken>::new(1);
    let script = Script::new(&[Deed::AnswerAfter(1)]);
    let sending = async {
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(45)).await;
            client.send_data(Bytes::from_static(b"x")).await.unwrap();
        }
        drop(client);
    };
    let (got, ()) = tokio::join!(status(&script, Method::POST, Body::new(body)), sending);
    assert_eq!(got, 200);

    let (_silent, body) = Channel::<Bytes, Broken>::new(1);
    let start = Instant::now();
    let script = Script::new(&[Deed::AnswerAfter(1)]);
    assert_eq!(status(&script, Method::POST, Body::new(body)).await, 408);
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn only_grpc_has_trailers() {
    for trailers in [false, true] {
        let (mut upstream, body) = Channel::<Bytes, Broken>::new(2);
        upstream.send_data(Bytes::from_static(b"x")).await.unwrap();
        upstream.send_trailers(HeaderMap::new()).await.unwrap();
        drop(upstream);
        let metrics = Arc::new(crate::plugins::prometheus::Metrics::new());
        let id = http::HeaderValue::from_static("0123");
        let seen = Observation::new(&metrics, &Method::GET, id);
        let body = Outgoing::new(Body::new(body), trailers, Duration::from_secs(1), seen);
        let collected = body.collect().await.unwrap();
        assert_eq!(collected.trailers().is_some(), trailers);
        assert_eq!(collected.to_bytes(), "x");
    }
}
