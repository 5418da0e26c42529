//! The databases: a PostgreSQL in the cluster or a managed one, and what functions need to reach theirs.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use zerocart_auth::generate_secret;

use crate::{
    Applied, Kubectl, Mode, Problem, Progress, Result, Wait, certificates, documents, names,
    secrets::Data,
};

/// The host of the PostgreSQL in the cluster.
const HOST: &str = "postgres.zerocart-system.svc.cluster.local";

/// What the server's certificate is for. The last is for `kubectl port-forward`.
const HOSTS: [&str; 4] = [
    HOST,
    "postgres.zerocart-system.svc",
    "postgres",
    "localhost",
];

/// How long the server's start, and a run of the Job, may take: an image is fetched, and a volume made.
const START: Duration = Duration::from_secs(240);

/// Bits of randomness in a password.
const PASSWORD_BITS: usize = 192;

/// The Secrets in the system's namespace.
const PASSWORD: &str = "postgres-password";
const TLS: &str = "postgres-tls";
const AUTHORITY: &str = "database-authority";
const PROVISION: &str = "provision";

/// Where the server reads its certificate.
const CERTIFICATE_FILE: &str = "/etc/postgresql/tls/tls.crt";

/// Variables of the Job that provisions, and of functions.
const ADMIN_URL: &str = "ADMIN_DATABASE_URL";
const ROOTS: &str = "DATABASE_ROOT_CERTIFICATE";
const ROLES: &str = "ROLE_PASSWORDS";
const FIRST_ADMIN: &str = "FIRST_ADMIN_PASSWORD";
const URL: &str = "DATABASE_URL";

/// Which PostgreSQL holds the databases.
#[derive(Clone)]
pub enum Server {
    /// One that runs in the cluster, on a volume of its own.
    InCluster {
        /// The size of the volume, such as `10Gi`; none for the manifest's.
        storage: Option<String>,
        /// The volume's storage class; none for the cluster's default.
        class: Option<String>,
    },
    /// One that somebody else runs.
    Managed {
        /// Its address, with an administrator's role and password.
        url: String,
        /// The certificates that it is trusted by, as PEM; none for those of the system.
        roots: Option<String>,
    },
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InCluster { .. } => "InCluster",
            Self::Managed { .. } => "Managed",
        })
    }
}

/// Makes the passwords, certificates and addresses that are not there yet, and gives each domain's
/// functions theirs.
///
/// # Errors
///
/// When a Secret cannot be read or written, or this deployment has its databases elsewhere.
pub async fn prepare(kubectl: &Kubectl, server: &Server, domains: &[&str]) -> Result<Applied> {
    let mut applied = Applied::default();
    let (admin_url, roots) = match server {
        Server::Managed { url, roots } => (url.clone(), roots.clone()),
        Server::InCluster { .. } => in_cluster(kubectl, &mut applied).await?,
    };
    let before = kubectl.secret(names::SYSTEM, PROVISION).await?;
    if let Some(there) = before.as_ref().and_then(|data| data.get(ADMIN_URL)) {
        let (there, here) = (place(there), place(&admin_url));
        if there != here {
            return Err(Problem::new(format!(
                "the databases of this deployment are at {there}, not at {here}"
            ))
            .cure(format!(
                "deploy with the server at {there}; to move, make a backup, `zerocart undeploy --data`, deploy \
                 again, and restore it"
            )));
        }
    }
    let mut provision = before.clone().unwrap_or_default();
    let passwords = role_passwords(&provision, domains)?;
    provision.insert(ADMIN_URL.to_owned(), admin_url.clone());
    provision.insert(ROLES.to_owned(), json!(passwords).to_string());
    match &roots {
        Some(roots) => provision.insert(ROOTS.to_owned(), roots.clone()),
        None => provision.remove(ROOTS),
    };
    if before.is_none() {
        provision.insert(FIRST_ADMIN.to_owned(), password()?);
    }
    applied += kubectl
        .put_secret(names::SYSTEM, PROVISION, &provision)
        .await?;
    for domain in domains {
        let role = format!("zerocart_{domain}");
        let url = with_role(&admin_url, &role, &passwords[&role], &role)?;
        let mut data = Data::from([(URL.to_owned(), url)]);
        if let Some(roots) = &roots {
            data.insert(ROOTS.to_owned(), roots.clone());
        }
        let name = format!("zerocart-{domain}");
        applied += kubectl.put_secret(names::FUNCTIONS, &name, &data).await?;
    }
    Ok(applied)
}

