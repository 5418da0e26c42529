//! Reads `google.api.http`, `zerocart.function` and `zerocart.rules` from descriptors.

use anyhow::{Context, Result, bail, ensure};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MethodDescriptor, ReflectMessage,
    ServiceDescriptor, Value,
};

/// The HTTP binding of an RPC.
pub(crate) struct Http {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: bool,
}

/// `zerocart.Function`.
pub(crate) struct Function {
    pub(crate) anyone: bool,
    pub(crate) self_field: Option<String>,
    pub(crate) owner: bool,
    pub(crate) roles: Vec<String>,
    pub(crate) recognised: Vec<String>,
    pub(crate) timeout_ms: u32,
    pub(crate) writes: bool,
    pub(crate) location: Option<String>,
    pub(crate) calls: Vec<String>,
    pub(crate) signs_tokens: bool,
    pub(crate) reads_fleet: bool,
    pub(crate) refusal: Option<(u32, String)>,
    pub(crate) subject: Option<String>,
}

/// `zerocart.Rules`.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) required: bool,
    pub(crate) min_len: u32,
    pub(crate) max_len: Option<u32>,
    pub(crate) format: Option<String>,
    pub(crate) gte: Option<f64>,
    pub(crate) lte: Option<f64>,
    pub(crate) max_decimals: Option<u32>,
    pub(crate) secret: bool,
    pub(crate) max_items: Option<u32>,
    pub(crate) present: bool,
    pub(crate) present_unless: Option<String>,
    pub(crate) instead: Option<String>,
    pub(crate) required_unless: Option<String>,
}

/// `zerocart.Job`.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) timeout_ms: u32,
    pub(crate) calls: Vec<String>,
}

