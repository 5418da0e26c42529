//! Who may call what: the contract's table against what `proto/` declares.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use zerocart_proto::rpc::{Info, Role};

/// Who may call an RPC, in the contract's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// "anyone".
    pub anyone: bool,
    /// "that user": the one whom the request names.
    pub that_user: bool,
    /// "its owner", "the payer": the one to whom the row belongs that the request names.
    pub owner: bool,
    /// "admin".
    pub admin: bool,
    /// "service".
    pub service: bool,
}

impl Who {
    /// Reads a cell such as `that user, admin`. A word that has no meaning here is an error: what it
    /// allows has to be decided first.
    fn parse(cell: &str) -> Result<Self> {
        let mut who = Self::default();
        for word in cell.split(',').map(str::trim) {
            let allowed = match word {
                "anyone" => &mut who.anyone,
                "that user" => &mut who.that_user,
                "its owner" | "the payer" => &mut who.owner,
                "admin" => &mut who.admin,
                "service" => &mut who.service,
                _ => bail!("{word:?} says nobody that these tests know"),
            };
            *allowed = true;
        }
        Ok(who)
    }

    /// What `proto/` declares, in the contract's words.
    ///
    /// # Errors
    ///
    /// When the contract has no words for it.
    fn declared(info: &Info) -> Result<Self> {
        let access = &info.access;
        if access.roles.contains(&Role::Customer) {
            bail!("every customer may call it, which the contract has no words for");
        }
        Ok(Self {
            anyone: access.anyone,
            that_user: access.self_field.is_some(),
            owner: access.owner,
            admin: access.roles.contains(&Role::Admin),
            service: access.roles.contains(&Role::Service),
        })
    }
}

/// A line of the contract's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `user.UserService/GetUser`.
    pub rpc: String,
    /// `GET /users/{id}`, without the query.
    pub route: String,
    /// Who may call it.
    pub who: Who,
}

/// The lines of the table of RPCs in a Markdown text: the columns `RPC`, those that begin with
/// `route` or `public REST route`, and those that begin with `who`.
///
/// # Errors
///
/// When there is no such table, or a line of it cannot be understood.
pub fn rows(markdown: &str) -> Result<Vec<Row>> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim().trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = markdown.lines().map(cells);
    let columns = lines.find_map(|head| {
        let column = |names: &[&str]| {
            let named = |cell: &String| names.iter().any(|name| cell.starts_with(name));
            head.iter().position(named)
        };
        let route = column(&["route", "public REST route"])?;
        Some((column(&["RPC"])?, route, column(&["who"])?))
    });
    let (rpc, route, who) = columns.context("there is no table of RPCs")?;
    let widest = rpc.max(route).max(who);
    lines
        .skip(1)
        .take_while(|cells| cells.len() > widest)
        .map(|cells| {
            let path = cells[route].split('?').next().unwrap_or_default();
            Ok(Row {
                rpc: cells[rpc].clone(),
                route: path.to_owned(),
                who: Who::parse(&cells[who]).with_context(|| cells[rpc].clone())?,
            })
        })
        .collect()
}

/// The line for an RPC.
pub fn row<'a>(rows: &'a [Row], info: &Info) -> Option<&'a Row> {
    let rpc = info.grpc_path.trim_start_matches('/');
    rows.iter().find(|row| row.rpc == rpc)
}

/// Holds what is declared against the table: each RPC has one line, with its route and its callers.
pub fn check(rows: &[Row], rpcs: &[Info]) -> Vec<String> {
    let mut wrong = Vec::new();
    let distinct: BTreeSet<_> = rows.iter().map(|row| &row.rpc).collect();
    if distinct.len() != rows.len() {
        wrong.push("the table names an RPC twice".to_owned());
    }
    for row in rows {
        if !rpcs.iter().any(|info| info.grpc_path[1..] == row.rpc) {
            wrong.push(format!("{}: no such RPC is declared", row.rpc));
        }
    }
    for info in rpcs {
        let name = info.name;
        let Some(row) = row(rows, info) else {
            wrong.push(format!("{name}: the table does not say who may call it"));
            continue;
        };
        let route = format!("{} {}", info.http_method, info.http_path);
        if route != row.route {
            let wanted = &row.route;
            wrong.push(format!("{name} is at {route}, in the table at {wanted}"));
        }
        match Who::declared(info) {
            Ok(who) if who == row.who => {}
            Ok(who) => {
                let wanted = row.who;
                wrong.push(format!(
                    "{name} is for {who:?}, in the table for {wanted:?}"
                ));
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{FUNCTIONS, only};

    const TABLE: &str = "
Text before | with a bar.

| function | RPC | public REST route (through Kong) | who may call it |
|---|---|---|---|
| create-user | user.UserService/CreateUser | POST /users | anyone |
| get-user | user.UserService/GetUser | GET /users/{id} | that user, admin |
| get-product | product.ProductService/GetProduct | GET /products/{id}?a= | anyone |

Text after.
";

    fn check_with(from: &str, to: &str) -> Vec<String> {
        assert!(TABLE.contains(from), "{from}");
        check(&rows(&TABLE.replace(from, to)).unwrap(), &FUNCTIONS)
    }

    #[test]
    fn a_table_is_read() {
        let rows = rows(TABLE).unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(check(&rows, &FUNCTIONS), [""; 0]);
        let who = Who {
            that_user: true,
            admin: true,
            ..Default::default()
        };
        assert_eq!(row(&rows, &FUNCTIONS[1]).map(|row| row.who), Some(who));
        assert_eq!(rows[2].route, "GET /products/{id}");
    }

    #[test]
    fn whatever_differs_is_told() {
        for (from, to, words) in [
            ("that user, admin", "that user", "get-user is for"),
            (
                "that user, admin",
                "that user, admin, service",
                "get-user is for",
            ),
            ("that user, admin", "its owner, admin", "get-user is for"),
            (
                "| POST /users |",
                "| PUT /users |",
                "in the table at PUT /users",
            ),
        ] {
            only(&check_with(from, to), words);
        }
        let renamed = check_with("UserService/GetUser", "UserService/FindUser");
        assert_eq!(renamed.len(), 2, "{renamed:?}");
        assert!(renamed[0].contains("no such RPC"), "{renamed:?}");
        assert!(renamed[1].contains("does not say"), "{renamed:?}");
        let line = "| create-user | user.UserService/CreateUser | POST /users | anyone |\n";
        only(&check_with(line, &line.repeat(2)), "twice");
    }

    #[test]
    fn a_word_that_has_no_meaning_is_an_error() {
        let unknown = TABLE.replace("that user, admin", "friends");
        let error = format!("{:#}", rows(&unknown).unwrap_err());
        assert!(
            error.contains("GetUser") && error.contains("friends"),
            "{error}"
        );
        assert!(rows("no table").is_err());
        let mut open = FUNCTIONS;
        open[1].access.roles = &[Role::Customer, Role::Admin];
        only(&check(&rows(TABLE).unwrap(), &open), "every customer");
    }
}
