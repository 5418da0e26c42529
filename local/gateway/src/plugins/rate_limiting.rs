//! rate-limiting with `policy: local`: fixed windows that begin with the clock's second, minute,
//! hour or day (UTC), counted in this process.
//!
//! Kong counts after the answer, and so admits more in a burst. This counts on entry, and is exact.
//! The same configuration on another route counts separately; one global instance counts all routes
//! together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use super::error::FieldError;
use super::jwt::Identity;
use crate::reply::Reply;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
/// Two for each period, the three above, and `Retry-After`.
const MAX_HEADERS: usize = 12;

/// Clients that are counted at once. Kong's shared dictionary forgets too when it is full.
const MAX_CLIENTS: usize = 65_536;
/// The first size at which clients whose windows are over are dropped.
const FIRST_SWEEP: usize = 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    second: Option<u64>,
    minute: Option<u64>,
    hour: Option<u64>,
    day: Option<u64>,
    policy: Policy,
    limit_by: LimitBy,
    header_name: Option<String>,
    path: Option<String>,
    /// Whether to let requests pass when the counter's store fails: the local one cannot.
    #[serde(rename = "fault_tolerant")]
    _fault_tolerant: bool,
    hide_client_headers: bool,
    error_code: u16,
    error_message: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            second: None,
            minute: None,
            hour: None,
            day: None,
            policy: Policy::Local,
            limit_by: LimitBy::Consumer,
            header_name: None,
            path: None,
            _fault_tolerant: true,
            hide_client_headers: false,
            error_code: 429,
            error_message: "API rate limit exceeded".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Policy {
    Local,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LimitBy {
    Consumer,
    Credential,
    Ip,
    Service,
    Header,
    Path,
}

/// The client that a request is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Client {
    Ip(IpAddr),
    Named(Box<str>),
}

#[derive(Debug, Clone)]
struct Period {
    seconds: u64,
    limit: u64,
    limit_header: HeaderName,
    remaining_header: HeaderName,
    /// The limit, as the header says it.
    limit_value: HeaderValue,
}

/// What is known about a request when it is counted.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) ip: IpAddr,
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) path: &'a str,
    pub(crate) service: &'a str,
}

/// The plugin, configured, with its counters.
#[derive(Debug)]
pub(crate) struct RateLimiting {
    periods: Vec<Period>,
    limit_by: LimitBy,
    header_name: Option<HeaderName>,
    path: Option<String>,
    hide_client_headers: bool,
    error_code: StatusCode,
    error_message: String,
    counters: Mutex<Counters>,
}

#[derive(Debug)]
struct Counters {
    /// Per client, a window for each period: its start in Unix seconds, and its requests.
    clients: HashMap<Client, Vec<(u64, u64)>>,
    sweep_at: usize,
}

impl RateLimiting {
    pub(crate) fn new(config: Config) -> Result<Self, FieldError> {
        let Policy::Local = config.policy;
        let periods = periods(&config)?;
        let header_name = match (&config.header_name, config.limit_by) {
            (None, LimitBy::Header) => {
                return Err(FieldError::new(
                    "header_name",
                    "required with limit_by: header",
                ));
            }
            (None, _) => None,
            (Some(name), _) => Some(
                HeaderName::try_from(name)
                    .map_err(|_| FieldError::new("header_name", "not a header name"))?,
            ),
        };
        match (&config.path, config.limit_by) {
            (None, LimitBy::Path) => {
                return Err(FieldError::new("path", "required with limit_by: path"));
            }
            (Some(path), _) if !path.starts_with('/') => {
                return Err(FieldError::new("path", "should start with: /"));
            }
            _ => {}
        }
        let error_code = StatusCode::from_u16(config.error_code)
            .ok()
            .filter(|code| code.is_client_error() || code.is_server_error())
            .ok_or_else(|| FieldError::new("error_code", "not an HTTP error status"))?;
        Ok(Self {
            periods,
            limit_by: config.limit_by,
            header_name,
            path: config.path,
            hide_client_headers: config.hide_client_headers,
            error_code,
            error_message: config.error_message,
            counters: Mutex::new(Counters {
                clients: HashMap::new(),
                sweep_at: FIRST_SWEEP,
            }),
        })
    }