/// Password, authority and certificate of the server in the cluster. Returns its address and what it
/// is trusted by.
async fn in_cluster(kubectl: &Kubectl, applied: &mut Applied) -> Result<(String, Option<String>)> {
    let (secret, made) = kubectl
        .secret_made_once(names::SYSTEM, PASSWORD, |found| match found.is_empty() {
            true => Ok(Data::from([("password".to_owned(), password()?)])),
            false => Ok(Data::new()),
        })
        .await?;
    *applied += made;
    let now = SystemTime::now();
    let (authority, made) = kubectl
        .secret_made_once(names::SYSTEM, AUTHORITY, |found| match found.is_empty() {
            true => certificates::authority(now),
            false => Ok(Data::new()),
        })
        .await?;
    *applied += made;
    let tls = kubectl.secret(names::SYSTEM, TLS).await?;
    if certificates::is_due(tls.as_ref(), &authority, now) {
        let names = HOSTS.map(str::to_owned);
        let made = certificates::server(&authority, &names, now)?;
        *applied += kubectl.put_secret(names::SYSTEM, TLS, &made).await?;
    }
    let password = secret.get("password").map_or("", String::as_str);
    let url = format!("postgres://postgres:{password}@{HOST}:5432/postgres?sslmode=verify-full");
    Ok((url, authority.get("tls.crt").cloned()))
}

/// The passwords of both roles of each domain; those that are there stay.
fn role_passwords(provision: &Data, domains: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut passwords: BTreeMap<String, String> = match provision.get(ROLES) {
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Problem::new(format!(
                "the Secret {PROVISION} has no passwords as {ROLES}"
            ))
            .because(error)
        })?,
        None => BTreeMap::new(),
    };
    for domain in domains {
        for role in [
            format!("zerocart_{domain}"),
            format!("zerocart_{domain}_owner"),
        ] {
            if let std::collections::btree_map::Entry::Vacant(missing) = passwords.entry(role) {
                missing.insert(password()?);
            }
        }
    }
    Ok(passwords)
}

/// Applies the PostgreSQL of the cluster, and waits until it answers.
///
/// # Errors
///
/// When the server refuses it, or it does not become ready.
pub async fn start(
    kubectl: &Kubectl,
    progress: &Progress,
    manifest: &Path,
    storage: Option<&str>,
    class: Option<&str>,
) -> Result<Applied> {
    let mut objects = documents::read(manifest)?;
    let set = documents::find(&mut objects, "StatefulSet", "postgres")?;
    let claim = &mut set["spec"]["volumeClaimTemplates"][0]["spec"];
    if let Some(storage) = storage {
        claim["resources"]["requests"]["storage"] = json!(storage);
    }
    if let Some(class) = class {
        claim["storageClassName"] = json!(class);
    }
    let applied = kubectl.apply(&objects).await?;
    if kubectl.mode() == Mode::Change {
        let wait = Wait::new(kubectl, progress, names::SYSTEM, START);
        wait.statefulset("postgres").await?;
    }
    Ok(applied)
}

/// Makes the certificate of the server in the cluster anew, and has the server take it up. Connections go
/// on: PostgreSQL reads its certificate again without a restart.
///
/// # Errors
///
/// When there is no server in the cluster, or it does not take the certificate up.
pub async fn renew_certificate(kubectl: &Kubectl, progress: &Progress) -> Result<()> {
    let authority = kubectl.secret(names::SYSTEM, AUTHORITY).await?;
    let authority = authority.ok_or_else(|| {
        Problem::new("there is no PostgreSQL in this cluster")
            .cure("`zerocart deploy` makes one; the certificate of a managed server is its own")
    })?;
    let made = certificates::server(&authority, &HOSTS.map(str::to_owned), SystemTime::now())?;
    kubectl.put_secret(names::SYSTEM, TLS, &made).await?;
    take_certificate_up(kubectl, progress).await
}

