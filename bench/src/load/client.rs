//! Clients that cost little: one connection for each buyer, one request at a time.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use zerocart_proto::{
    product::GetProductRequest,
    rpc::{self, Rpc},
};
use zerocart_wires::{Client, Wire};

use crate::http::{self, Request};

/// After this time a request without an answer is an error.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, and what a good answer is.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Over REST, with the status of the answer.
    Rest(Request, u16),
    /// GetProduct over gRPC.
    GetProduct(String),
}

/// A buyer's connection.
pub(crate) struct Caller {
    address: SocketAddr,
    stream: Option<TcpStream>,
    grpc: Option<(Runtime, Client)>,
    /// Bytes of REST requests and answers.
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            grpc: None,
            sent: 0,
            received: 0,
        }
    }

    /// Sends it and waits for the answer.
    ///
    /// # Errors
    ///
    /// Without an answer, or for another one than a good one.
    pub(crate) fn call(&mut self, job: &Job) -> Result<()> {
        match job {
            Job::Rest(request, status) => {
                let answer = self.rest(request);
                if answer.is_err() {
                    self.stream = None;
                }
                answer?.with_status(*status).map(drop)
            }
            Job::GetProduct(id) => self.get_product(id),
        }
    }

    /// The answer to a request over REST.
    pub(crate) fn rest(&mut self, request: &Request) -> Result<http::Answer> {
        let stream = self.connect()?;
        let answer = http::exchange(stream, request)?;
        self.sent += request.len() as u64;
        self.received += answer.bytes as u64;
        if answer.closes {
            self.stream = None;
        }
        Ok(answer)
    }

    /// The connection for requests over REST, which is made if there is none.
    pub(crate) fn connect(&mut self) -> Result<&mut TcpStream> {
        match &mut self.stream {
            Some(stream) => Ok(stream),
            empty => {
                let stream = TcpStream::connect(self.address).context("cannot connect")?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(empty.insert(stream))
            }
        }
    }

    fn get_product(&mut self, id: &str) -> Result<()> {
        if self.grpc.is_none() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let client = Client::new(Wire::Grpc, self.address);
            self.grpc = Some((runtime, client));
        }
        let (runtime, client) = self.grpc.as_ref().context("no client")?;
        let request = GetProductRequest { id: id.to_owned() };
        let outcome = runtime.block_on(Box::pin(client.try_call::<rpc::GetProduct>(&request)))?;
        match outcome.response {
            Some(_) => Ok(()),
            None => anyhow::bail!(
                "{}: {:?}: {}",
                rpc::GetProduct::INFO.name,
                outcome.code,
                outcome.message
            ),
        }
    }
}

/// Whether something accepts connections at an address.
pub(crate) fn listens(address: SocketAddr) -> bool {
    let connected = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    connected.is_ok_and(|mut stream| stream.flush().is_ok())
}
