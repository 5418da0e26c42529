//! HTTP/2, frame by frame: what a client library hides.

use httlib_hpack::{Decoder, Encoder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{DEADLINE, Echo, Running, config};
use zerocart_gateway::Consumers;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u8,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags, 0, 0, 0, stream]);
    bytes.extend(payload);
    bytes
}

async fn read(stream: &mut TcpStream) -> Frame {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length.try_into().unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    Frame {
        kind: head[3],
        flags: head[4],
        stream: head[8],
        payload,
    }
}

/// The frames that answer a request with these fields.
async fn answer(running: &Running, fields: &[(&str, &str)]) -> Vec<Frame> {
    let mut block = Vec::new();
    for (name, value) in fields {
        let field = (name.as_bytes().to_vec(), value.as_bytes().to_vec(), 0);
        Encoder::default().encode(field, &mut block).unwrap();
    }
    let mut stream = TcpStream::connect(("127.0.0.1", running.port))
        .await
        .unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let flags = END_STREAM | END_HEADERS;
    stream
        .write_all(&frame(HEADERS, flags, 1, &block))
        .await
        .unwrap();
    let mut frames = Vec::new();
    let reading = async {
        loop {
            let frame = read(&mut stream).await;
            if frame.stream == 1 {
                let ends = frame.flags & END_STREAM > 0;
                frames.push(frame);
                if ends {
                    break;
                }
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap();
    frames
}

fn status(frames: &[Frame]) -> u16 {
    assert_eq!(frames[0].kind, HEADERS);
    let mut fields = Vec::new();
    let mut block = frames[0].payload.clone();
    Decoder::default().decode(&mut block, &mut fields).unwrap();
    let (_, status, _) = fields.iter().find(|(name, ..)| name == b":status").unwrap();
    std::str::from_utf8(status).unwrap().parse().unwrap()
}

async fn running() -> (Echo, Running) {
    let echo = Echo::start().await;
    let document = "{name: request-termination, config: {status_code: 200, body: abc}}";
    let routes = format!(
        "{{name: own, paths: [/own], plugins: [{document}]}}, \
         {{name: r, paths: [/a], strip_path: false}}"
    );
    let running = Running::start(&config(echo.port, "", &routes, ""), Consumers::none()).await;
    (echo, running)
}

/// RFC 9110, section 9.3.2. An empty DATA frame is one, too.
#[tokio::test]
async fn head_is_answered_without_data() {
    let (_echo, running) = running().await;
    for (path, expected) in [("/own", 200), ("/a", 200), ("/nowhere", 404)] {
        for method in ["HEAD", "GET"] {
            let fields = [
                (":method", method),
                (":scheme", "http"),
                (":path", path),
                (":authority", "a"),
            ];
            let frames = answer(&running, &fields).await;
            assert_eq!(status(&frames), expected, "{method} {path}");
            let data = frames.iter().filter(|frame| frame.kind == DATA).count();
            assert_eq!(data > 0, method == "GET", "{method} {path}");
        }
    }
}

/// nginx takes `:authority` for a `Host` header.
#[tokio::test]
async fn a_request_is_for_one_host() {
    let (echo, running) = running().await;
    let of = |hosts: &[(&'static str, &'static str)]| {
        let mut fields = vec![(":method", "GET"), (":scheme", "http"), (":path", "/a")];
        fields.extend(hosts);
        fields
    };
    for (hosts, expected) in [
        (&[(":authority", "a")][..], 200),
        (&[("host", "a")], 200),
        (&[(":authority", "a"), ("host", "b")], 400),
        (&[(":authority", "a"), ("host", "a")], 400),
        (&[("host", "a"), ("host", "a")], 400),
        (&[], 400),
    ] {
        let frames = answer(&running, &of(hosts)).await;
        assert_eq!(status(&frames), expected, "{hosts:?}");
    }
    assert_eq!(echo.seen(), 2);
}
