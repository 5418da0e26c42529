//! Rules that the source text holds, read as tokens: comments and documentation do not count.

use std::path::Path;

use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};
use regex::Regex;
use walkdir::WalkDir;

/// The longest that a file may be, in lines.
pub const MAX_LINES: usize = 600;

/// What a function module must not name: how it is served is the runtime's business.
const FRAMEWORKS: [&str; 5] = ["axum", "hyper", "hyper_util", "lambda_http", "tonic"];

/// A text file of the project.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The text files of the project: what a person wrote, not what was built or fetched.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn read(root: &Path) -> std::io::Result<Vec<Source>> {
    const KINDS: [&str; 9] = [
        "rs", "proto", "sql", "toml", "yaml", "yml", "py", "sh", "md",
    ];
    const BUILT: [&str; 3] = ["target", "node_modules", ".git"];
    let mut sources = Vec::new();
    let files = WalkDir::new(root).sort_by_file_name().into_iter();
    let files = files.filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        // A data folder of the engine, whatever it is called, is none of the project's.
        !BUILT.contains(&name.as_ref())
            && !entry.path().join("engine.json").exists()
            && name != ".zerocart"
    });
    for entry in files {
        let entry = entry?;
        let kind = entry.path().extension().and_then(|kind| kind.to_str());
        let run = entry.path().ends_with(".ci/run") || entry.path().ends_with("justfile");
        if !entry.file_type().is_file() || !(run || kind.is_some_and(|k| KINDS.contains(&k))) {
            continue;
        }
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
        sources.push(Source {
            path: path.to_string_lossy().replace('\\', "/"),
            text: std::fs::read_to_string(entry.path())?,
        });
    }
    Ok(sources)
}

/// Files that are longer than [`MAX_LINES`].
pub fn too_long(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(source, lines)| format!("{}: {lines} lines, above {MAX_LINES}", source.path))
        .collect()
}

/// Function modules, and modules of `shared/core`, that name a framework. The list of a domain's functions
/// may name the runtime, which builds them; their modules may not.
pub fn frameworks(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_below = |path: &str| is_domain(path) || path.starts_with("shared/core/src/");
    for source in sources.iter().filter(|source| is_below(&source.path)) {
        let runtime = (!source.path.ends_with("/src/lib.rs")).then_some("zerocart_runtime");
        let tokens = match tokens(&source.text) {
            Ok(tokens) => tokens,
            Err(error) => {
                wrong.push(format!("{}: {error}", source.path));
                continue;
            }
        };
        for token in tokens {
            if let TokenTree::Ident(name) = token
                && FRAMEWORKS
                    .into_iter()
                    .chain(runtime)
                    .any(|framework| name == framework)
            {
                let line = name.span().start().line;
                wrong.push(format!("{}:{line}: names {name}", source.path));
            }
        }
    }
    wrong
}

/// SQL outside the domain crates, tests and `allowed` (a path prefix, and why), and allowances
/// that nothing needs.
pub fn sql(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut needed = vec![false; allowed.len()];
    for source in sources {
        if !source.path.ends_with(".rs") || is_domain(&source.path) || is_test(&source.path) {
            continue;
        }
        let found = match sql_in(&source.text) {
            Ok(found) => found,
            Err(error) => vec![(0, error)],
        };
        let allowance = allowed
            .iter()
            .position(|(prefix, _)| source.path.starts_with(prefix));
        if let Some(allowance) = allowance {
            needed[allowance] |= !found.is_empty();
            continue;
        }
        let path = &source.path;
        wrong.extend(
            found
                .iter()
                .map(|(line, text)| format!("{path}:{line}: {text}")),
        );
    }
    let idle = allowed.iter().zip(needed).filter(|(_, needed)| !needed);
    wrong.extend(idle.map(|((prefix, _), _)| format!("{prefix} has no SQL to allow")));
    wrong
}

