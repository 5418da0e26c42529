//! Old binaries on the new schema.
//!
//! While an update rolls out, functions of the last release use the tables of this one. So a migration may
//! add what they do not notice, and takes away only what a `-- contract:` line names. The schema of the last
//! release (`migrations/released`) is compared with the newest.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, PgConnection};
use zerocart_provision::{Administrator, Migrations, migrate};

use crate::support::{connect, passwords, server};

const DOMAINS: [&str; 6] = ["cart", "ops", "order", "payment", "product", "user"];

/// What SQL of the functions depends on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Schema {
    /// By table and column.
    columns: BTreeMap<(String, String), Column>,
    /// Table and right of the functions' role.
    rights: BTreeSet<(String, String)>,
    /// Constraints and unique indexes, by name.
    rules: BTreeMap<String, Rule>,
}

#[derive(Debug, PartialEq, Eq)]
struct Column {
    kind: String,
    required: bool,
    filled: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    table: String,
    definition: String,
    columns: Vec<String>,
}

impl Schema {
    async fn read(connection: &mut PgConnection, role: &str) -> Self {
        let columns =
            "SELECT relname::text, attname::text, format_type(atttypid, atttypmod), attnotnull,
                              atthasdef OR attidentity <> ''
                       FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
                       WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                         AND relname <> '_sqlx_migrations' AND attnum > 0 AND NOT attisdropped";
        let columns: Vec<(String, String, String, bool, bool)> = sqlx::query_as(columns)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let rights = "SELECT relname::text, action
                      FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) action
                      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                        AND has_table_privilege($1, pg_class.oid, action)";
        let rights: Vec<(String, String)> = sqlx::query_as(rights)
            .bind(role)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        // Not those of kind t: a constraint trigger runs at the commit, and refuses nothing by itself.
        let rules = "SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid),
                            ARRAY(SELECT attname::text FROM pg_attribute
                                  WHERE attrelid = conrelid AND attnum = ANY (conkey))
                     FROM pg_constraint
                     WHERE connamespace = 'public'::regnamespace AND contype NOT IN ('n', 't')
                     UNION ALL
                     SELECT indrelid::regclass::text, relname::text, pg_get_indexdef(indexrelid),
                            ARRAY(SELECT attname::text FROM pg_attribute
                                  WHERE attrelid = indrelid AND attnum = ANY (indkey))
                     FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                     WHERE relnamespace = 'public'::regnamespace AND indisunique
                       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)";
        let rules: Vec<(String, String, String, Vec<String>)> =
            sqlx::query_as(rules).fetch_all(connection).await.unwrap();
        Self {
            columns: columns
                .into_iter()
                .map(|(table, name, kind, required, filled)| {
                    let column = Column {
                        kind,
                        required,
                        filled,
                    };
                    ((table, name), column)
                })
                .collect(),
            rights: rights.into_iter().collect(),
            rules: rules
                .into_iter()
                .map(|(table, name, definition, columns)| {
                    let rule = Rule {
                        table,
                        definition,
                        columns,
                    };
                    (name, rule)
                })
                .collect(),
        }
    }

    fn has(&self, table: &str) -> bool {
        self.columns.keys().any(|(of, _)| of == table)
    }

    /// What would break a function that was made for this schema, on `new`: the object, and what is wrong.
    fn broken_by(&self, new: &Self) -> Vec<(String, String)> {
        let mut broken = Vec::new();
        let mut say = |object: &str, what: String| broken.push((object.to_owned(), what));
        for ((table, name), old) in &self.columns {
            let object = format!("{table}.{name}");
            let Some(column) = new.columns.get(&(table.clone(), name.clone())) else {
                say(&object, "is gone".to_owned());
                continue;
            };
            if column.kind != old.kind {
                say(&object, format!("was {} and is {}", old.kind, column.kind));
            }
            if column.required && !old.required {
                say(&object, "was nullable and is NOT NULL".to_owned());
            }
            if old.filled && !column.filled {
                say(&object, "had a default and has none".to_owned());
            }
        }
        for ((table, name), column) in &new.columns {
            let added = !self.columns.contains_key(&(table.clone(), name.clone()));
            if added && self.has(table) && column.required && !column.filled {
                let what = "is new, NOT NULL and has no default";
                say(&format!("{table}.{name}"), what.to_owned());
            }
        }
        for (table, right) in self.rights.difference(&new.rights) {
            say(table, format!("functions may not {right} any more"));
        }
        for (name, old) in &self.rules {
            match new.rules.get(name) {
                None => say(name, "is gone".to_owned()),
                Some(rule) if rule != old => say(name, format!("is now {}", rule.definition)),
                Some(_) => {}
            }
        }
        for (name, rule) in &new.rules {
            let known = |column: &String| {
                let key = (rule.table.clone(), column.clone());
                self.columns.contains_key(&key)
            };
            // A rule of new columns alone never meets what old functions write.
            let old_columns = rule.columns.is_empty() || rule.columns.iter().any(known);
            if !self.rules.contains_key(name) && self.has(&rule.table) && old_columns {
                say(
                    name,
                    format!("is a new rule of what is written: {}", rule.definition),
                );
            }
        }
        broken
    }
}

