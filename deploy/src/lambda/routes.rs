//! The routes of the public edge on Lambda, from the descriptors.

use std::collections::BTreeMap;

use zerocart_proto::rpc::Info;

/// API Gateway's word for the methods that have no route of their own.
pub const ANY: &str = "ANY";

/// A way from the edge to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// [`ANY`] stands for every method that no other route of the path has.
    pub method: &'static str,
    /// With `{name}` for each parameter.
    pub path: String,
    /// The name of the function.
    pub function: &'static str,
}

/// The routes of these functions: of each its REST route, and the path of its RPC for gRPC-Web; and of
/// each path one for all other methods, which leads to the function that GET has there, or to any. It
/// answers HEAD, and others with the methods of the path; without it API Gateway would say 404.
pub fn of<'a>(functions: impl Iterator<Item = &'a Info>) -> Vec<Route> {
    let functions: Vec<_> = functions.collect();
    let route = |method, path: &str, info: &Info| Route {
        method,
        path: path.to_owned(),
        function: info.name,
    };
    let own = functions.iter().flat_map(|info| {
        [
            route(info.http_method, info.http_path, info),
            route("POST", info.grpc_path, info),
        ]
    });
    let mut others = BTreeMap::new();
    for info in &functions {
        let other = others.entry(info.http_path).or_insert(info);
        if info.http_method == "GET" {
            *other = info;
        }
    }
    let others = others.into_iter();
    own.chain(others.map(|(path, info)| route(ANY, path, info)))
        .collect()
}

/// The methods of a route, where each has to be named.
pub fn methods(route: &Route, routes: &[Route]) -> Vec<&'static str> {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if route.method != ANY {
        return vec![route.method];
    }
    let same = |other: &&Route| numbered(&other.path) == numbered(&route.path);
    let taken = |method: &&str| routes.iter().filter(same).any(|r| r.method == *method);
    METHODS
        .into_iter()
        .filter(|method| !taken(method))
        .collect()
}

/// A path whose parameters are numbered. Two routes that differ in a parameter's name alone cannot
/// be told apart by a tree of paths.
pub fn numbered(path: &str) -> String {
    let segments = path.split('/').enumerate();
    let segments = segments.map(|(at, segment)| match segment.starts_with('{') {
        true => format!("{{p{at}}}"),
        false => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use zerocart_proto::rpc;

    use super::*;

    #[test]
    fn a_path_has_a_route_for_other_methods() {
        let routes = of(rpc::ALL.iter().filter(|rpc| !rpc.reads_fleet));
        let has = |method, path: &str, function| {
            let wanted = Route {
                method,
                path: path.to_owned(),
                function,
            };
            assert!(routes.contains(&wanted), "{wanted:?}");
        };
        has("GET", "/users/{user_id}/orders", "list-user-orders");
        has("POST", "/order.OrderService/CreateOrder", "create-order");
        has(ANY, "/products", "list-products");
        has(ANY, "/carts/{user_id}", "get-cart");
        has(ANY, "/orders", "list-orders");
        has(ANY, "/auth/login", "authenticate-user");
        let others = |path: &str| {
            let mut other = routes.iter().filter(|r| r.method == ANY && r.path == path);
            methods(other.next().unwrap(), &routes).join(" ")
        };
        assert_eq!(others("/products"), "HEAD PUT PATCH DELETE OPTIONS");
        assert_eq!(others("/auth/login"), "GET HEAD PUT PATCH DELETE OPTIONS");
    }

    #[test]
    fn parameters_are_told_apart_by_their_place() {
        for (path, same) in [
            ("/users", "/users"),
            ("/users/{id}", "/users/{p2}"),
            ("/users/{user_id}/orders", "/users/{p2}/orders"),
            (
                "/carts/{user_id}/items/{product_id}",
                "/carts/{p2}/items/{p4}",
            ),
        ] {
            assert_eq!(numbered(path), same);
        }
    }
}