/// The string literals that are SQL, with their lines.
fn sql_in(text: &str) -> Result<Vec<(usize, String)>, String> {
    // Upper case anywhere, as this project writes it; lower case only where it cannot be English.
    const OBJECT: &str = "(TABLE|INDEX|DATABASE|ROLE|SCHEMA|TYPE|EXTENSION|FUNCTION|USER|VIEW)";
    let pattern = format!(
        r"(?x)
        \b (SELECT | INSERT\s+INTO | DELETE\s+FROM | RETURNING | SAVEPOINT | TRUNCATE) \b
        | \b UPDATE \s+ \w+ \s+ SET \b
        | \b (CREATE | ALTER | DROP) \s+ {OBJECT} \b
        | \b (GRANT | REVOKE) \s+ [A-Z]+ \b
        | (?i: ^ \W* (
            select \s .+ \s from \s+ \w
            | insert \s+ into \s+ \w
            | delete \s+ from \s+ \w
            | update \s+ \w+ \s+ set \s
            | (create | alter | drop) \s+ {OBJECT} \s
        ))"
    );
    let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
    let found = tokens(text)?
        .into_iter()
        .filter_map(|token| match token {
            TokenTree::Literal(literal) => string(&literal),
            _ => None,
        })
        .filter(|(_, text)| pattern.is_match(text))
        .collect();
    Ok(found)
}

/// The tokens of a source, without its documentation and tests, as one line of text.
///
/// # Errors
///
/// When it is no Rust.
pub fn code(text: &str) -> Result<String, String> {
    let stream: TokenStream = tokens(text)?.into_iter().collect();
    Ok(stream.to_string())
}

/// The value of `const <name>: <type> = <number>;` in a source.
pub fn constant(text: &str, name: &str) -> Option<u64> {
    let tokens = tokens(text).ok()?;
    let at = tokens
        .iter()
        .position(|token| matches!(token, TokenTree::Ident(ident) if ident == name))?;
    tokens[at..].iter().find_map(|token| match token {
        TokenTree::Literal(literal) => literal.to_string().replace('_', "").parse().ok(),
        _ => None,
    })
}

/// All tokens, groups flattened; without documentation and `#[cfg(test)]` items.
fn tokens(text: &str) -> Result<Vec<TokenTree>, String> {
    let stream: TokenStream = text
        .parse()
        .map_err(|error| format!("is no Rust: {error}"))?;
    let mut out = Vec::new();
    flatten(stream, &mut out);
    Ok(out)
}

fn flatten(stream: TokenStream, out: &mut Vec<TokenTree>) {
    let mut rest = stream.into_iter().peekable();
    while let Some(token) = rest.next() {
        match &token {
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                let bang = rest.next_if(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == '!'));
                let Some(TokenTree::Group(attribute)) = rest.peek() else {
                    out.push(token);
                    continue;
                };
                let says = attribute.stream().to_string().replace(' ', "");
                if says.starts_with("doc=") {
                    rest.next();
                } else if says == "cfg(test)" {
                    rest.next();
                    // The item ends with its body or with a semicolon.
                    for token in rest.by_ref() {
                        let ends = match &token {
                            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                            TokenTree::Punct(punct) => punct.as_char() == ';',
                            _ => false,
                        };
                        if ends {
                            break;
                        }
                    }
                } else {
                    out.push(token);
                    out.extend(bang);
                }
            }
            TokenTree::Group(group) => flatten(group.stream(), out),
            _ => out.push(token),
        }
    }
}

