//! Over a socket, with the clients of both versions.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream};
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tokio::net::TcpListener;
use tonic::{Code, Status, transport::Endpoint};
use zerocart_runtime::serve_router;

use super::*;

/// The client of one version, in words that are the same for both.
macro_rules! version {
    ($name:ident) => {
        mod $name {
            use tonic_reflection::pb::$name as pb;

            use super::*;
            use pb::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };

            /// The answers to `questions`, asked on one stream, up to the first error.
            async fn ask(
                address: SocketAddr,
                questions: Vec<MessageRequest>,
            ) -> (Vec<MessageResponse>, Option<Status>) {
                let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
                let mut client = ServerReflectionClient::new(endpoint.connect().await.unwrap());
                let questions = questions
                    .into_iter()
                    .map(|question| ServerReflectionRequest {
                        host: String::new(),
                        message_request: Some(question),
                    });
                let answers = client.server_reflection_info(stream::iter(questions)).await;
                let mut answers = match answers {
                    Ok(answers) => answers.into_inner(),
                    Err(status) => return (Vec::new(), Some(status)),
                };
                let mut given = Vec::new();
                while let Some(answer) = answers.next().await {
                    match answer {
                        Ok(answer) => given.push(answer.message_response.expect("an answer")),
                        Err(status) => return (given, Some(status)),
                    }
                }
                (given, None)
            }

            async fn files(address: SocketAddr, question: MessageRequest) -> Vec<Vec<u8>> {
                let (mut answers, status) = ask(address, vec![question]).await;
                match (answers.pop(), status) {
                    (Some(MessageResponse::FileDescriptorResponse(files)), None) => {
                        files.file_descriptor_proto
                    }
                    other => panic!("{other:?}"),
                }
            }

            #[tokio::test]
            async fn everything_is_there_word_for_word() {
                let address = serve().await;
                let listed = ask(address, vec![MessageRequest::ListServices(String::new())]);
                let (mut listed, status) = listed.await;
                let Some(MessageResponse::ListServicesResponse(listed)) = listed.pop() else {
                    panic!("{listed:?} {status:?}");
                };
                let listed = listed.service.into_iter().map(|service| service.name);
                let itself = concat!("grpc.reflection.", stringify!($name), ".ServerReflection");
                let wanted = services().chain([itself.to_owned()]);
                assert_eq!(
                    listed.collect::<BTreeSet<_>>(),
                    wanted.collect::<BTreeSet<_>>()
                );
                for file in ours() {
                    let name = file.name.clone().expect("files have names");
                    let found = files(address, MessageRequest::FileByFilename(name)).await;
                    // With the options that prost does not know: they are decoded alike, at least.
                    let found: Vec<_> = found.iter().map(|f| decode(f)).collect();
                    assert_eq!(found, [file]);
                }
                let details = ["ErrorInfo", "BadRequest", "RequestInfo", "RetryInfo"];
                let details = details.map(|name| format!("google.rpc.{name}"));
                for symbol in symbols().chain(details) {
                    let question = MessageRequest::FileContainingSymbol(symbol.clone());
                    assert_eq!(files(address, question).await.len(), 1, "{symbol}");
                }
            }

            #[tokio::test]
            async fn all_of_it_may_be_asked_on_one_stream_and_not_much_more() {
                let address = serve().await;
                let all = symbols().map(MessageRequest::FileContainingSymbol);
                let all: Vec<_> = all.collect();
                let (answers, status) = ask(address, all.clone()).await;
                assert_eq!((answers.len(), status.map(|s| s.code())), (all.len(), None));
                let answered: usize = answers.iter().map(size).sum();
                assert!(2 * answered < MAX_ANSWER_BYTES, "{answered} bytes");

                // Too many questions, of the smallest answers; and too large answers.
                let large = MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".into());
                for (question, most) in [
                    (
                        MessageRequest::ListServices(String::new()),
                        MAX_QUESTION_BYTES / 5,
                    ),
                    (large, MAX_ANSWER_BYTES / 5_000),
                ] {
                    let (answers, status) = ask(address, vec![question; most]).await;
                    let code = status.map(|status| status.code());
                    assert_eq!(code, Some(Code::ResourceExhausted));
                    assert!((1..most).contains(&answers.len()), "{}", answers.len());
                }
                // Nobody else is affected.
                assert_eq!(ask(address, all.clone()).await.0.len(), all.len());
            }

            #[tokio::test]
            async fn what_is_not_there_is_not_found() {
                let address = serve().await;
                for question in [
                    MessageRequest::FileContainingSymbol("user.Nobody".into()),
                    MessageRequest::FileByFilename("../../etc/passwd".into()),
                ] {
                    let (answers, status) = ask(address, vec![question]).await;
                    let status = status.expect("an error");
                    assert_eq!((answers.len(), status.code()), (0, Code::NotFound));
                }
                let long = "x".repeat(MAX_QUESTION_BYTES);
                let long = MessageRequest::FileContainingSymbol(long);
                let (answers, status) = ask(address, vec![long]).await;
                let code = status.map(|status| status.code());
                assert_eq!((answers.len(), code), (0, Some(Code::ResourceExhausted)));
            }

            fn size(answer: &MessageResponse) -> usize {
                match answer {
                    MessageResponse::FileDescriptorResponse(files) => files.encoded_len(),
                    _ => 0,
                }
            }
        }
    };
}

