//! `zerocart keys`: which keys sign tokens, and their rotation.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use http::Method;
use zerocart_auth::{Issuer, KeySet, Previous};

use crate::{
    cluster::keys::ClusterKeys,
    console, domains,
    engine::CONSUMER,
    key_files::{Files, Keys},
    layout::{Data, Project},
    ps,
    status::Engine,
};

/// How long a key is kept beyond the last token that it signed: a function that still runs with it
/// when it is replaced finishes what it has.
const MARGIN: Duration = Duration::from_secs(60);

/// How long a running engine may take to take the keys up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `zerocart keys`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The keys of the cluster of this context, in place of the local engine's
    #[arg(long, value_name = "NAME", global = true)]
    context: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Sign with new keys from now on; tokens that the old ones signed stay valid
    Rotate {
        /// The keys of one issuer only
        #[arg(long)]
        issuer: Option<Which>,
    },
    /// Forget the keys whose last token has expired
    Retire {
        /// The keys of one issuer only
        #[arg(long)]
        issuer: Option<Which>,
        /// Forget all but those that sign, at once: who signed in with them has to do so again
        #[arg(long)]
        now: bool,
    },
    /// Print the public keys, as a deployment takes them
    Export {
        /// For whom
        form: Form,
        /// With `env`: the private keys, too
        #[arg(long)]
        private: bool,
    },
}

/// An issuer, on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum Which {
    /// Signs for people
    User,
    /// Signs for functions
    Service,
}

/// For whom keys are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// The consumers that are merged into kong.yml, with their keys as PEM
    Kong,
    /// The variables of functions, each a JWK (set)
    Env,
}

pub(crate) async fn run(args: Args, data: Option<PathBuf>) -> Result<()> {
    if let Some(context) = args.context {
        return of_cluster(context, args.command).await;
    }
    let data = Data::new(data, None)?;
    data.create()?;
    match args.command {
        None => list(&data),
        Some(Command::Rotate { issuer }) => rotate(&data, issuer).await,
        Some(Command::Retire { issuer, now }) => retire(&data, issuer, now).await,
        Some(Command::Export { form, private }) => {
            let keys = Keys::load_or_make(&data)?;
            console::say(match form {
                Form::Kong => kong(&keys.user),
                Form::Env => env(&keys, private),
            });
            Ok(())
        }
    }
}

/// The same for the keys of a cluster.
async fn of_cluster(context: String, command: Option<Command>) -> Result<()> {
    let keep = keep()?;
    let mut keys = ClusterKeys::of(context).await?;
    match command {
        None => keys.list(|previous| left(previous, keep)),
        Some(Command::Rotate { issuer }) => {
            keys.rotate(issuers(issuer)).await?;
            console::say(format_args!(
                "tokens signed before stay valid; in {} min `zerocart keys retire` forgets the old keys",
                minutes(keep)
            ));
        }
        Some(Command::Retire { issuer, now }) => {
            let until = (!now).then(|| SystemTime::now() - keep);
            keys.retire(issuers(issuer), until).await?;
        }
        Some(Command::Export { .. }) => {
            anyhow::bail!(
                "the keys of a cluster stay in it: `zerocart deploy` gives them to everybody"
            )
        }
    }
    Ok(())
}

/// The issuers that are meant: one, or both.
fn issuers(which: Option<Which>) -> &'static [Issuer] {
    match which {
        None => &[Issuer::User, Issuer::Service],
        Some(Which::User) => &[Issuer::User],
        Some(Which::Service) => &[Issuer::Service],
    }
}

/// How long after its replacement a key may be needed.
fn keep() -> Result<Duration> {
    // Outside of the repository nobody can have set another lifetime in its manifests.
    let manifests = match Project::find() {
        Ok(project) => zerocart_activator::load_dir(&project.services())?,
        Err(_) => Vec::new(),
    };
    let signs = |name: &str| domains::function(name).is_some_and(|f| f.info.signs_tokens);
    let signing = manifests.iter().filter(|function| signs(&function.name));
    let mut env = signing.flat_map(|function| &function.env);
    let set = env.find(|(name, _)| name == "TOKEN_LIFETIME_SECONDS");
    let lifetime_s = match set {
        Some((name, value)) => value.parse().with_context(|| name.clone())?,
        None => zerocart_user::TOKEN_LIFETIME_SECONDS,
    };
    // The service issuer's tokens live for a minute; its keys are kept as long, which does no harm.
    Ok(Duration::from_secs(lifetime_s) + MARGIN)
}

fn list(data: &Data) -> Result<()> {
    let mut files = Files::lock(data)?;
    let keep = keep()?;
    for issuer in issuers(None) {
        let keys = files.of(*issuer);
        console::say(listed(*issuer, keys, |previous| left(previous, keep)));
    }
    Ok(())
}

/// The keys of an issuer, a line each.
pub(crate) fn listed(
    issuer: Issuer,
    keys: &KeySet,
    left: impl Fn(&Previous) -> Duration,
) -> String {
    let mut text = format!("{issuer}\n  {}  signs", keys.current().kid());
    for previous in keys.previous() {
        let left = left(previous);
        let until = match left.is_zero() {
            true => "its last token has expired: `keys retire` forgets it".to_owned(),
            false => format!("its last token expires in {} min", minutes(left)),
        };
        text.push_str(&format!("\n  {}  {until}", previous.key().kid()));
    }
    text
}