/// The line and the text of a string literal; its escapes as they are written.
fn string(literal: &Literal) -> Option<(usize, String)> {
    let written = literal.to_string();
    let open = written.find('"')?;
    let close = written.rfind('"').filter(|close| *close > open)?;
    let text = written[open + 1..close].replace("\\\n", " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Some((literal.span().start().line, text))
}

fn is_domain(path: &str) -> bool {
    path.starts_with("functions/") && path.contains("/src/") && path.ends_with(".rs")
}

/// Integration tests, and the files of `#[cfg(test)] mod tests;`.
fn is_test(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::only;

    fn one(path: &str, text: &str) -> [Source; 1] {
        [Source {
            path: path.into(),
            text: text.into(),
        }]
    }

    #[test]
    fn sql_is_found_where_it_does_not_belong() {
        for statement in [
            r#""SELECT 1""#,
            r##"r#"INSERT INTO users (id) VALUES ($1)"#"##,
            r#"concat!("SELECT ", columns!(), " FROM users")"#,
            r#""UPDATE users SET name = $1""#,
            r#""DELETE FROM users""#,
            r#""select id from users""#,
            "\"insert \\\n    into users values (1)\"",
            r#""DROP TABLE users""#,
            r#""create table users (id int)""#,
            r#""GRANT ALL ON users TO x""#,
        ] {
            let text = format!("fn f() {{ run({statement}); }}");
            only(
                &sql(&one("shared/runtime/src/a.rs", &text), &[]),
                "shared/runtime/src/a.rs:1",
            );
            assert_eq!(sql(&one("functions/user/src/a.rs", &text), &[]), [""; 0]);
            assert_eq!(sql(&one("local/tests/it/a.rs", &text), &[]), [""; 0]);
            let allowed = [("shared/runtime/src/a.rs", "a reason")];
            assert_eq!(
                sql(&one("shared/runtime/src/a.rs", &text), &allowed),
                [""; 0]
            );
            let commented = format!("// {}\n/// `SELECT 1`\nfn f() {{}}", "SELECT 1");
            assert_eq!(
                sql(&one("shared/runtime/src/a.rs", &commented), &[]),
                [""; 0]
            );
            let tested = format!("#[cfg(test)]\nmod tests {{ {text} }}");
            assert_eq!(sql(&one("shared/runtime/src/a.rs", &tested), &[]), [""; 0]);
        }
    }

    #[test]
    fn english_is_no_sql() {
        for sentence in [
            "select a product first",
            "update the inventory",
            "delete it",
            "created from the table above",
            "grants access on request",
        ] {
            let text = format!("const S: &str = {sentence:?};");
            assert_eq!(
                sql(&one("shared/a/src/a.rs", &text), &[]),
                [""; 0],
                "{sentence}"
            );
        }
    }

    #[test]
    fn an_allowance_that_nothing_needs_is_told() {
        let allowed = [("shared/a/", "a reason")];
        only(
            &sql(&one("shared/a/src/a.rs", "fn f() {}"), &allowed),
            "has no SQL to allow",
        );
    }

    #[test]
    fn frameworks_are_found_in_functions() {
        for text in [
            "use axum::Router;",
            "fn f() -> tonic::Status { todo!() }",
            "mod a { mod b { pub use hyper::body; } }",
            "run!(lambda_http::run)",
        ] {
            only(
                &frameworks(&one("functions/user/src/a.rs", text)),
                "functions/user/src/a.rs:1",
            );
            only(
                &frameworks(&one("shared/core/src/a.rs", text)),
                "shared/core/src/a.rs:1",
            );
            assert_eq!(frameworks(&one("shared/runtime/src/a.rs", text)), [""; 0]);
        }
        let list = "const FUNCTIONS: &[zerocart_runtime::Entry] = &[];";
        only(
            &frameworks(&one("functions/user/src/a.rs", list)),
            "names zerocart_runtime",
        );
        assert_eq!(frameworks(&one("functions/user/src/lib.rs", list)), [""; 0]);
        let mentioned = "//! Not axum.\n/// Nor tonic.\nfn f() { g(\"hyper\") } // axum";
        assert_eq!(
            frameworks(&one("functions/user/src/a.rs", mentioned)),
            [""; 0]
        );
    }

    #[test]
    fn long_files_are_told() {
        let lines = |count| one("shared/a.rs", &"\n".repeat(count));
        assert_eq!(too_long(&lines(600)), [""; 0]);
        only(&too_long(&lines(601)), "601 lines");
    }

    #[test]
    fn constants_are_read() {
        let text = "/// Many.\npub(crate) const MAX: u16 = 1_200;\n";
        assert_eq!(constant(text, "MAX"), Some(1200));
        assert_eq!(constant(text, "MIN"), None);
    }
}
