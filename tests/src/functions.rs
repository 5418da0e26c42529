//! All functions and jobs that are written, against all that the contract declares.

use std::collections::BTreeSet;

use zerocart_proto::rpc::{Info, JobInfo};
use zerocart_runtime::{Entry, JobEntry};

/// The functions of each domain that has a crate. A new domain is added here; [`check`] finds it
/// when it is not.
const DOMAINS: [&[Entry]; 5] = [
    zerocart_user::FUNCTIONS,
    zerocart_product::FUNCTIONS,
    zerocart_cart::FUNCTIONS,
    zerocart_payment::FUNCTIONS,
    zerocart_order::FUNCTIONS,
];

/// The jobs of each domain that has any; [`check_jobs`] finds one that is not here.
const JOBS: [&[JobEntry]; 2] = [zerocart_payment::JOBS, zerocart_order::JOBS];

/// Every function that is written.
pub fn all() -> Vec<Info> {
    DOMAINS
        .into_iter()
        .flatten()
        .map(|entry| *entry.info)
        .collect()
}

/// Every job that is written.
pub fn jobs() -> Vec<JobInfo> {
    JOBS.into_iter()
        .flatten()
        .map(|entry| *entry.info)
        .collect()
}

/// What answers at the public address beside the functions.
pub const EDGE: [&str; 1] = [zerocart_reflection::SERVICE.name];

/// Holds `jobs` against all jobs that the contract declares.
pub fn check_jobs(jobs: &[JobInfo], declared: &[JobInfo]) -> Vec<String> {
    let names = |jobs: &[JobInfo]| jobs.iter().map(|job| job.name).collect::<Vec<_>>();
    let mut wrong = crate::compare("JOBS", names(declared), names(jobs));
    for job in jobs {
        let declared = declared.iter().find(|other| other.name == job.name);
        if declared.is_some_and(|declared| declared.domain != job.domain) {
            let (name, domain) = (job.name, job.domain);
            wrong.push(format!("JOBS: {name} is not declared for {domain}"));
        }
    }
    wrong
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
    use crate::sample::{FUNCTIONS, JOBS, only};

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

    #[test]
    fn a_job_that_is_missing_or_unknown_is_told() {
        assert_eq!(check_jobs(&JOBS, &JOBS), [""; 0]);
        only(&check_jobs(&[], &JOBS), "sweep-users is missing");
        only(&check_jobs(&JOBS, &[]), "sweep-users is no");
        let mut other = JOBS;
        other[0].domain = "product";
        only(&check_jobs(&other, &JOBS), "not declared for product");
    }
}