version!(v1);
version!(v1alpha);

/// The service on a port of its own.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let built = (SERVICE.build)(Platform::default(), Env::default()).unwrap();
    let never = std::future::pending();
    tokio::spawn(serve_router(listener, built.router, never, Duration::ZERO));
    address
}

fn decode(file: &[u8]) -> FileDescriptorProto {
    FileDescriptorProto::decode(file).unwrap()
}

fn ours() -> Vec<FileDescriptorProto> {
    FileDescriptorSet::decode(zerocart_proto::DESCRIPTORS)
        .unwrap()
        .file
}

fn services() -> impl Iterator<Item = String> {
    ours().into_iter().flat_map(|file| {
        let package = file.package().to_owned();
        let services = file.service.into_iter();
        services.map(move |service| format!("{package}.{}", service.name()))
    })
}

/// Each service, method and message.
fn symbols() -> impl Iterator<Item = String> {
    ours().into_iter().flat_map(|file| {
        let package = file.package().to_owned();
        let mut symbols = Vec::new();
        for service in &file.service {
            let service_name = format!("{package}.{}", service.name());
            let methods = service.method.iter();
            symbols.extend(methods.map(|method| format!("{service_name}.{}", method.name())));
            symbols.push(service_name);
        }
        let messages = file.message_type.iter();
        symbols.extend(messages.map(|message| format!("{package}.{}", message.name())));
        symbols
    })
}

/// A question that cannot be read is neither answered nor skipped, for all ways to split its bytes.
#[tokio::test]
async fn a_question_that_cannot_be_read_is_told_so() {
    // ListServices
    let good = [0, 0, 0, 0, 2, 0x3a, 0];
    let bad: [(&str, &[u8], &str); 6] = [
        ("a head that is cut off", &[0, 0, 0], "13"),
        ("a message that is cut off", &[0, 0, 0, 0, 9, 0x3a, 0], "13"),
        (
            "a message too long to come",
            &[0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3],
            "8",
        ),
        (
            "compressed, and nobody said how",
            &[1, 0, 0, 0, 3, 1, 2, 3],
            "13",
        ),
        (
            "a number that does not end",
            &[
                0, 0, 0, 0, 12, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
            ],
            "3",
        ),
        ("no UTF-8", &[0, 0, 0, 0, 4, 0x3a, 2, 0xff, 0xfe], "3"),
    ];
    for size in [1, 3, 100] {
        assert_eq!(told(&good.repeat(3), size).await, "0", "good, by {size}");
        assert_eq!(told(b"", size).await, "0", "nothing at all");
        for (name, bad, status) in bad {
            for before in [0, 2] {
                let questions = [&good.repeat(before), bad].concat();
                assert_eq!(told(&questions, size).await, status, "{name}, by {size}");
            }
        }
    }
}

/// The status of what is said to these bytes, which come in pieces of `size`.
async fn told(questions: &[u8], size: usize) -> String {
    use axum::{body::Body, extract::Request};
    use http_body_util::{BodyExt, StreamBody};
    use tower::Service as _;
    let pieces: Vec<_> = questions.chunks(size).map(<[u8]>::to_vec).collect();
    let pieces = pieces
        .into_iter()
        .map(|piece| Ok::<_, std::convert::Infallible>(http_body::Frame::data(piece.into())));
    let request = Request::post("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        .header("content-type", "application/grpc")
        .body(Body::new(StreamBody::<_>::new(stream::iter(pieces))))
        .unwrap();
    let response = routes().unwrap().call(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    let status = body.trailers().unwrap().get("grpc-status").unwrap();
    status.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_lives_and_has_nothing_else() {
    let address = serve().await;
    for (path, status, words) in [
        ("/health", 200, "\"ok\""),
        ("/ready", 200, "\"ok\""),
        ("/users", 404, "\"NOT_FOUND\""),
    ] {
        let response = get(address, path).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{response}"
        );
        assert!(response.contains(words), "{response}");
        assert!(
            response.contains("x-content-type-options: nosniff"),
            "{response}"
        );
    }
}

/// The answer to a GET, as text.
async fn get(address: SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}