/// What migrations take away on purpose: `-- contract: <object> unused since <version>`.
fn contracts<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeSet<String> {
    let mut objects = BTreeSet::new();
    for (path, sql) in files {
        for line in sql.lines() {
            let Some(contract) = line.trim().strip_prefix("-- contract:") else {
                continue;
            };
            let words: Vec<_> = contract.split_whitespace().collect();
            let [object, "unused", "since", _version] = words[..] else {
                panic!(
                    "{path}: write `-- contract: <object> unused since <version>`, not `{line}`"
                );
            };
            objects.insert(object.to_owned());
        }
    }
    objects
}

/// What is broken and no contract names.
fn refused(old: &Schema, new: &Schema, contracts: &BTreeSet<String>) -> Vec<String> {
    let broken = old.broken_by(new).into_iter();
    // The column of a table that is named is named, too.
    let named = |object: &str| {
        let table = object.split('.').next().unwrap_or(object);
        contracts.contains(object) || contracts.contains(table)
    };
    broken
        .filter(|(object, _)| !named(object))
        .map(|(object, what)| format!("{object} {what}"))
        .collect()
}

/// The newest migration of the last release.
fn released(domain: &str) -> i64 {
    let file = include_str!("../../../../migrations/released");
    let line = file
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{domain} ")));
    let line = line.unwrap_or_else(|| panic!("migrations/released does not name {domain}"));
    line.parse().unwrap()
}

#[tokio::test]
async fn functions_of_the_last_release_work_on_the_newest_schema() {
    let (_server, admin) = server().await;
    let roles = passwords(&DOMAINS);
    let mut session = Administrator::connect(&admin).await.unwrap();
    session.provision(&DOMAINS, &roles, drop).await.unwrap();
    for domain in Migrations::domains() {
        let role = format!("zerocart_{domain}");
        let owner = format!("{role}_owner");
        let owner = admin.login(&owner, &roles[&owner]).database(&role);
        let all = Migrations::embedded(domain).unwrap();
        let version = released(domain);
        migrate(&owner, &all.clone().up_to(version)).await.unwrap();
        let mut look = connect(&admin.database(&role)).await.unwrap();
        let old = Schema::read(&mut look, &role).await;
        // A domain that is newer than the release has nothing that could break.
        let has_tables = old.columns.len() > 5 && old.rights.len() > 3;
        assert_eq!(has_tables, version > 0, "{domain}: {old:?}");
        let applied = migrate(&owner, &all).await.unwrap();
        let new = Schema::read(&mut look, &role).await;
        let files = all
            .iter()
            .filter(|(path, _)| applied.iter().any(|file| file == path));
        let refused = refused(&old, &new, &contracts(files));
        assert!(
            refused.is_empty(),
            "a migration of {domain} breaks functions of the last release, which still run while an update \
             rolls out (CONTRIBUTING.md, \"Migrations\"):\n{}",
            refused.join("\n")
        );
    }
}

