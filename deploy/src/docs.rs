//! Tables of the docs, made from `proto/`.

use std::fmt::Write as _;

use zerocart_proto::rpc::{Info, Role};

use crate::{Output, Unit};

/// The region `rpcs` of README.md: the table of functions.
pub fn render(units: &[Unit]) -> Vec<Output> {
    let mut text = "\n| RPC | route | who |\n|---|---|---|\n".to_owned();
    for rpc in units.iter().filter_map(|unit| unit.rpc.as_ref()) {
        let _ = writeln!(
            text,
            "| {} | {} {} | {} |",
            rpc.grpc_path.trim_start_matches('/'),
            rpc.http_method,
            rpc.http_path,
            who(rpc)
        );
    }
    text.push('\n');
    vec![Output::region("README.md", "rpcs", text)]
}

/// Who may call it, in the words of the contract.
fn who(rpc: &Info) -> String {
    let access = &rpc.access;
    let mut words = Vec::new();
    if access.anyone {
        words.push("anyone");
    }
    if access.self_field.is_some() {
        words.push("that user");
    }
    if access.owner {
        words.push("its owner");
    }
    for role in access.roles {
        words.push(match role {
            Role::Customer => "customer",
            Role::Admin => "admin",
            Role::Service => "service",
        });
    }
    words.join(", ")
}