    /// Counts a request, unless its client is over a limit. The headers are for the answer, in
    /// either case.
    pub(crate) fn take(&self, subject: &Subject<'_>, now: SystemTime) -> Result<HeaderMap, Reply> {
        let now_s = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let client = self.client(subject);
        let (used, admitted) = self.count(client, now_s);
        let usage = self.usage(&used, admitted.is_ok(), admitted.err(), now_s);
        if admitted.is_ok() {
            return Ok(usage.headers);
        }
        let mut headers = usage.headers;
        headers.insert(RETRY_AFTER, HeaderValue::from(usage.reset_s));
        Err(Reply::error(self.error_code, self.error_message.clone()).with_headers(headers))
    }

    fn client(&self, subject: &Subject<'_>) -> Client {
        let named = match self.limit_by {
            LimitBy::Ip => None,
            LimitBy::Consumer => subject
                .identity
                .map(|identity| identity.consumer_id.as_str()),
            LimitBy::Credential => subject.identity.map(|identity| identity.key.as_str()),
            LimitBy::Service => Some(subject.service),
            LimitBy::Header => self
                .header_name
                .as_ref()
                .and_then(|name| subject.headers.get(name))
                .and_then(|value| value.to_str().ok()),
            LimitBy::Path => Some(subject.path).filter(|path| Some(*path) == self.path.as_deref()),
        };
        // A client without another identity is identified by its address, as in Kong.
        named.map_or(Client::Ip(subject.ip), |name| Client::Named(name.into()))
    }

    /// The requests of the client's current windows before this one, and the position of the
    /// period that stops it, if one does.
    fn count(&self, client: Client, now_s: u64) -> (Vec<u64>, Result<(), usize>) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.make_room(&self.periods, now_s);
        let windows = counters
            .clients
            .entry(client)
            .or_insert_with(|| vec![(0, 0); self.periods.len()]);
        for (window, period) in windows.iter_mut().zip(&self.periods) {
            let start = now_s - now_s % period.seconds;
            if window.0 != start {
                *window = (start, 0);
            }
        }
        let used: Vec<u64> = windows.iter().map(|window| window.1).collect();
        let over = used
            .iter()
            .zip(&self.periods)
            .rposition(|(used, p)| *used >= p.limit);
        if over.is_none() {
            for window in windows {
                window.1 += 1;
            }
        }
        (used, over.map_or(Ok(()), Err))
    }

    fn usage(&self, used: &[u64], admitted: bool, stop: Option<usize>, now_s: u64) -> Usage {
        let mut headers = HeaderMap::with_capacity(MAX_HEADERS);
        let mut tightest: Option<(u64, &Period)> = None;
        for (position, (period, used)) in self.periods.iter().zip(used).enumerate() {
            let this_one = u64::from(admitted || stop == Some(position));
            let remaining = period.limit.saturating_sub(used + this_one);
            headers.insert(&period.limit_header, period.limit_value.clone());
            headers.insert(&period.remaining_header, remaining.into());
            let tighter = tightest.is_none_or(|(least, chosen)| {
                remaining < least || (remaining == least && period.seconds > chosen.seconds)
            });
            if tighter {
                tightest = Some((remaining, period));
            }
        }
        let (remaining, period) = tightest.expect("a limiter has at least one period");
        let reset_s = (period.seconds - now_s % period.seconds).max(1);
        headers.insert(LIMIT, period.limit_value.clone());
        headers.insert(REMAINING, remaining.into());
        headers.insert(RESET, reset_s.into());
        if self.hide_client_headers {
            headers.clear();
        }
        Usage { headers, reset_s }
    }
}

