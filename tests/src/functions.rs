//! All functions that are written, against all RPCs of the contract.

use std::collections::BTreeSet;

use zerocart_proto::rpc::Info;
use zerocart_runtime::Entry;

/// The functions of each domain that has a crate. A new domain is added here; [`check`] finds it
/// when it is not.
const DOMAINS: [&[Entry]; 2] = [zerocart_user::FUNCTIONS, zerocart_product::FUNCTIONS];

/// Every function that is written.
pub fn all() -> Vec<Info> {
    DOMAINS
        .into_iter()
        .flatten()
        .map(|entry| *entry.info)
        .collect()
}

/// Holds `functions` against all RPCs of the contract and the folders of `functions/`: a domain
/// with a crate has a function for each of its RPCs.
pub fn check(functions: &[Info], rpcs: &[Info], folders: &[String]) -> Vec<String> {
    let domains: BTreeSet<_> = functions.iter().map(|f| f.domain).collect();
    let mut wrong = Vec::new();
    for folder in folders {
        if !domains.contains(folder.as_str()) {
            wrong.push(format!(
                "functions/{folder} is not among the domains of these tests"
            ));
        }
    }
    for domain in domains {
        let of = |infos: &[Info]| -> Vec<&'static str> {
            let of_domain = infos.iter().filter(|info| info.domain == domain);
            of_domain.map(|info| info.name).collect()
        };
        let (written, declared) = (of(functions), of(rpcs));
        wrong.extend(crate::compare(
            &format!("FUNCTIONS of {domain}"),
            declared,
            written.iter().copied(),
        ));
        let distinct: BTreeSet<_> = written.iter().collect();
        if distinct.len() != written.len() {
            wrong.push(format!("FUNCTIONS of {domain} names a function twice"));
        }
        if !folders.iter().any(|folder| folder == domain) {
            wrong.push(format!("functions/{domain} does not exist"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{FUNCTIONS, only};

    #[test]
    fn a_function_that_is_missing_or_unknown_is_told() {
        let folders = ["user", "product"].map(String::from);
        assert_eq!(check(&FUNCTIONS, &FUNCTIONS, &folders), [""; 0]);

        only(
            &check(&FUNCTIONS[1..], &FUNCTIONS, &folders),
            "create-user is missing",
        );
        only(
            &check(&FUNCTIONS, &FUNCTIONS[1..], &folders),
            "create-user is no function",
        );
        only(
            &check(&FUNCTIONS, &FUNCTIONS, &folders[..1]),
            "functions/product does not exist",
        );
        let more = ["user", "product", "cart"].map(String::from);
        only(
            &check(&FUNCTIONS, &FUNCTIONS, &more),
            "functions/cart is not among",
        );
        let twice = [FUNCTIONS[0], FUNCTIONS[0]];
        only(&check(&twice, &FUNCTIONS[..1], &folders[..1]), "twice");
    }
}
