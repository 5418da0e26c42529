//! The variables of a function on Lambda.

use zerocart_core::Env;

/// The suffix of a variable that names a secret.
const SECRET: &str = "_SECRET";

/// The variables of a function of `domain`: `DATABASE_URL` may be given for all domains together,
/// and Lambda's defaults are set unless they are given.
pub fn of_domain(env: Env, domain: &str) -> Env {
    let mut more = Vec::new();
    if env.get("DATABASE_URL").is_none() {
        let name = format!("DATABASE_URL_{}", domain.to_uppercase());
        let url = env.get(&name).map(str::to_owned);
        more.extend(url.map(|url| ("DATABASE_URL", url)));
    }
    if env.get("DATABASE_RECYCLING").is_none() {
        // The server may have closed a connection while this environment was frozen.
        more.push(("DATABASE_RECYCLING", "verified".to_owned()));
    }
    env.with(more)
}

/// A variable whose value is in a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The variable.
    pub variable: &'a str,
    /// The name or ARN of the secret.
    pub id: &'a str,
    /// The key of its JSON object; none for the whole text.
    pub key: Option<&'a str>,
}

/// The variables of `env` whose values are in secrets. A variable that is set needs no secret.
pub fn secrets(env: &Env) -> Vec<Wanted<'_>> {
    env.iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| {
            let variable = name.strip_suffix(SECRET)?;
            let (id, key) = match value.split_once('#') {
                Some((id, key)) => (id, Some(key)),
                None => (value, None),
            };
            let wanted = !variable.is_empty() && env.get(variable).is_none();
            wanted.then_some(Wanted { variable, id, key })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_its_own_database() {
        let all = || Env::from_iter([("DATABASE_URL_CART", "c"), ("DATABASE_URL_USER", "u")]);
        assert_eq!(of_domain(all(), "cart").get("DATABASE_URL"), Some("c"));
        assert_eq!(of_domain(all(), "order").get("DATABASE_URL"), None);
        let own = all().with([("DATABASE_URL", "own")]);
        assert_eq!(of_domain(own, "cart").get("DATABASE_URL"), Some("own"));
    }

    #[test]
    fn connections_are_verified_unless_it_is_said_otherwise() {
        let recycling = |env: Env| {
            let env = of_domain(env, "cart");
            env.get("DATABASE_RECYCLING").map(str::to_owned)
        };
        assert_eq!(recycling(Env::default()).as_deref(), Some("verified"));
        let fast = Env::from_iter([("DATABASE_RECYCLING", "fast")]);
        assert_eq!(recycling(fast).as_deref(), Some("fast"));
    }

    #[test]
    fn secrets_are_named_with_or_without_a_key() {
        let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf#password";
        let env = Env::from_iter([
            ("DATABASE_PASSWORD_SECRET", arn),
            ("AUTH_SIGNING_KEY_SECRET", "zerocart/signing-key"),
            ("EMPTY_SECRET", ""),
            ("OTHER_SECRET", "not/asked"),
            ("OTHER", "set"),
            ("_SECRET", "nothing"),
            ("LOG_LEVEL", "info"),
        ]);
        let found = secrets(&env);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].variable, "AUTH_SIGNING_KEY");
        assert_eq!((found[0].id, found[0].key), ("zerocart/signing-key", None));
        assert_eq!(found[1].variable, "DATABASE_PASSWORD");
        assert!(found[1].id.ends_with("secret:db-AbCdEf"));
        assert_eq!(found[1].key, Some("password"));
    }
}
