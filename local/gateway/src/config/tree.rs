//! A YAML document that knows the line and column of each node.
//!
//! Typed deserialisation and validation work on paths; this tree turns a path into the line and
//! column that the reader of an error needs.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::error::ConfigError;

/// A step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// The path of a value in the document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

impl Path {
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Appends a dotted field name such as `config.origins` without parsing indices.
    pub(super) fn field(&self, dotted: &str) -> Self {
        dotted
            .split('.')
            .fold(self.clone(), |path, key| path.key(key))
    }

    fn extend(&self, tail: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        let mut path = self.clone();
        for segment in tail {
            match segment {
                Segment::Seq { index } => path.0.push(Step::Index(*index)),
                Segment::Map { key } | Segment::Enum { variant: key } => {
                    path.0.push(Step::Key(key.clone()));
                }
                Segment::Unknown => {}
            }
        }
        path
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;

        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Null))
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Node, D::Error> {
                Node::deserialize(inner)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Map(entries))
            }
        }

        deserializer.deserialize_any(NodeVisitor)
    }
}

impl Node {
    /// The plain value. A null in a map is a field that is not set, as in Kong.
    fn value(&self) -> Value {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::List(items) => items.iter().map(|item| item.value.value()).collect(),
            Self::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.value.clone(), node.value.value()))
                    .filter(|(_, value)| !value.is_null())
                    .collect(),
            ),
        }
    }
}

/// A parsed document.
#[derive(Debug)]
pub(super) struct Tree {
    file: String,
    root: Spanned<Node>,
}

impl Tree {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! {
            strict_booleans: true,
            // Kong's YAML library and others disagree on merge keys, so no file may rely on them.
            merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
            with_snippet: false,
        };
        let root = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let at = error.location().unwrap_or(Location::UNKNOWN);
            ConfigError {
                file: file.to_owned(),
                line: at.line(),
                column: at.column(),
                path: String::new(),
                message: error.to_string(),
            }
        })?;
        Ok(Self {
            file: file.to_owned(),
            root,
        })
    }

    /// Reads the whole document as `T`.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.read_value(self.root.value.value(), &Path::default())
    }

    /// Reads `value`, which stands at `path`, as `T`.
    pub(super) fn read_value<T: DeserializeOwned>(
        &self,
        value: Value,
        path: &Path,
    ) -> Result<T, ConfigError> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let mut at = path.extend(error.path());
            let message = error.inner().to_string();
            // serde reports an unknown field at its parent; the field itself is what to look at.
            let unknown = message
                .strip_prefix("unknown field `")
                .and_then(|m| m.split('`').next());
            if let Some(name) = unknown
                && at.0.last() != Some(&Step::Key(name.to_owned()))
            {
                at = at.key(name);
            }
            self.error(&at, message)
        })
    }

    /// An error at `path`, or at its nearest parent that exists.
    pub(super) fn error(&self, path: &Path, message: impl Into<String>) -> ConfigError {
        let at = self.locate(path);
        ConfigError {
            file: self.file.clone(),
            line: at.line(),
            column: at.column(),
            path: path.to_string(),
            message: message.into(),
        }
    }

    fn locate(&self, path: &Path) -> Location {
        let mut at = self.root.defined;
        let mut node = &self.root;
        for step in &path.0 {
            let next = match (step, &node.value) {
                (Step::Key(key), Node::Map(entries)) => {
                    entries
                        .iter()
                        .find(|(name, _)| name.value == *key)
                        .map(|(name, value)| {
                            // A block collection begins on the line after its key.
                            let scalar = matches!(value.value, Node::Scalar(_));
                            (if scalar { value.defined } else { name.defined }, value)
                        })
                }
                (Step::Index(index), Node::List(items)) => {
                    items.get(*index).map(|item| (item.defined, item))
                }
                _ => None,
            };
            let Some((location, child)) = next else { break };
            if location.line() > 0 {
                at = location;
            }
            node = child;
        }
        at
    }
}
