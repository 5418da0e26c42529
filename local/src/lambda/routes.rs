//! The routes of the public edge on Lambda, from the descriptors.

use zerocart_proto::rpc::Info;

/// A way from the edge to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// With `{name}` for each parameter.
    pub(crate) path: String,
    pub(crate) function: &'static str,
}

/// The routes of these functions: of each its REST route, and the path of its RPC for gRPC-Web.
pub(crate) fn of<'a>(functions: impl Iterator<Item = &'a Info>) -> Vec<Route> {
    functions
        .flat_map(|info| {
            let route = |method, path: &str| Route {
                method,
                path: path.to_owned(),
                function: info.name,
            };
            [
                route(info.http_method, info.http_path),
                route("POST", info.grpc_path),
            ]
        })
        .collect()
}

/// A path whose parameters are numbered. Two routes that differ in a parameter's name alone cannot
/// be told apart by a tree of paths.
pub(crate) fn numbered(path: &str) -> String {
    let segments = path.split('/').enumerate();
    let segments = segments.map(|(at, segment)| match segment.starts_with('{') {
        true => format!("{{p{at}}}"),
        false => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domains;

    #[test]
    fn every_function_has_two() {
        let routes = of(domains::functions().map(|entry| entry.info));
        assert_eq!(routes.len(), 2 * domains::functions().count());
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
