//! Which route takes a request, for those who ask without sending one.

use std::borrow::Cow;

use http::{HeaderMap, Method};

use crate::config::{Config, Route};
use crate::path;
use crate::router::{Query, Router};

/// The port that requests are taken to come to. No route of one port alone is for it.
const NO_PORT: u16 = 0;

/// The routes of a Kong file, chosen from as the gateway does.
#[derive(Debug)]
pub struct Routes(Router);

impl Routes {
    /// The routes of `config`.
    pub fn new(config: Config) -> Self {
        Self(Router::new(config))
    }

    /// The one form of a path, which is matched and sent on; `None` for one that is answered 400.
    pub fn normalize(path: &str) -> Option<Cow<'_, str>> {
        path::normalize(path).ok()
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
