//! The attributes of spans that are counted or listed.

use std::borrow::Cow;

macro_rules! keys {
    ($($name:ident = $key:literal,)*) => {
        /// An attribute that the collector reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Key {
            $(#[doc = $key] $name,)*
        }

        impl Key {
            const COUNT: usize = [$($key),*].len();

            /// Its bit in [`Fields::bits`].
            pub(crate) const fn bit(self) -> u32 {
                1 << self as u32
            }

            pub(crate) fn of(name: &[u8]) -> Option<Self> {
                $(if name == $key.as_bytes() { return Some(Self::$name); })*
                None
            }
        }
    };
}

keys! {
    Protocol = "zerocart.protocol",
    Code = "zerocart.code",
    ColdStart = "faas.coldstart",
    Trigger = "faas.trigger",
    Callee = "faas.invoked_name",
    Service = "rpc.service",
    Route = "http.route",
    Breaker = "zerocart.breaker.state",
    BreakerFrom = "zerocart.breaker.from",
    BreakerName = "zerocart.breaker.name",
    Resend = "http.request.resend_count",
    Status = "http.response.status_code",
    ErrorType = "error.type",
    Statement = "db.query.summary",
    Database = "db.system.name",
    Step = "zerocart.saga.step",
    Outcome = "zerocart.saga.outcome",
    Order = "zerocart.order.status",
    Cause = "zerocart.order.cause",
    Unfinished = "zerocart.orders.unfinished",
    UnfinishedAge = "zerocart.orders.unfinished_age",
    Connections = "zerocart.database.connections",
    ConnectionsLimit = "zerocart.database.connections_limit",
    Operation = "zerocart.provider.operation",
    Reply = "zerocart.provider.reply",
}

/// The values of those attributes that a span has, as texts.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    values: [Option<Cow<'a, str>>; Key::COUNT],
    bits: u32,
}

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, key: Key) -> Option<&str> {
        self.values[key as usize].as_deref()
    }

    /// The attributes that there are, a bit for each ([`Key::bit`]).
    pub(crate) fn bits(&self) -> u32 {
        self.bits
    }

    pub(crate) fn is(&self, key: Key, value: &str) -> bool {
        self.get(key) == Some(value)
    }

    pub(crate) fn set(&mut self, key: Key, value: Cow<'a, str>) {
        self.values[key as usize] = Some(value);
        self.bits |= key.bit();
    }
}

// One bit for each.
const _: () = assert!(Key::COUNT <= 32);
