//! What is refused before anything is called.

use std::time::Duration;

use zerocart_client::{Caller, Functions, Options};
use zerocart_core::{Env, Setup};
use zerocart_proto::rpc::{self, GetCart, GetProduct, Rpc};
use zerocart_resilience::breaker::{self, shared};

use crate::{Memory, RULES};

fn setup(vars: &[(&str, &str)]) -> Setup {
    Setup::new(Env::from_iter(vars.iter().copied()), "create-order")
}

const TEMPLATE: (&str, &str) = ("FUNCTION_URL_TEMPLATE", "http://{function}.localhost:1");

#[test]
fn a_callee_that_is_not_declared_is_refused() {
    let mut setup = setup(&[TEMPLATE]);
    let caller = Caller::from(&rpc::CreateOrder::INFO);
    let functions = Functions::from_setup(&mut setup, caller).unwrap();
    assert!(
        functions
            .client::<GetCart>(&mut setup, Options::default())
            .is_ok()
    );
    assert!(
        functions
            .client::<GetProduct>(&mut setup, Options::default())
            .is_err()
    );
    let [problem] = setup.problems() else {
        panic!("{:?}", setup.problems());
    };
    assert!(
        problem.contains("create-order calls get-product"),
        "{problem}"
    );
}

#[test]
fn a_callee_without_an_address_is_a_problem_that_names_the_variable() {
    let mut setup = setup(&[("FUNCTION_URLS", r#"{"get-product": "http://h"}"#)]);
    let caller = Caller::from(&rpc::CreateOrder::INFO);
    let functions = Functions::from_setup(&mut setup, caller).unwrap();
    assert!(
        functions
            .client::<GetCart>(&mut setup, Options::default())
            .is_err()
    );
    let [problem] = setup.problems() else {
        panic!("{:?}", setup.problems());
    };
    assert!(
        problem.starts_with("FUNCTION_URL_TEMPLATE is required"),
        "{problem}"
    );
}

#[test]
fn every_bad_address_is_reported() {
    let mut setup = setup(&[
        ("FUNCTION_URL_TEMPLATE", "https://{function}.example"),
        ("FUNCTION_URLS", "no"),
    ]);
    let caller = Caller::from(&rpc::RECOVER_ORDERS);
    assert!(Functions::from_setup(&mut setup, caller).is_err());
    let mut problems = setup.problems().to_vec();
    problems.sort_unstable();
    let [urls, template] = problems.as_slice() else {
        panic!("{problems:?}");
    };
    assert!(
        template.starts_with("FUNCTION_URL_TEMPLATE: "),
        "{template}"
    );
    assert!(template.contains("https"), "{template}");
    assert!(urls.starts_with("FUNCTION_URLS: "), "{urls}");
}

#[test]
fn a_lease_that_an_attempt_may_outlive_is_refused() {
    let mut setup = setup(&[TEMPLATE]);
    let caller = Caller::from(&rpc::CreateOrder::INFO);
    let functions = Functions::from_setup(&mut setup, caller).unwrap();
    let rules = breaker::Config {
        probe_lease: Some(GetCart::INFO.timeout() - Duration::from_millis(1)),
        ..RULES
    };
    let config = shared::Config::new(rules);
    let breaker = shared::Shared::new("get-cart", Memory::default(), config).unwrap();
    let options = Options {
        breaker: Some(breaker),
        ..Options::default()
    };
    assert!(functions.client::<GetCart>(&mut setup, options).is_err());
    assert!(
        setup.problems()[0].contains("lease"),
        "{:?}",
        setup.problems()
    );
}