/// The binding of an RPC; an RPC without one is an error.
pub(crate) fn http(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<Http> {
    let rule = extension(pool, method.options(), "google.api.http")?
        .with_context(|| format!("{} has no google.api.http", method.full_name()))?;
    let bound = ["get", "put", "post", "delete", "patch"]
        .into_iter()
        .find(|name| rule.has_field_by_name(name))
        .with_context(|| format!("{}: no path", method.full_name()))?;
    let body = text(&rule, "body");
    ensure!(
        body.is_empty() || body == "*",
        "{}: only body \"*\" is supported",
        method.full_name()
    );
    Ok(Http {
        method: bound.to_uppercase(),
        path: text(&rule, bound),
        body: body == "*",
    })
}

/// The function of an RPC; an RPC without one, without access or without a timeout is an error.
pub(crate) fn function(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<Function> {
    let name = method.full_name();
    let message = extension(pool, method.options(), "zerocart.function")?
        .with_context(|| format!("{name} has no zerocart.function"))?;
    let access = submessage(&message, "access")
        .with_context(|| format!("{name}: who may call it is not said (function.access)"))?;
    let function = Function {
        anyone: flag(&access, "anyone"),
        self_field: Some(text(&access, "self")).filter(|field| !field.is_empty()),
        owner: flag(&access, "owner"),
        roles: enums(&access, "roles"),
        recognised: enums(&access, "recognised"),
        timeout_ms: number(&message, "timeout_ms"),
        writes: flag(&message, "writes"),
        location: Some(text(&message, "location")).filter(|path| !path.is_empty()),
        calls: texts(&message, "calls"),
        signs_tokens: flag(&message, "signs_tokens"),
        reads_fleet: flag(&message, "reads_fleet"),
        refusal: submessage(&message, "refusal")
            .map(|refusal| (number(&refusal, "http_status"), text(&refusal, "detail"))),
        subject: Some(text(&message, "subject")).filter(|field| !field.is_empty()),
    };
    ensure!(function.timeout_ms > 0, "{name}: timeout_ms is missing");
    ensure!(
        function.anyone
            || function.owner
            || function.self_field.is_some()
            || !function.roles.is_empty(),
        "{name}: nobody may call it"
    );
    ensure!(
        function.anyone || function.recognised.is_empty(),
        "{name}: access.recognised is for what anyone may call; elsewhere every caller is known"
    );
    ensure!(
        (function.anyone && function.writes) == function.subject.is_some(),
        "{name}: function.subject is for what anyone may call and writes, and there it is needed: \
         without one all strangers would share one space of idempotency keys"
    );
    check_calls(pool, name, &function.calls)?;
    Ok(function)
}

/// The jobs of a service.
pub(crate) fn jobs(pool: &DescriptorPool, service: &ServiceDescriptor) -> Result<Vec<Job>> {
    let Some(domain) = extension(pool, service.options(), "zerocart.domain")? else {
        return Ok(Vec::new());
    };
    let jobs = domain.get_field_by_name("jobs");
    let jobs = jobs.and_then(|jobs| jobs.as_list().map(<[Value]>::to_vec));
    jobs.unwrap_or_default()
        .iter()
        .filter_map(Value::as_message)
        .map(|job| {
            let job = Job {
                name: text(job, "name"),
                timeout_ms: number(job, "timeout_ms"),
                calls: texts(job, "calls"),
            };
            ensure!(
                !job.name.is_empty() && job.timeout_ms > 0,
                "{}: a job needs a name and timeout_ms",
                service.full_name()
            );
            check_calls(pool, &job.name, &job.calls)?;
            Ok(job)
        })
        .collect()
}

fn check_calls(pool: &DescriptorPool, name: &str, calls: &[String]) -> Result<()> {
    for call in calls {
        ensure!(
            pool.services()
                .flat_map(|s| s.methods().collect::<Vec<_>>())
                .any(|m| *call == format!("{}/{}", m.parent_service().full_name(), m.name())),
            "{name}: calls {call}, which is no RPC"
        );
    }
    Ok(())
}

/// The rules of a field; none when it has none.
pub(crate) fn rules(pool: &DescriptorPool, field: &FieldDescriptor) -> Result<Rules> {
    let Some(message) = extension(pool, field.options(), "zerocart.rules")? else {
        return Ok(Rules::default());
    };
    Ok(Rules {
        required: flag(&message, "required"),
        min_len: number(&message, "min_len"),
        max_len: Some(number(&message, "max_len")).filter(|max| *max != 0),
        format: enums(&message, "format")
            .pop()
            .filter(|_| message.has_field_by_name("format")),
        gte: double(&message, "gte"),
        lte: double(&message, "lte"),
        max_decimals: message
            .has_field_by_name("max_decimals")
            .then(|| number(&message, "max_decimals")),
        secret: flag(&message, "secret"),
        max_items: Some(number(&message, "max_items")).filter(|max| *max != 0),
        present: flag(&message, "present"),
        present_unless: Some(text(&message, "present_unless")).filter(|flag| !flag.is_empty()),
        instead: Some(text(&message, "instead")).filter(|field| !field.is_empty()),
        required_unless: Some(text(&message, "required_unless")).filter(|list| !list.is_empty()),
    })
}

fn extension(
    pool: &DescriptorPool,
    options: DynamicMessage,
    name: &str,
) -> Result<Option<DynamicMessage>> {
    let extension = pool
        .get_extension_by_name(name)
        .with_context(|| format!("{name} is not declared"))?;
    if !options.has_extension(&extension) {
        return Ok(None);
    }
    match options.get_extension(&extension).into_owned() {
        Value::Message(message) => Ok(Some(message)),
        other => bail!("{name} is {other:?}, not a message"),
    }
}

fn submessage(message: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    message
        .has_field_by_name(name)
        .then(|| message.get_field_by_name(name))
        .flatten()
        .and_then(|v| v.as_message().cloned())
}

fn text(message: &DynamicMessage, name: &str) -> String {
    message
        .get_field_by_name(name)
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn texts(message: &DynamicMessage, name: &str) -> Vec<String> {
    message
        .get_field_by_name(name)
        .and_then(|v| v.as_list().map(<[Value]>::to_vec))
        .unwrap_or_default()
        .iter()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect()
}

fn flag(message: &DynamicMessage, name: &str) -> bool {
    message
        .get_field_by_name(name)
        .and_then(|v| v.as_bool())
        .unwrap_or_default()
}

fn number(message: &DynamicMessage, name: &str) -> u32 {
    message
        .get_field_by_name(name)
        .and_then(|v| v.as_u32())
        .unwrap_or_default()
}

fn double(message: &DynamicMessage, name: &str) -> Option<f64> {
    message
        .has_field_by_name(name)
        .then(|| message.get_field_by_name(name))
        .flatten()
        .and_then(|v| v.as_f64())
}

/// The names of the enum value, or of the list of them, in a field.
fn enums(message: &DynamicMessage, name: &str) -> Vec<String> {
    let Some(field) = message.descriptor().get_field_by_name(name) else {
        return Vec::new();
    };
    let prost_reflect::Kind::Enum(kind) = field.kind() else {
        return Vec::new();
    };
    let named = |value: &Value| {
        kind.get_value(value.as_enum_number()?)
            .map(|v| v.name().to_owned())
    };
    match message.get_field(&field).as_ref() {
        Value::List(values) => values.iter().filter_map(named).collect(),
        value => named(value).into_iter().collect(),
    }
}