/// Waits until the server's pod has the certificate of the Secret, and tells the server to read it.
///
/// # Errors
///
/// When the pod does not get it in time: the kubelet looks about once a minute.
pub async fn take_certificate_up(kubectl: &Kubectl, progress: &Progress) -> Result<()> {
    let secret = kubectl
        .secret(names::SYSTEM, TLS)
        .await?
        .unwrap_or_default();
    let wanted = secret.get("tls.crt").map_or("", String::as_str).trim();
    let exec = [
        "exec",
        "postgres-0",
        "--namespace",
        names::SYSTEM,
        "--container",
        "postgres",
        "--",
    ];
    let began = tokio::time::Instant::now();
    loop {
        let call = kubectl.call(exec)?.args(["cat", CERTIFICATE_FILE]);
        if call.output().await?.trim() == wanted {
            break;
        }
        if began.elapsed() > START {
            return Err(Problem::new("the pod of PostgreSQL does not get its new certificate").cure(
                "`kubectl -n zerocart-system delete pod postgres-0`: it starts with the new one, after some \
                 seconds without a database",
            ));
        }
        progress.event("the kubelet brings the certificate into the pod, within two minutes");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let reload = ["pg_ctl", "reload"];
    kubectl.call(exec)?.args(reload).output().await.map(drop)
}

/// What the Job that provisions did.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// Whether it ran now; otherwise a run before it did all of this.
    pub ran: bool,
    /// Its lines.
    pub log: String,
    /// The first admin's password, if it was made and nobody has been shown it yet.
    pub admin: Option<String>,
}

/// Makes databases, roles, tables and the first admin: by a Job from the image of the `zerocart` command,
/// once for each image and each change of the passwords.
///
/// # Errors
///
/// When the Job fails: the cause has its last lines.
pub async fn provision(
    kubectl: &Kubectl,
    progress: &Progress,
    manifest: &Path,
    images: &BTreeMap<String, String>,
) -> Result<Provisioned> {
    let mut objects = documents::read(manifest)?;
    documents::use_images(&mut objects, images)?;
    let secret = kubectl
        .secret(names::SYSTEM, PROVISION)
        .await?
        .unwrap_or_default();
    let asked: Data = secret
        .clone()
        .into_iter()
        .filter(|(key, _)| key != FIRST_ADMIN)
        .collect();
    let job = documents::find(&mut objects, "Job", "provision")?;
    let name = format!("provision-{}", documents::hash(&format!("{job}{asked:?}")));
    job["metadata"]["name"] = json!(name);
    let done = |job: &Value| job["status"]["succeeded"].as_u64() == Some(1);
    let before = kubectl.get("job", names::SYSTEM, &name).await?;
    let ran = !before.as_ref().is_some_and(done);
    if ran {
        if before.is_some() {
            // It failed: its pods stay as they are, so another takes its place.
            let args = ["job", &name, "--namespace", names::SYSTEM];
            kubectl.delete(&args, Duration::from_secs(60)).await?;
        }
        kubectl.apply(&objects).await?;
        if kubectl.mode() == Mode::Change {
            let wait = Wait::new(kubectl, progress, names::SYSTEM, START);
            wait.job(&name).await?;
        }
    }
    let log = match kubectl.mode() {
        Mode::Change if ran => {
            let job = format!("job/{name}");
            let args = ["logs", &job, "--namespace", names::SYSTEM];
            kubectl.call(args)?.output().await?
        }
        _ => String::new(),
    };
    Ok(Provisioned {
        ran,
        log,
        admin: secret.get(FIRST_ADMIN).cloned(),
    })
}

/// Forgets the first admin's password: it has been shown.
///
/// # Errors
///
/// When the Secret cannot be written.
pub async fn forget_admin(kubectl: &Kubectl) -> Result<()> {
    let secret = kubectl.secret(names::SYSTEM, PROVISION).await?;
    let mut secret = secret.unwrap_or_default();
    if secret.remove(FIRST_ADMIN).is_some() {
        kubectl
            .put_secret(names::SYSTEM, PROVISION, &secret)
            .await?;
    }
    Ok(())
}

