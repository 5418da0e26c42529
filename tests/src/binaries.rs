//! The binaries of the domain crates: one per function and job, three lines each.

use cargo_metadata::Metadata;
use zerocart_proto::rpc::{Info, JobInfo};

use crate::{source, units};

/// A binary of a domain crate.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The package that it belongs to.
    pub package: String,
    /// Its name.
    pub name: String,
    /// The text of its source file.
    pub text: String,
}

/// The binaries of the packages in `functions/`.
///
/// # Errors
///
/// When a source file cannot be read.
pub fn read(metadata: &Metadata) -> std::io::Result<Vec<Binary>> {
    let functions = metadata.workspace_root.join("functions");
    let mut binaries = Vec::new();
    for package in metadata.workspace_packages() {
        if !package.manifest_path.starts_with(&functions) {
            continue;
        }
        for target in package.targets.iter().filter(|target| target.is_bin()) {
            binaries.push(Binary {
                package: package.name.to_string(),
                name: target.name.clone(),
                text: std::fs::read_to_string(&target.src_path)?,
            });
        }
    }
    Ok(binaries)
}

/// Each function and job has a binary of its name in its domain's crate, and that binary runs it and
/// does nothing else.
pub fn check(functions: &[Info], jobs: &[JobInfo], binaries: &[Binary]) -> Vec<String> {
    let units = units(functions, jobs);
    let mut wrong = crate::compare(
        "binaries",
        units.iter().map(|unit| unit.name),
        binaries.iter().map(|b| b.name.as_str()),
    );
    for binary in binaries {
        let Some(unit) = units.iter().find(|unit| unit.name == binary.name) else {
            continue;
        };
        let package = format!("zerocart-{}", unit.domain);
        if binary.package != package {
            wrong.push(format!(
                "{} is a binary of {}, not {package}",
                binary.name, binary.package
            ));
        }
        let wanted = format!(
            "fn main() -> std::process::ExitCode {{ zerocart_main::{}::<zerocart_{}::{}>() }}",
            if unit.job { "run_job" } else { "run" },
            unit.domain,
            crate::pascal(unit.name)
        );
        match (source::code(&binary.text), source::code(&wanted)) {
            (Ok(code), Ok(wanted)) if code == wanted => {}
            (Err(error), _) | (_, Err(error)) => wrong.push(format!("{}: {error}", binary.name)),
            _ => wrong.push(format!("{}: its source is not `{wanted}`", binary.name)),
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{FUNCTIONS, JOBS, only};

    fn binaries() -> Vec<Binary> {
        units(&FUNCTIONS, &JOBS)
            .iter()
            .map(|unit| Binary {
                package: format!("zerocart-{}", unit.domain),
                name: unit.name.to_owned(),
                text: format!(
                    "//! The function.\n\nfn main() -> std::process::ExitCode {{\n    \
                     zerocart_main::{}::<zerocart_{}::{}>()\n}}\n",
                    if unit.job { "run_job" } else { "run" },
                    unit.domain,
                    crate::pascal(unit.name)
                ),
            })
            .collect()
    }

    #[test]
    fn a_binary_that_is_not_the_functions_is_told() {
        let check = |functions: &[Info], binaries: &[Binary]| check(functions, &JOBS, binaries);
        assert_eq!(check(&FUNCTIONS, &binaries()), [""; 0]);

        only(
            &check(&FUNCTIONS, &binaries()[1..]),
            "create-user is missing",
        );
        only(&check(&FUNCTIONS[1..], &binaries()), "create-user is no");

        let mut other = binaries();
        other[0].package = "zerocart-product".into();
        only(&check(&FUNCTIONS, &other), "not zerocart-user");

        let mut other = binaries();
        other[0].text = other[1].text.clone();
        only(&check(&FUNCTIONS, &other), "zerocart_user::CreateUser");

        let mut more = binaries();
        more[0].text.push_str("fn more() {}");
        only(&check(&FUNCTIONS, &more), "its source is not");
    }

    #[test]
    fn a_binary_that_is_not_the_jobs_is_told() {
        let check = |binaries: &[Binary]| check(&FUNCTIONS, &JOBS, binaries);
        let mut other = binaries();
        let job = other.pop().expect("the job's");
        only(&check(&other), "sweep-users is missing");
        other.push(Binary {
            text: job.text.replace("run_job", "run"),
            ..job
        });
        only(&check(&other), "run_job::<zerocart_user::SweepUsers>");
    }
}