struct Usage {
    headers: HeaderMap,
    reset_s: u64,
}

impl Counters {
    /// Drops clients whose windows are over, when there are many; then, if there are still too
    /// many, all of them.
    fn make_room(&mut self, periods: &[Period], now_s: u64) {
        if self.clients.len() < self.sweep_at {
            return;
        }
        self.clients.retain(|_, windows| {
            windows
                .iter()
                .zip(periods)
                .any(|(window, period)| window.0 == now_s - now_s % period.seconds)
        });
        if self.clients.len() >= MAX_CLIENTS {
            tracing::warn!(
                clients = self.clients.len(),
                "rate-limiting forgets its counters"
            );
            self.clients.clear();
        }
        self.sweep_at = (self.clients.len() * 2).clamp(FIRST_SWEEP, MAX_CLIENTS);
    }
}

fn periods(config: &Config) -> Result<Vec<Period>, FieldError> {
    const PERIODS: [(&str, u64, &str, &str); 4] = [
        (
            "second",
            1,
            "x-ratelimit-limit-second",
            "x-ratelimit-remaining-second",
        ),
        (
            "minute",
            60,
            "x-ratelimit-limit-minute",
            "x-ratelimit-remaining-minute",
        ),
        (
            "hour",
            3600,
            "x-ratelimit-limit-hour",
            "x-ratelimit-remaining-hour",
        ),
        (
            "day",
            86_400,
            "x-ratelimit-limit-day",
            "x-ratelimit-remaining-day",
        ),
    ];
    let limits = [config.second, config.minute, config.hour, config.day];
    let mut periods = Vec::new();
    let mut shorter: Option<(&str, u64)> = None;
    for ((name, seconds, limit_header, remaining_header), limit) in PERIODS.into_iter().zip(limits)
    {
        let Some(limit) = limit else { continue };
        if limit == 0 {
            return Err(FieldError::new(name, "value must be greater than 0"));
        }
        if let Some((shorter, least)) = shorter
            && limit < least
        {
            let message = format!(
                "The limit for {name}({limit}) cannot be lower than the limit for {shorter}({least})"
            );
            return Err(FieldError::new(name, message));
        }
        shorter = Some((name, limit));
        periods.push(Period {
            seconds,
            limit,
            limit_header: HeaderName::from_static(limit_header),
            remaining_header: HeaderName::from_static(remaining_header),
            limit_value: limit.into(),
        });
    }
    if periods.is_empty() {
        let message = "at least one of second, minute, hour, day must be set";
        return Err(FieldError::new("minute", message));
    }
    Ok(periods)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn plugin(config: serde_json::Value) -> RateLimiting {
        RateLimiting::new(serde_json::from_value(config).unwrap()).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn from_ip<'a>(last: u8, headers: &'a HeaderMap) -> Subject<'a> {
        Subject {
            ip: Ipv4Addr::new(10, 0, 0, last).into(),
            identity: None,
            headers,
            path: "/x",
            service: "s",
        }
    }

    fn number(headers: &HeaderMap, name: &str) -> u64 {
        headers[name].to_str().unwrap().parse().unwrap()
    }

    #[test]
    fn windows_begin_with_the_minute() {
        let plugin = plugin(serde_json::json!({"minute": 2, "hour": 3, "limit_by": "ip"}));
        let none = HeaderMap::new();
        let subject = from_ip(1, &none);
        let start = 7200;

        let first = plugin.take(&subject, at(start + 50)).unwrap();
        assert_eq!(number(&first, "x-ratelimit-limit-minute"), 2);
        assert_eq!(number(&first, "x-ratelimit-remaining-minute"), 1);
        assert_eq!(number(&first, "x-ratelimit-remaining-hour"), 2);
        assert_eq!(number(&first, "ratelimit-limit"), 2);
        assert_eq!(number(&first, "ratelimit-remaining"), 1);
        assert_eq!(number(&first, "ratelimit-reset"), 10);

        plugin.take(&subject, at(start + 51)).unwrap();
        let refused = plugin.take(&subject, at(start + 52)).unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(number(refused.headers(), "x-ratelimit-remaining-minute"), 0);
        // The hour did not stop the request, so it does not count it.
        assert_eq!(number(refused.headers(), "x-ratelimit-remaining-hour"), 1);
        assert_eq!(number(refused.headers(), "retry-after"), 8);

        plugin.take(&subject, at(start + 60)).unwrap();
        let refused = plugin.take(&subject, at(start + 61)).unwrap_err();
        assert_eq!(number(refused.headers(), "retry-after"), 3600 - 61);
        plugin.take(&subject, at(start + 3600)).unwrap();
    }

    #[test]
    fn clients_are_told_apart() {
        let plugin = plugin(serde_json::json!({"minute": 1, "limit_by": "ip"}));
        let none = HeaderMap::new();
        assert!(plugin.take(&from_ip(1, &none), at(0)).is_ok());
        assert!(plugin.take(&from_ip(2, &none), at(0)).is_ok());
        assert!(plugin.take(&from_ip(1, &none), at(0)).is_err());
    }

    #[test]
    fn a_header_names_the_client_and_the_address_stands_in() {
        let plugin = plugin(
            serde_json::json!({"minute": 1, "limit_by": "header", "header_name": "x-api-key"}),
        );
        let key = |value| {
            let mut headers = HeaderMap::new();
            headers.insert("x-api-key", HeaderValue::from_static(value));
            headers
        };
        let (a, b, none) = (key("a"), key("b"), HeaderMap::new());
        assert!(plugin.take(&from_ip(1, &a), at(0)).is_ok());
        assert!(plugin.take(&from_ip(2, &a), at(0)).is_err());
        assert!(plugin.take(&from_ip(1, &b), at(0)).is_ok());
        assert!(plugin.take(&from_ip(1, &none), at(0)).is_ok());
        assert!(plugin.take(&from_ip(1, &none), at(0)).is_err());
    }

    #[test]
    fn old_windows_are_dropped() {
        let plugin = plugin(serde_json::json!({"minute": 1, "limit_by": "ip"}));
        let none = HeaderMap::new();
        for number in 0..10_000u32 {
            let mut subject = from_ip(0, &none);
            subject.ip = Ipv4Addr::from(number).into();
            // A hundred clients a minute: never more than two minutes' worth need to be kept.
            plugin
                .take(&subject, at(u64::from(number) * 60 / 100))
                .unwrap();
        }
        let kept = plugin.counters.lock().unwrap().clients.len();
        assert!(kept <= FIRST_SWEEP, "{kept} clients are kept");
    }

    #[test]
    fn there_is_a_bound_even_within_a_window() {
        let plugin = plugin(serde_json::json!({"hour": 1, "limit_by": "ip"}));
        let none = HeaderMap::new();
        for number in 0..u32::try_from(MAX_CLIENTS + 10).unwrap() {
            let mut subject = from_ip(0, &none);
            subject.ip = Ipv4Addr::from(number).into();
            plugin.take(&subject, at(0)).unwrap();
        }
        assert!(plugin.counters.lock().unwrap().clients.len() <= MAX_CLIENTS);
    }

    #[test]
    fn limits_are_checked() {
        let refused = |config| {
            RateLimiting::new(serde_json::from_value(config).unwrap())
                .unwrap_err()
                .field
        };
        assert_eq!(refused(serde_json::json!({})), "minute");
        assert_eq!(refused(serde_json::json!({"minute": 0})), "minute");
        assert_eq!(
            refused(serde_json::json!({"minute": 10, "hour": 9})),
            "hour"
        );
        assert_eq!(
            refused(serde_json::json!({"minute": 1, "limit_by": "header"})),
            "header_name"
        );
        assert_eq!(
            refused(serde_json::json!({"minute": 1, "error_code": 200})),
            "error_code"
        );
    }
}
