//! gRPC server reflection at the gateway's address, as grpcurl uses it.

use std::time::Duration;

use futures_util::StreamExt;
use prost_reflect::DescriptorPool;
use tokio::sync::mpsc;
use tonic::{Code, Streaming, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_client::ServerReflectionClient, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use super::{
    engine::{Data, Engine, PATIENCE},
    until,
};

/// A stream on which a client asks, waits for the answer, and asks again: it ends its side last.
struct Conversation {
    ask: mpsc::Sender<ServerReflectionRequest>,
    answers: Streaming<ServerReflectionResponse>,
}

impl Conversation {
    async fn begin(channel: &Channel) -> Result<Self, tonic::Status> {
        let (ask, mut asked) = mpsc::channel(1);
        let questions = futures_util::stream::poll_fn(move |cx| asked.poll_recv(cx));
        let mut client = ServerReflectionClient::new(channel.clone());
        let answers = client.server_reflection_info(questions).await?.into_inner();
        Ok(Self { ask, answers })
    }

    async fn ask(&mut self, question: MessageRequest) -> MessageResponse {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        self.ask.send(request).await.expect("the stream is open");
        let answer = tokio::time::timeout(PATIENCE, self.answers.next()).await;
        let answer = answer.expect("an answer while the client's side is open");
        let answer = answer.expect("the stream goes on").expect("an answer");
        answer.message_response.expect("it says something")
    }
}

async fn channel(engine: &Engine) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", engine.gateway()));
    let endpoint = endpoint.expect("an address is a URI");
    endpoint.connect().await.expect("the gateway is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_learns_everything_while_its_stream_is_open() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let channel = channel(&engine).await;
    let mut conversation = Conversation::begin(&channel).await.expect("it begins");
    let listed = conversation.ask(MessageRequest::ListServices(String::new()));
    let MessageResponse::ListServicesResponse(listed) = listed.await else {
        panic!("not a list of services");
    };
    let pool = DescriptorPool::decode(zerocart_proto::DESCRIPTORS).expect("our descriptors");
    for service in pool.services() {
        let name = service.full_name();
        assert!(listed.service.iter().any(|s| s.name == name), "{name}");
        let file = MessageRequest::FileContainingSymbol(name.to_owned());
        match conversation.ask(file).await {
            MessageResponse::FileDescriptorResponse(files) => {
                assert_eq!(
                    files.file_descriptor_proto,
                    [service.parent_file().encode_to_vec()]
                );
            }
            other => panic!("{other:?}"),
        }
    }
    let status = engine.status("grpc-reflection").await;
    assert_eq!((status.cold_starts, status.instances.len()), (1, 1));
    for function in engine.ps().await {
        let woke = function.cold_starts > 0;
        assert_eq!(
            woke,
            function.name == "grpc-reflection",
            "{}",
            function.name
        );
    }
    // And nothing is left of it once nobody asks.
    drop(conversation);
    let window = Duration::from_secs(30) + PATIENCE;
    until("reflection is back at zero", window, || async {
        let status = engine.status("grpc-reflection").await;
        status.instances.is_empty().then_some(())
    })
    .await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_begin_so_many_streams() {
    let data = Data::new();
    let engine = Engine::start(&data).await;
    let channel = channel(&engine).await;
    let mut begun = 0;
    // A minute may begin meanwhile, and then another hundred are let through.
    while begun <= 200 {
        match Conversation::begin(&channel).await {
            Ok(_) => begun += 1,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                break;
            }
        }
    }
    assert!((100..=200).contains(&begun), "{begun}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_forgotten_is_cut_off() {
    let data = Data::new();
    let engine = Engine::start_with(&data, &["--in-process"]).await;
    let channel = channel(&engine).await;
    let mut conversation = Conversation::begin(&channel).await.expect("it begins");
    conversation
        .ask(MessageRequest::ListServices(String::new()))
        .await;
    let ended = tokio::time::timeout(PATIENCE, conversation.answers.next()).await;
    match ended.expect("it ends though the client does nothing") {
        None => {}
        Some(Err(status)) => assert_ne!(status.code(), Code::Ok),
        Some(Ok(answer)) => panic!("{answer:?}"),
    }
    engine.stop().await;
}
