//! A Lambda function that does nothing: lambda_http and an event loop of one thread.

use std::convert::Infallible;

use lambda_http::{Request, Response, service_fn};

fn main() -> Result<(), lambda_http::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let hello = async |_: Request| Ok::<_, Infallible>(Response::new("hello, world\n".to_owned()));
    runtime.block_on(lambda_http::run(service_fn(hello)))
}
