//! The names of migrations. The build script uses this file, too, so that a bad name fails the build.

use std::collections::BTreeMap;

/// Each version's file, in order. sqlx passes over names that it does not understand; here they are
/// errors, because a migration that is silently left out is worse.
///
/// The error is a file with what is wrong about it.
pub(crate) fn versions(
    files: impl IntoIterator<Item = String>,
) -> Result<BTreeMap<i64, String>, (String, String)> {
    let mut versions = BTreeMap::<i64, String>::new();
    for file in files {
        let name = file.rsplit('/').next().unwrap_or(&file);
        let version = name
            .split_once('_')
            .and_then(|(version, _)| version.parse::<i64>().ok())
            .filter(|version| *version > 0);
        let Some(version) = version else {
            let problem = "is not named <version>_<what it does>.sql".to_owned();
            return Err((file, problem));
        };
        if let Some(other) = versions.get(&version) {
            let problem = format!("has the same version as {other}");
            return Err((file, problem));
        }
        versions.insert(version, file);
    }
    Ok(versions)
}
