//! A file with the passwords of roles, for those who provision a server by hand.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use anyhow::{Context, Result, bail};
use zerocart_provision::{Password, Passwords};

/// The passwords of all `roles`, from a file in the form of ROLE_PASSWORDS. What is missing is made and
/// added; what is there stays. A new file has mode 0600. The second value says how many were made.
pub(crate) fn load_or_make(path: &Path, roles: &[String]) -> Result<(Passwords, usize)> {
    let name = path.file_name();
    let name = name.with_context(|| format!("{} is no name of a file", path.display()))?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // Another provision waits for what this one makes. The lock is one of the folder, because the file is
    // replaced as a whole.
    let lock = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    lock.lock()
        .with_context(|| format!("cannot lock {}", folder.display()))?;

    let path = folder.join(name);
    let mut passwords = match fs::read_to_string(&path) {
        Ok(text) => parse(&text, roles).with_context(|| path.display().to_string())?,
        Err(error) if error.kind() == ErrorKind::NotFound => Passwords::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let before = passwords.len();
    for role in roles {
        passwords
            .entry(role.clone())
            .or_insert_with(Password::random);
    }
    let made = passwords.len() - before;
    if made > 0 {
        let text = serde_json::to_string_pretty(&passwords)? + "\n";
        // It gets mode 0600.
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok((passwords, made))
}

/// A JSON object from roles to passwords: only roles that there are, and only good passwords.
pub(crate) fn parse(json: &str, roles: &[String]) -> Result<Passwords> {
    // serde's own message may quote a password.
    let Ok(passwords) = serde_json::from_str::<Passwords>(json) else {
        bail!("must be a JSON object whose keys are roles and whose values are passwords");
    };
    for (role, password) in &passwords {
        if !roles.contains(role) {
            bail!(
                "{role} is no role of zerocart. The roles are {}",
                roles.join(", ")
            );
        }
        if let Some(problem) = password.problem() {
            bail!("{role}: {problem}");
        }
    }
    Ok(passwords)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn roles(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roles.json");
        let (first, made) = load_or_make(&path, &roles(&["a"])).unwrap();
        assert_eq!(made, 1);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let (second, made) = load_or_make(&path, &roles(&["a", "b"])).unwrap();
        assert_eq!((made, &second["a"]), (1, &first["a"]));
        let text = fs::read_to_string(&path).unwrap();
        let (again, made) = load_or_make(&path, &roles(&["a", "b"])).unwrap();
        assert_eq!((made, again), (0, second));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn bad_passwords_are_named_and_not_shown() {
        for (json, says) in [
            ("{\"a\": \"s3cret\"", "must be a JSON object"),
            ("{\"a\": [\"s3cret\"]}", "must be a JSON object"),
            (
                "{\"c\": \"s3cret\"}",
                "c is no role of zerocart. The roles are a, b",
            ),
            ("{\"a\": \"\"}", "a: the password is empty"),
            (
                "{\"a\": \"s3cret\u{e9}\"}",
                "a: the password has a character",
            ),
        ] {
            let error = format!("{:#}", parse(json, &roles(&["a", "b"])).unwrap_err());
            assert!(error.contains(says), "{json}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