/// How long it may still be that a token of this key is valid.
fn left(previous: &Previous, keep: Duration) -> Duration {
    let until = previous.replaced_at() + keep;
    until.duration_since(SystemTime::now()).unwrap_or_default()
}

fn minutes(duration: Duration) -> u64 {
    duration.as_secs().div_ceil(60)
}

async fn rotate(data: &Data, which: Option<Which>) -> Result<()> {
    {
        let mut files = Files::lock(data)?;
        for issuer in issuers(which) {
            let keys = files.of(*issuer);
            keys.rotate(SystemTime::now())?;
            let kid = keys.current().kid().to_owned();
            files.save(*issuer)?;
            console::say(format_args!("{issuer} signs with {kid}"));
        }
    }
    tell(data).await?;
    console::say(format_args!(
        "tokens signed before stay valid; in {} min `zerocart keys retire` forgets the old keys",
        minutes(keep()?)
    ));
    Ok(())
}

async fn retire(data: &Data, which: Option<Which>, now: bool) -> Result<()> {
    let keep = keep()?;
    {
        let mut files = Files::lock(data)?;
        for issuer in issuers(which) {
            let keys = files.of(*issuer);
            let gone = match now {
                true => keys.retire_all(),
                false => keys.retire(SystemTime::now() - keep),
            };
            let kept: Vec<_> = keys.previous().to_vec();
            if !gone.is_empty() {
                files.save(*issuer)?;
            }
            for previous in gone {
                console::say(format_args!("{issuer} forgot {}", previous.key().kid()));
            }
            for previous in kept {
                console::say(format_args!(
                    "{issuer} keeps {} for {} min, while its tokens may be valid (--now forgets it at once)",
                    previous.key().kid(),
                    minutes(left(&previous, keep))
                ));
            }
        }
    }
    tell(data).await
}

/// Has a running engine take the keys up.
async fn tell(data: &Data) -> Result<()> {
    let Some(engine) = Engine::read(&data.engine())? else {
        return Ok(());
    };
    if ps::ask(&engine).await.is_err() {
        // Killed, most likely. The next start reads the files.
        return Ok(());
    }
    let _: String = ps::send(&engine, Method::POST, "/keys/reload", TIMEOUT)
        .await
        .context("the keys are written, but the running engine did not take them up: restart it")?;
    console::say("the running engine has taken the keys up");
    Ok(())
}

/// The consumer of Kong whose tokens are let in.
fn kong(keys: &KeySet) -> String {
    let mut text =
        format!("_format_version: \"3.0\"\nconsumers:\n- username: {CONSUMER}\n  jwt_secrets:");
    for key in &keys.keys() {
        let pem = key.to_pem();
        let pem = pem.trim_end().replace('\n', "\n      ");
        text.push_str(&format!(
            "\n  - key: \"{}\"\n    algorithm: EdDSA\n    rsa_public_key: |\n      {pem}",
            key.kid()
        ));
    }
    text
}

/// The variables that functions take keys from; the private ones only where they are asked for.
fn env(keys: &Keys, private: bool) -> String {
    let mut lines = vec![
        format!("AUTH_USER_KEYS={}", keys.user.keys()),
        format!("AUTH_SERVICE_KEYS={}", keys.service.keys()),
    ];
    if private {
        let jwk = |keys: &KeySet| keys.current().to_private_jwk().to_string();
        lines.push(format!("AUTH_SIGNING_KEY={}", jwk(&keys.user)));
        lines.push(format!("AUTH_SERVICE_SIGNING_KEY={}", jwk(&keys.service)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use zerocart_gateway::Consumers;

    use super::*;

    fn keys() -> Keys {
        let set = || {
            let mut set = KeySet::generate().unwrap();
            set.rotate(SystemTime::now()).unwrap();
            set
        };
        Keys {
            user: set(),
            service: set(),
        }
    }

    #[test]
    fn kong_gets_the_user_issuers_keys_alone() {
        let keys = keys();
        let text = kong(&keys.user);
        Consumers::parse("consumers.yml", &text).unwrap();
        for key in &keys.user.keys() {
            assert!(text.contains(key.kid()), "{text}");
        }
        for key in &keys.service.keys() {
            assert!(!text.contains(key.kid()), "{text}");
        }
    }

    #[test]
    fn private_keys_are_printed_only_when_they_are_asked_for() {
        let keys = keys();
        let public = env(&keys, false);
        assert!(!public.contains("\"d\""), "{public}");
        assert!(!kong(&keys.user).contains("PRIVATE"));
        let all = env(&keys, true);
        assert_eq!(all.matches("\"d\"").count(), 2);
        for line in all.lines() {
            let (name, value) = line.split_once('=').unwrap();
            match name {
                "AUTH_USER_KEYS" | "AUTH_SERVICE_KEYS" => {
                    value.parse::<zerocart_auth::Keys>().map(drop).unwrap();
                }
                _ => value.parse::<zerocart_auth::KeyPair>().map(drop).unwrap(),
            }
        }
    }
}