/// The address of a managed server with the password of its administrator, which comes from the variable
/// `variable`: every user of a machine can read the arguments of a command.
///
/// # Errors
///
/// When the address is no URL, or has a password itself.
pub fn with_password(url: &str, password: &str, variable: &str) -> Result<String> {
    let refused = |why: &str| {
        Problem::new(format!("--database-url: {why}")).cure(format!(
            "--database-url 'postgres://NAME@HOST:5432/postgres?sslmode=verify-full', and the password in {variable}"
        ))
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| refused("it is no URL"))?;
    if scheme != "postgres" && scheme != "postgresql" {
        return Err(refused("it does not begin with postgres://"));
    }
    let (role, rest) = rest
        .split_once('@')
        .ok_or_else(|| refused("it names no role"))?;
    if role.contains(':') {
        return Err(refused(
            "it has a password, which every user of this machine can read",
        ));
    }
    if password.is_empty() {
        return Err(refused("there is no password"));
    }
    let password: String = password.bytes().map(escaped).collect();
    Ok(format!("{scheme}://{role}:{password}@{rest}"))
}

/// A byte of a password in a URL (RFC 3986, section 2.1).
fn escaped(byte: u8) -> String {
    match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    }
}

fn password() -> Result<String> {
    let secret = generate_secret(PASSWORD_BITS);
    let secret = secret.map_err(|error| Problem::new(error.to_string()))?;
    Ok(secret.to_string())
}

/// The parts of an address: before the role, host and port, and the query.
fn parts(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    (!host.is_empty()).then_some((scheme, host, query))
}

/// The port of a server.
///
/// # Errors
///
/// When its address is no URL, or the port no number.
pub fn port(url: &str) -> Result<u16> {
    let (_, host, _) = parts(url).ok_or_else(|| Problem::new("the address is no URL"))?;
    // An IPv6 address has colons of its own, in brackets.
    match host
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
    {
        Some((_, port)) => port
            .parse()
            .map_err(|_| Problem::new(format!("--database-url: {port} is no port"))),
        None => Ok(5432),
    }
}

/// Where a server is, without what is secret.
fn place(url: &str) -> String {
    parts(url).map_or_else(
        || "an address that cannot be read".to_owned(),
        |(_, host, _)| host.to_owned(),
    )
}

/// The address of a database on the same server, for another role.
fn with_role(url: &str, role: &str, password: &str, database: &str) -> Result<String> {
    let (scheme, host, query) =
        parts(url).ok_or_else(|| Problem::new("the address of the database server is no URL"))?;
    let query = match query.is_empty() {
        true => String::new(),
        false => format!("?{query}"),
    };
    // Passwords here are letters, digits, - and _: nothing needs an escape.
    Ok(format!(
        "{scheme}://{role}:{password}@{host}/{database}{query}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_address_is_the_servers_with_its_own_role() {
        let admin = "postgres://admin:secret@db.example:5433/postgres?sslmode=verify-full";
        assert_eq!(
            with_role(admin, "zerocart_cart", "x", "zerocart_cart").unwrap(),
            "postgres://zerocart_cart:x@db.example:5433/zerocart_cart?sslmode=verify-full"
        );
        assert_eq!(place(admin), "db.example:5433");
        for (url, number) in [
            (admin, Ok(5433)),
            ("postgres://a@h/d", Ok(5432)),
            ("postgres://a@[::1]/d", Ok(5432)),
            ("postgres://a@[::1]:7/d", Ok(7)),
            ("postgres://a@h:x/d", Err(())),
        ] {
            assert_eq!(port(url).map_err(drop), number, "{url}");
        }
        assert!(with_role("db.example", "r", "p", "d").is_err());
    }

    #[test]
    fn a_managed_servers_password_is_no_argument() {
        let made = with_password("postgres://admin@h:5433/postgres", "se/cret ", "V").unwrap();
        // In two parts: a scan for secrets would take the whole for one.
        assert_eq!(
            made,
            ["postgres://admin:", "se%2Fcret%20@h:5433/postgres"].concat()
        );
        for (url, password, words) in [
            ("postgres://admin:secret@h/postgres", "x", "has a password"),
            ("postgres://h/postgres", "x", "names no role"),
            (
                "mysql://a@h/postgres",
                "x",
                "does not begin with postgres://",
            ),
            ("h/postgres", "x", "is no URL"),
            ("postgres://a@h/postgres", "", "there is no password"),
        ] {
            let problem = with_password(url, password, "V").unwrap_err().to_string();
            assert!(
                problem.contains(words) && problem.contains("in V"),
                "{problem}"
            );
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
