//! The addresses of functions.

use std::{collections::BTreeMap, str::FromStr};

use http::Uri;
use zerocart_core::{Invalid, Setup};

use crate::transport::Transport;

const TEMPLATE: &str = "FUNCTION_URL_TEMPLATE";
const URLS: &str = "FUNCTION_URLS";

/// The placeholder of the function's name in the template.
const PLACEHOLDER: &str = "{function}";

/// A name to try the template with; one in kebab-case fits wherever that does.
const SAMPLE: &str = "get-product";

/// The base URLs of functions.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    template: Option<Template>,
    urls: Urls,
}

impl Addresses {
    /// Those of the environment, of which each must be one that `transport` goes to.
    pub(crate) fn from_setup(
        setup: &mut Setup,
        transport: &dyn Transport,
    ) -> Result<Self, Invalid> {
        let template = setup.optional::<Template>(TEMPLATE);
        let urls = setup.optional::<Urls>(URLS);
        let mut bad = false;
        let mut check = |setup: &mut Setup, variable: &str, base: &Uri| {
            if let Err(problem) = transport.check(base) {
                setup.problem(format!("{variable}: {problem}"));
                bad = true;
            }
        };
        if let Ok(Some(template)) = &template
            && let Ok(base) = template.with(SAMPLE)
        {
            check(setup, TEMPLATE, &base);
        }
        for (name, base) in urls.iter().flatten().flat_map(|urls| &urls.0) {
            check(setup, &format!("{URLS}: {name}"), base);
        }
        let addresses = Self {
            template: template?,
            urls: urls?.unwrap_or_default(),
        };
        if bad { Err(Invalid) } else { Ok(addresses) }
    }

    /// The base URL of `function`.
    pub(crate) fn of(&self, function: &str) -> Result<Uri, String> {
        match (self.urls.0.get(function), &self.template) {
            (Some(url), _) => Ok(url.clone()),
            // Checked with another name.
            (None, Some(template)) => template
                .with(function)
                .map_err(|error| format!("{TEMPLATE}: {error}")),
            (None, None) => Err(format!(
                "{TEMPLATE} is required: {URLS} does not name {function}"
            )),
        }
    }
}

/// A base URL with a place for the name.
#[derive(Debug)]
struct Template(String);

impl Template {
    fn with(&self, function: &str) -> Result<Uri, InvalidUrl> {
        base(&self.0.replace(PLACEHOLDER, function))
    }
}

impl FromStr for Template {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if !text.contains(PLACEHOLDER) {
            return Err(InvalidUrl::NoPlaceholder);
        }
        let template = Self(text.to_owned());
        template.with(SAMPLE)?;
        Ok(template)
    }
}

/// Base URLs by name.
#[derive(Debug, Default)]
struct Urls(BTreeMap<String, Uri>);

impl FromStr for Urls {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let urls: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|_| InvalidUrl::NoObject)?;
        let urls = urls.into_iter().map(|(name, url)| match base(&url) {
            Ok(url) => Ok((name, url)),
            Err(error) => Err(InvalidUrl::Of(name, Box::new(error))),
        });
        Ok(Self(urls.collect::<Result<_, _>>()?))
    }
}

/// Why an address cannot be used. Says nothing of its value.
#[derive(Debug, thiserror::Error)]
enum InvalidUrl {
    #[error("must have {PLACEHOLDER} in place of the function's name")]
    NoPlaceholder,
    #[error("must be a JSON object of function names and base URLs")]
    NoObject,
    #[error("is not a URL")]
    Syntax,
    #[error("must be scheme://host[:port][/path], without a user or a query")]
    More,
    #[error("{0}: {1}")]
    Of(String, Box<InvalidUrl>),
}

/// A base URL: a scheme, an authority and perhaps a path.
fn base(text: &str) -> Result<Uri, InvalidUrl> {
    let url: Uri = text.parse().map_err(|_| InvalidUrl::Syntax)?;
    let plain = url
        .authority()
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    if url.scheme().is_none() || !plain || url.query().is_some() {
        return Err(InvalidUrl::More);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::H2c;
    use zerocart_core::Env;

    fn addresses(vars: &[(&str, &str)]) -> (Result<Addresses, Invalid>, Vec<String>) {
        let mut setup = Setup::new(Env::from_iter(vars.iter().copied()), "test");
        let addresses = Addresses::from_setup(&mut setup, &H2c::new());
        (addresses, setup.problems().to_vec())
    }

    #[test]
    fn a_name_has_its_own_url_or_that_of_the_template() {
        let (addresses, _) = addresses(&[
            (TEMPLATE, "http://{function}.zerocart.svc.cluster.local"),
            (URLS, r#"{"get-cart": "http://127.0.0.1:81/"}"#),
        ]);
        let addresses = addresses.unwrap();
        assert_eq!(addresses.of("get-cart").unwrap(), "http://127.0.0.1:81/");
        assert_eq!(
            addresses.of("get-product").unwrap(),
            "http://get-product.zerocart.svc.cluster.local/"
        );
    }

    #[test]
    fn a_name_without_a_url_is_a_problem_that_names_the_variable() {
        let (addresses, _) = addresses(&[(URLS, r#"{"get-cart": "http://h"}"#)]);
        let problem = addresses.unwrap().of("get-product").unwrap_err();
        assert!(problem.starts_with(TEMPLATE), "{problem}");
        assert!(problem.contains("get-product"), "{problem}");
    }

    #[test]
    fn bad_urls_are_problems_without_their_values() {
        for (variable, value, says) in [
            (TEMPLATE, "http://secret", "{function}"),
            (TEMPLATE, "https://{function}.secret", "https"),
            (TEMPLATE, "ftp://{function}.secret", "http://"),
            (TEMPLATE, "{function}.secret:80", "scheme://"),
            (TEMPLATE, "http://{function}.secret/?query", "query"),
            (TEMPLATE, "http://secret@{function}", "user"),
            (TEMPLATE, "http://{function} secret", "not a URL"),
            (URLS, "secret", "JSON object"),
            (URLS, r#"["secret"]"#, "JSON object"),
            (URLS, r#"{"get-cart": "https://secret"}"#, "get-cart: "),
        ] {
            let (addresses, problems) = addresses(&[(variable, value)]);
            assert!(addresses.is_err(), "{value}");
            let [problem] = problems.as_slice() else {
                panic!("{value}: {problems:?}");
            };
            assert!(problem.starts_with(variable), "{problem}");
            assert!(problem.contains(says), "{value}: {problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
