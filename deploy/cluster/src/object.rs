//! What is asked of Kubernetes' objects in many places.

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(crate) use crate::names::{MANAGED_BY, MANAGER};

/// The label of a function's pods and revisions, with the function's name.
pub(crate) const SERVICE: &str = "serving.knative.dev/service";

/// The label of a pod with its revision's name.
pub(crate) const REVISION: &str = "serving.knative.dev/revision";

/// The kind of a function, in full: a cluster may have other kinds of the same short name.
pub const KSVC: &str = "services.serving.knative.dev";

/// The kind of a revision, in full.
pub(crate) const REVISIONS: &str = "revisions.serving.knative.dev";

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(crate) fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

pub(crate) fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"]["labels"][key]
        .as_str()
        .unwrap_or_default()
}

/// Whether a deployment made it.
pub(crate) fn ours(object: &Value) -> bool {
    label(object, MANAGED_BY) == MANAGER
}

/// Whether it is being deleted.
pub(crate) fn leaves(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Whether it belongs to another object, which makes and removes it.
pub(crate) fn owned(object: &Value) -> bool {
    items(&object["metadata"]["ownerReferences"])
        .next()
        .is_some()
}

/// The elements of an array; none where there is no array.
pub(crate) fn items(value: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    value
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
}

/// A condition of its status.
pub(crate) fn condition<'a>(object: &'a Value, of_type: &str) -> Option<&'a Value> {
    items(&object["status"]["conditions"]).find(|condition| condition["type"] == of_type)
}

/// Whether a condition is there, with this status: `True`, `False` or `Unknown`.
pub(crate) fn is(object: &Value, of_type: &str, status: &str) -> bool {
    condition(object, of_type).is_some_and(|condition| condition["status"] == status)
}

/// Whether its status is about what it is now, and not about what it was before a change.
pub(crate) fn up_to_date(object: &Value) -> bool {
    let observed = &object["status"]["observedGeneration"];
    !observed.is_null() && *observed == object["metadata"]["generation"]
}

/// A number; 0 where there is none, as Kubernetes leaves zeros out.
pub(crate) fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// A text of a Kubernetes object; empty where there is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default().trim()
}

/// A time of a Kubernetes object.
pub(crate) fn instant(value: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()
}

/// At most so many characters of a text.
pub(crate) fn short(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}
