//! Emits one zero-sized type per RPC and the table of all of them.

use std::fmt::Write;

use anyhow::{Result, ensure};
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor, MethodDescriptor};

use crate::options;

/// The source of `rpcs.rs`.
pub(crate) fn generate(pool: &DescriptorPool, domains: &[&str]) -> Result<String> {
    let mut types = String::new();
    let mut table = String::new();
    let mut jobs = String::new();
    let mut names = Vec::new();
    for domain in domains {
        for service in pool.services().filter(|s| s.package_name() == *domain) {
            for method in service.methods() {
                emit(pool, &method, &mut types)?;
                writeln!(table, "    <{} as Rpc>::INFO,", method.name())?;
                names.push(method.name().to_owned());
            }
            for job in options::jobs(pool, &service)? {
                emit_job(domain, &job, &mut jobs, &mut types)?;
            }
        }
    }
    Ok(format!(
        "{types}\n/// Every RPC of the contract, in the order of `proto/`.\n\
         pub const ALL: &[Info] = &[\n{table}];\n\n\
         /// Every job.\npub const JOBS: &[JobInfo] = &[\n{jobs}];\n\n\
         /// Calls a macro with the types of all RPCs: `each!(CreateUser GetUser ...)`.\n\
         #[macro_export]\nmacro_rules! for_each_rpc {{\n    \
         ($each:ident) => {{ $each!({names}); }};\n}}\n",
        names = names.join(" ")
    ))
}

fn emit(pool: &DescriptorPool, method: &MethodDescriptor, out: &mut String) -> Result<()> {
    let http = options::http(pool, method)?;
    let function = options::function(pool, method)?;
    let name = method.name();
    let service = method.parent_service();
    let domain = service.package_name();
    let request = method.input();
    let response = method.output();
    let params = path_fields(&http.path);
    for param in &params {
        require_string(&request, param)?;
    }
    for field in function.self_field.iter().chain(&function.subject) {
        require_string(&request, field)?;
    }
    let roles = |names: &[String]| {
        let roles = names.iter().map(|role| format!("Role::{}", pascal(role)));
        roles.collect::<Vec<_>>().join(", ")
    };
    let calls: Vec<_> = function
        .calls
        .iter()
        .map(|call| self::function(call))
        .collect();

    writeln!(
        out,
        r#"
/// `{full}`: {method} {path}.
#[derive(Clone, Copy, Debug, Default)]
pub struct {name};

impl Rpc for {name} {{
    type Request = crate::{req};
    type Response = crate::{resp};
    const INFO: Info = Info {{
        name: "{kebab}",
        domain: "{domain}",
        grpc_path: "/{svc}/{name}",
        http_method: "{method}",
        http_path: "{path}",
        http_body: {body},
        access: Access {{
            anyone: {anyone},
            self_field: {self_field:?},
            owner: {owner},
            roles: &[{roles}],
        }},
        timeout_ms: {timeout},
        writes: {writes},
        creates: {creates},
        refuses: {refuses:?},
        calls: &{calls:?},
        signs_tokens: {signs_tokens},
        reads_fleet: {reads_fleet},
        recognises: &[{recognises}],
    }};"#,
        full = method.full_name(),
        method = http.method,
        path = http.path,
        req = path(&request),
        resp = path(&response),
        kebab = kebab(name),
        svc = service.full_name(),
        body = http.body,
        anyone = function.anyone,
        self_field = function.self_field,
        owner = function.owner,
        roles = roles(&function.roles),
        recognises = roles(&function.recognised),
        timeout = function.timeout_ms,
        writes = function.writes,
        creates = function.location.is_some(),
        signs_tokens = function.signs_tokens,
        reads_fleet = function.reads_fleet,
        refuses = function.refusal.as_ref().map(|(status, _)| status),
    )?;
    if !params.is_empty() {
        writeln!(
            out,
            "    fn path_field<'a>(request: &'a mut Self::Request, name: &str) -> Option<&'a mut String> {{\n        match name {{"
        )?;
        for param in &params {
            writeln!(
                out,
                "            \"{param}\" => Some(&mut request.{param}),"
            )?;
        }
        writeln!(out, "            _ => None,\n        }}\n    }}")?;
    }
    if let Some(field) = &function.self_field {
        writeln!(
            out,
            "    fn subject(request: &Self::Request) -> Option<&str> {{\n        Some(&request.{field})\n    }}"
        )?;
    }
    if let Some(field) = &function.subject {
        writeln!(
            out,
            "    fn key_space(request: &Self::Request) -> &str {{\n        &request.{field}\n    }}"
        )?;
    }
    if let Some(location) = &function.location {
        emit_location(&response, location, out)?;
    }
    if let Some((status, detail)) = &function.refusal {
        ensure!(
            response.get_field_by_name("success").is_some(),
            "{name}: a refusal needs a field `success`"
        );
        writeln!(
            out,
            "    fn refusal(response: &Self::Response) -> Option<(u16, &'static str)> {{\n        (!response.success).then_some(({status}, {detail:?}))\n    }}"
        )?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

/// A message's path in this crate.
fn path(message: &MessageDescriptor) -> String {
    format!("{}::{}", message.package_name(), message.name())
}

fn emit_job(
    domain: &str,
    job: &options::Job,
    table: &mut String,
    types: &mut String,
) -> Result<()> {
    let calls: Vec<_> = job.calls.iter().map(|call| function(call)).collect();
    let constant = job.name.replace('-', "_").to_uppercase();
    writeln!(
        types,
        "/// The job `{name}`.\npub const {constant}: JobInfo = JobInfo {{ name: {name:?}, \
         domain: {domain:?}, timeout_ms: {timeout}, calls: &{calls:?} }};",
        name = job.name,
        timeout = job.timeout_ms,
    )?;
    writeln!(table, "    {constant},")?;
    Ok(())
}

/// The function of a gRPC path.
fn function(call: &str) -> String {
    kebab(call.rsplit('/').next().unwrap_or_default())
}

/// `/users/{user.id}` as code that reads the id from the response.
fn emit_location(response: &MessageDescriptor, template: &str, out: &mut String) -> Result<()> {
    let fields = path_fields(template);
    ensure!(fields.len() == 1, "{template}: one field is supported");
    let field = &fields[0];
    let (outer, inner) = field
        .split_once('.')
        .ok_or_else(|| anyhow::anyhow!("{template}: `{field}` is not `message.field`"))?;
    let message = response
        .get_field_by_name(outer)
        .and_then(|f| f.kind().as_message().cloned())
        .ok_or_else(|| anyhow::anyhow!("{template}: no message `{outer}`"))?;
    require_string(&message, inner)?;
    let format = template.replace(&format!("{{{field}}}"), "{}");
    writeln!(
        out,
        "    fn location(response: &Self::Response) -> Option<String> {{\n        response.{outer}.as_ref().map(|{outer}| format!(\"{format}\", {outer}.{inner}))\n    }}"
    )?;
    Ok(())
}

fn require_string(message: &MessageDescriptor, field: &str) -> Result<()> {
    let descriptor = message.get_field_by_name(field);
    ensure!(
        descriptor.is_some_and(|f| f.kind() == Kind::String && !f.is_list()),
        "{}: `{field}` is not a string of it",
        message.full_name()
    );
    Ok(())
}

/// The names in the braces of a path template.
fn path_fields(template: &str) -> Vec<String> {
    template
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(field, _)| field.to_owned())
        .collect()
}

/// `AddToCart` as `add-to-cart`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// `CUSTOMER` as `Customer`.
fn pascal(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    format!("{first}{}", rest.to_ascii_lowercase())
}