#[tokio::test]
async fn what_breaks_old_functions_is_found() {
    let (_server, admin) = server().await;
    let roles = passwords(&["order"]);
    let mut session = Administrator::connect(&admin).await.unwrap();
    session.provision(&["order"], &roles, drop).await.unwrap();
    let role = "zerocart_order";
    let owner = admin.login("zerocart_order_owner", &roles["zerocart_order_owner"]);
    let all = Migrations::embedded("order").unwrap();
    migrate(&owner.database(role), &all).await.unwrap();
    let mut look = connect(&admin.database(role)).await.unwrap();
    let old = Schema::read(&mut look, role).await;
    for (migration, says) in [
        ("ALTER TABLE orders ADD COLUMN note text", ""),
        (
            "ALTER TABLE orders ADD COLUMN weight integer NOT NULL DEFAULT 0",
            "",
        ),
        (
            "ALTER TABLE orders ADD COLUMN kind text CONSTRAINT k CHECK (kind IN ('a'))",
            "",
        ),
        ("CREATE TABLE parcels (id uuid NOT NULL PRIMARY KEY)", ""),
        ("CREATE INDEX by_total ON orders (total)", ""),
        (
            "-- contract: orders.cancel_key unused since 0.1.0\nALTER TABLE orders DROP COLUMN cancel_key",
            "",
        ),
        (
            "-- contract: orders.reason unused since 0.1.0\nALTER TABLE orders DROP COLUMN cancel_key",
            "orders.cancel_key is gone",
        ),
        ("DROP TABLE order_steps", "order_steps.fence is gone"),
        (
            "ALTER TABLE orders RENAME COLUMN reason TO why",
            "orders.reason is gone",
        ),
        (
            "ALTER TABLE orders RENAME TO purchases",
            "orders.id is gone",
        ),
        (
            "ALTER TABLE orders ALTER COLUMN steps TYPE bigint",
            "orders.steps was integer and is bigint",
        ),
        (
            "ALTER TABLE orders ALTER COLUMN cause SET NOT NULL",
            "orders.cause was nullable and is NOT NULL",
        ),
        (
            "ALTER TABLE orders ALTER COLUMN reason DROP DEFAULT",
            "orders.reason had a default and has none",
        ),
        (
            "ALTER TABLE orders ADD COLUMN city text NOT NULL",
            "orders.city is new, NOT NULL and has no default",
        ),
        (
            "REVOKE UPDATE ON orders FROM zerocart_order",
            "orders functions may not UPDATE any more",
        ),
        (
            "DROP INDEX orders_one_at_a_time",
            "orders_one_at_a_time is gone",
        ),
        (
            "ALTER TABLE orders ADD CONSTRAINT paid CHECK (total > 0)",
            "paid is a new rule of what is written: CHECK",
        ),
        (
            "CREATE UNIQUE INDEX one_total ON orders (total)",
            "one_total is a new rule of what is written: CREATE UNIQUE INDEX",
        ),
    ] {
        let begin = format!("BEGIN;\n{migration};");
        sqlx::raw_sql(AssertSqlSafe(begin))
            .execute(&mut look)
            .await
            .unwrap();
        let new = Schema::read(&mut look, role).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut look).await.unwrap();
        let found = refused(&old, &new, &contracts([("", migration)].into_iter()));
        if says.is_empty() {
            assert_eq!(found, [""; 0], "{migration}");
        } else {
            let said = found.iter().any(|line| line.starts_with(says));
            assert!(said, "{migration}: {found:#?}");
        }
    }
}
