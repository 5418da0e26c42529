//! The RPC over gRPC and gRPC-Web, at its own path alone.

use std::{future::Future, marker::PhantomData, pin::Pin};

use axum::{body::Body, extract::State};
use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response, header};
use prost::Message;
use tonic::{
    Status, Streaming,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    server::ClientStreamingService,
};
use tower::{ServiceExt, service_fn};
use zerocart_core::{Error, Function, Kind, Response as Reply, trace::TraceContext};
use zerocart_proto::rpc::Rpc;

use crate::{
    frames::OneMessage,
    invoke::{Answer, Protocol, Runtime},
    json::{self, MAX_REQUEST_BYTES},
    problem,
};

/// Answers the RPC's gRPC path.
pub(crate) async fn call<F: Function>(
    State(runtime): State<Runtime<F>>,
    request: Request<Body>,
) -> Response<Body> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    if content_type.starts_with(b"application/grpc-web") {
        let native = service_fn(move |request: Request<tonic::body::Body>| {
            let runtime = runtime.clone();
            async move {
                Ok::<_, std::convert::Infallible>(unary(runtime, request.map(Body::new)).await)
            }
        });
        let translated = tonic_web::GrpcWebLayer::new();
        let service = tower::Layer::layer(&translated, native);
        match service.oneshot(request).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        }
    } else if content_type.starts_with(b"application/grpc") {
        unary(runtime, request).await.map(Body::new)
    } else {
        let trace = TraceContext::from_headers(request.headers());
        let error = Error::field("content-type", "must be application/grpc at this path")
            .with_http_status(415);
        problem::http(&error, &trace)
    }
}

async fn unary<F: Function>(
    runtime: Runtime<F>,
    request: Request<Body>,
) -> Response<tonic::body::Body> {
    let headers = request.headers().clone();
    // As a stream, so that the message is read inside the call, within its deadline.
    tonic::server::Grpc::new(BytesCodec::<Reply<F>>(PhantomData))
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .client_streaming(Unary { runtime, headers }, request.map(OneMessage::new))
        .await
}

struct Unary<F> {
    runtime: Runtime<F>,
    headers: HeaderMap,
}

impl<F: Function> ClientStreamingService<Bytes> for Unary<F> {
    type Response = Reply<F>;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Reply<F>>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let runtime = self.runtime.clone();
        let headers = std::mem::take(&mut self.headers);
        Box::pin(async move {
            let mut messages = request.into_inner();
            let read = async {
                let bytes = next(&mut messages).await?;
                // Whether it is the only one is known at the end of the request, and nothing is
                // done before.
                let (Some(bytes), None) = (bytes, next(&mut messages).await?) else {
                    let says = "this method takes one message";
                    return Err(Error::new(Kind::Unimplemented, says));
                };
                let message = <F::Rpc as Rpc>::Request::decode(bytes);
                message.map(Into::into).map_err(|error| undecodable(&error))
            };
            let answer = runtime.answer(Protocol::Grpc, &headers, read).await;
            reply(answer)
        })
    }
}

async fn next(messages: &mut Streaming<Bytes>) -> Result<Option<Bytes>, Error> {
    let message = messages.message().await;
    message.map_err(|status| unreadable(&status))
}

fn reply<T>(answer: Answer<T>) -> Result<tonic::Response<T>, Status> {
    let mut headers = HeaderMap::new();
    json::mark(&mut headers, &answer.trace, answer.cold);
    let metadata = MetadataMap::from_headers(headers);
    match answer.result {
        Ok(message) => Ok(tonic::Response::from_parts(
            metadata,
            message,
            http::Extensions::new(),
        )),
        Err(error) => {
            let mut status = problem::grpc(&error, &answer.trace);
            status
                .metadata_mut()
                .as_mut()
                .extend(metadata.into_headers());
            Err(status)
        }
    }
}

/// A request that is not one message, as [`OneMessage`] tells.
fn unreadable(status: &Status) -> Error {
    match status.code() {
        tonic::Code::ResourceExhausted => json::too_large(),
        tonic::Code::Unimplemented => {
            Error::new(Kind::Unimplemented, status.message().to_owned()).with_http_status(400)
        }
        // The code that gRPC gives a broken frame, though it is the client's fault: the status says so.
        _ => Error::new(Kind::Internal, status.message().to_owned())
            .with_http_status(400)
            .with_source(status.clone()),
    }
}

/// A message that protobuf cannot decode. prost names the field in front of the first colon:
/// `failed to decode Protobuf message: CreateUserRequest.email: invalid string value: …`.
fn undecodable(error: &prost::DecodeError) -> Error {
    let text = error.to_string();
    let field = text
        .strip_prefix("failed to decode Protobuf message: ")
        .and_then(|rest| rest.split_once(": "))
        .and_then(|(path, _)| path.split_once('.'))
        .map_or("body", |(_, field)| field);
    Error::field(field, "is not valid Protobuf for its type").with_source(text.clone())
}

/// Passes a request's bytes through and encodes a response message.
struct BytesCodec<T>(PhantomData<T>);

impl<T: Message + 'static> Codec for BytesCodec<T> {
    type Encode = T;
    type Decode = Bytes;
    type Encoder = MessageEncoder<T>;
    type Decoder = BytesDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        MessageEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        BytesDecoder
    }
}

struct MessageEncoder<T>(PhantomData<T>);

impl<T: Message> Encoder for MessageEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.reserve(item.encoded_len());
        item.encode(dst)
            .map_err(|_| Status::internal("a response could not be encoded"))
    }
}

struct BytesDecoder;

impl Decoder for BytesDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocart_proto::user::CreateUserRequest;

    #[test]
    fn a_field_that_is_no_utf8_is_named() {
        // Field 1 (email), length-delimited, 1 byte: 0xff.
        let error = CreateUserRequest::decode(&[0x0a, 0x01, 0xff][..]).unwrap_err();
        assert_eq!(undecodable(&error).violations()[0].field, "email");
        let error = CreateUserRequest::decode(&[0x0a, 0x7f][..]).unwrap_err();
        assert!(!undecodable(&error).violations()[0].field.is_empty());
    }
}
