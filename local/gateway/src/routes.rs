//! The route of a request, without sending the request.

use std::borrow::Cow;

use http::{HeaderMap, Method};

use crate::config::{Config, Route};
use crate::path;
use crate::router::{Query, Router};

/// The port that requests are assumed to come to. No route is for this port only.
const NO_PORT: u16 = 0;

/// The routes of a Kong file. They are chosen as the gateway chooses them.
#[derive(Debug)]
pub struct Routes(Router);

impl Routes {
    /// The routes of `config`.
    pub fn new(config: Config) -> Self {
        Self(Router::new(config))
    }

    /// The form of a path that routes are compared with; `None` for a path that is refused.
    pub fn normalize(path: &str) -> Option<Cow<'_, str>> {
        path::normalize(path).ok()
    }

    /// What goes to the upstream of a path that was normalized.
    pub fn escape(path: &str) -> Cow<'_, str> {
        path::escape(path)
    }

    /// The route of a request for `path`, as [`normalize`](Self::normalize) leaves it, with neither
    /// headers nor a host that a route asks for.
    pub fn find(&self, method: &Method, path: &str) -> Option<&Route> {
        let query = Query {
            method,
            host: "",
            port: NO_PORT,
            path,
            headers: &HeaderMap::new(),
        };
        Some(self.0.find(&query)?.route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_route_in_every_spelling() {
        let text = r#"
_format_version: "3.0"
services:
- {name: s, host: s, routes: [{name: one, methods: [GET], paths: ['~/users/[^/]+$']}]}
"#;
        let routes = Routes::new(Config::parse("kong.yml", text).expect("the file is valid"));
        let find = |method, path| {
            let path = Routes::normalize(path)?;
            Some(routes.find(&method, &path)?.name.as_str())
        };
        assert_eq!(find(Method::GET, "/users/1"), Some("one"));
        assert_eq!(find(Method::GET, "//%75sers/./1"), Some("one"));
        assert_eq!(find(Method::PUT, "/users/1"), None);
        assert_eq!(find(Method::GET, "/users/1/"), None);
        assert_eq!(find(Method::GET, "/users/%"), None);
    }
}
