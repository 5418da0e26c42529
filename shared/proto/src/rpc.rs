//! One type per RPC.

use std::time::Duration;

use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

pub use crate::access::{Access, Role};
use crate::validate::Validate;

/// An RPC of the contract, as a type.
pub trait Rpc: Send + Sync + 'static {
    /// What a caller sends.
    type Request: Message + Default + DeserializeOwned + Serialize + Validate + Clone + 'static;
    /// What a caller gets.
    type Response: Message + Default + DeserializeOwned + Serialize + Clone + 'static;

    /// Its names, paths, access and limits.
    const INFO: Info;

    /// The request's field that the path parameter `name` fills.
    fn path_field<'a>(_request: &'a mut Self::Request, _name: &str) -> Option<&'a mut String> {
        None
    }

    /// The user that the request speaks of, where access says "that user".
    fn subject(_request: &Self::Request) -> Option<&str> {
        None
    }

    /// What divides the idempotency keys of callers that nobody knows, where anyone may call what
    /// writes: whom the request is for, as it spells it.
    fn key_space(_request: &Self::Request) -> &str {
        ""
    }

    /// The path of what the call created.
    fn location(_response: &Self::Response) -> Option<String> {
        None
    }

    /// For a response that says `success: false`, where HTTP clients get an error instead: its
    /// status and detail.
    fn refusal(_response: &Self::Response) -> Option<(u16, &'static str)> {
        None
    }
}

/// The facts of an RPC, from its descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// The name of the function, everywhere: `create-user`.
    pub name: &'static str,
    /// The package: `user`.
    pub domain: &'static str,
    /// `/user.UserService/CreateUser`.
    pub grpc_path: &'static str,
    /// `POST`.
    pub http_method: &'static str,
    /// `/users/{id}`.
    pub http_path: &'static str,
    /// Whether the JSON body is the request.
    pub http_body: bool,
    /// Who may call it.
    pub access: Access,
    /// How long one call may take, in milliseconds.
    pub timeout_ms: u32,
    /// Whether it changes something, and so takes an idempotency key.
    pub writes: bool,
    /// Whether it creates a resource: 201 and `Location`.
    pub creates: bool,
    /// The HTTP status of a response that says `success: false`, where there is one.
    pub refuses: Option<u16>,
    /// The names of the functions that it calls.
    pub calls: &'static [&'static str],
    /// Whether it signs the tokens of people.
    pub signs_tokens: bool,
    /// The roles of callers whom the handler knows, though anyone may call.
    pub recognises: &'static [Role],
}

impl Info {
    /// How long one call may take.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms as u64)
    }

    /// Whether every caller is known, and may be a person: a customer or an admin.
    pub fn is_for_people(&self) -> bool {
        let access = &self.access;
        let by_role = access.roles.iter().any(|role| *role != Role::Service);
        !access.anyone && (by_role || access.owner || access.self_field.is_some())
    }
}

/// The HTTP methods of a path of these RPCs, `HEAD` beside `GET` (RFC 9110, section 9.3.2): what
/// `Allow` says of it.
pub fn methods(rpcs: &[Info], path: &str) -> Vec<&'static str> {
    const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let of_path = || rpcs.iter().filter(|info| info.http_path == path);
    let is_served = |method: &&str| {
        let method = if *method == "HEAD" { "GET" } else { *method };
        of_path().any(|info| info.http_method == method)
    };
    METHODS.into_iter().filter(is_served).collect()
}

/// The facts of a job: a process that a schedule starts, and that nobody can call.
#[derive(Clone, Copy, Debug)]
pub struct JobInfo {
    /// Its name, everywhere: `recover-orders`.
    pub name: &'static str,
    /// The package: `order`.
    pub domain: &'static str,
    /// How long one run may take, in milliseconds.
    pub timeout_ms: u32,
    /// The names of the functions that it calls.
    pub calls: &'static [&'static str],
}

impl JobInfo {
    /// How long one run may take.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms as u64)
    }
}

include!(concat!(env!("OUT_DIR"), "/rpcs.rs"));
