//! `main` on Lambda.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::{
    Builder as HttpClient,
    tls::{Provider, rustls_provider::CryptoMode},
};
use futures_util::future::select_all;
use lambda_http::RequestExt;
use lambda_runtime::{LambdaEvent, service_fn, spawn_graceful_shutdown_handler};
use serde_json::Value;
use tower::ServiceExt;
use tracing::Level;
use zerocart_client::transport::Way;
use zerocart_core::{
    Env, Function, Job, Lasting, Platform, Setup, StartError, config::Background, error::BoxError,
};
use zerocart_postgres::PasswordSource;
use zerocart_proto::rpc::Rpc;
use zerocart_runtime::{LogFormat, build_on, init_logs, recorder, run_once};

use crate::{
    calls::{self, Signed},
    env,
    rds::IamToken,
    secrets,
    sign::Signer,
};

/// A variable that only Lambda sets.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// The longest time that init waits for connections. Lambda gives init 10 s in all. A first request
/// without connections waits for them itself.
const WARM_UP: Duration = Duration::from_secs(5);

/// The rest of an invocation's time when its answer must be sent.
const MARGIN: Duration = Duration::from_millis(500);

/// The time to end after SIGTERM (Lambda's limit is 500 ms).
const TERMINATION: Duration = Duration::from_millis(400);

/// Runs the function `F`: on Lambda as one of its functions, elsewhere as a process.
pub fn run<F: Function>() -> ExitCode {
    let env = Env::of_process();
    if env.get(RUNTIME_API).is_none() {
        return zerocart_runtime::run::<F>();
    }
    host(F::Rpc::INFO.name, env, serve::<F>)
}

/// Runs the job `J`: on Lambda once for each event of any content; elsewhere once, as a process.
pub fn run_job<J: Job>() -> ExitCode {
    let env = Env::of_process();
    if env.get(RUNTIME_API).is_none() {
        return zerocart_runtime::run_job::<J>();
    }
    host(J::INFO.name, env, work::<J>)
}

/// Why a function or job is not served.
#[derive(Debug, thiserror::Error)]
enum HostError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("Lambda's runtime API")]
    Runtime(#[source] BoxError),
}

/// Serves in an event loop of one thread, as every other engine does.
fn host<S>(name: &'static str, env: Env, serve: fn(Platform, Env) -> S) -> ExitCode
where
    S: Future<Output = Result<(), HostError>>,
{
    let mut setup = Setup::new(env.clone(), name);
    // A bad level is reported together with all other problems.
    let level = setup.or("LOG_LEVEL", Level::INFO).unwrap_or(Level::INFO);
    let format = setup.or("LOG_FORMAT", LogFormat::default());
    let format = format.unwrap_or_default();
    init_logs(level, format);
    let platform = Platform::default().with(recorder(&env, name, format));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(serve(platform, env)),
        Err(source) => Err(HostError::Start(StartError::Io {
            what: "cannot start the event loop",
            source,
        })),
    };
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    tracing::error!(function = name, %error, cause, "did not start");
    ExitCode::from(match error {
        HostError::Start(error) => error.exit_code(),
        HostError::Runtime(_) => 1,
    })
}

async fn serve<F: Function>(platform: Platform, env: Env) -> Result<(), HostError> {
    let (platform, env) = prepare(platform, env, F::Rpc::INFO.domain, F::Rpc::INFO.calls).await?;
    let built = build_on::<F>(platform, env)?;
    connect(built.background).await;
    let (router, lasting) = (built.router, built.lasting);
    let last = lasting.clone();
    spawn_graceful_shutdown_handler(move || async move {
        let _ = tokio::time::timeout(TERMINATION, last.idle()).await;
        tracing::info!(function = F::Rpc::INFO.name, "stopped");
    })
    .await;
    let service = service_fn(move |mut request: lambda_http::Request| {
        let (router, lasting) = (router.clone(), lasting.clone());
        let deadline = request.lambda_context_ref().map(|context| context.deadline);
        calls::restore_token(request.headers_mut());
        async move {
            let answer = router.oneshot(request).await;
            finish(&lasting, deadline).await;
            answer
        }
    });
    lambda_http::run(service).await.map_err(HostError::Runtime)
}

/// Waits for a connection, so that the first request does not have to.
///
/// Of the tasks beside a function, connecting ends first. The others may wait on purpose: a circuit
/// breaker reads its state by itself only if no request has read it.
async fn connect(background: Vec<Background>) {
    let background: Vec<_> = background.into_iter().map(tokio::spawn).collect();
    if !background.is_empty() {
        let _ = tokio::time::timeout(WARM_UP, select_all(background)).await;
    }
}

async fn work<J: Job>(platform: Platform, env: Env) -> Result<(), HostError> {
    let (platform, env) = prepare(platform, env, J::INFO.domain, J::INFO.calls).await?;
    spawn_graceful_shutdown_handler(|| async {
        tracing::info!(job = J::INFO.name, "stopped");
    })
    .await;
    let run = service_fn(move |_: LambdaEvent<Value>| {
        let run = run_once::<J>(platform.clone(), env.clone());
        async move {
            run.await
                .map(Value::Object)
                .map_err(|error| error.to_string())
        }
    });
    lambda_runtime::run(run).await.map_err(HostError::Runtime)
}

/// The platform and the variables of a function or job of `domain` that calls these others.
async fn prepare(
    mut platform: Platform,
    env: Env,
    domain: &str,
    calls: &[&str],
) -> Result<(Platform, Env), StartError> {
    let env = env::of_domain(env, domain);
    let tls = Provider::Rustls(CryptoMode::Ring);
    let aws = aws_config::defaults(BehaviorVersion::latest())
        .http_client(HttpClient::new().tls_provider(tls).build_https())
        .load()
        .await;
    let env = secrets::resolve(env, &aws).await?;
    let mut setup = Setup::new(env.clone(), "");
    let iam = setup.or("DATABASE_IAM_AUTH", false);
    let bad = |problem: String| StartError::Config(vec![problem]);
    let iam = iam.map_err(|_| StartError::Config(setup.problems().to_vec()))?;
    if iam {
        let token = IamToken::new(signer(&aws, "DATABASE_IAM_AUTH").map_err(bad)?);
        platform = platform.with(PasswordSource(Arc::new(token)));
    }
    if !calls.is_empty() {
        let signed = Signed::new(signer(&aws, "calls of other functions").map_err(bad)?);
        let signed = signed.map_err(|error| bad(error.to_string()))?;
        platform = platform.with(Way(Arc::new(signed)));
    }
    Ok((platform, env))
}

/// The signer, if `need` requires one.
fn signer(aws: &SdkConfig, need: &str) -> Result<Signer, String> {
    let credentials = aws.credentials_provider();
    let region = aws.region();
    match (credentials, region) {
        (Some(credentials), Some(region)) => Ok(Signer {
            credentials,
            region: region.to_string(),
        }),
        _ => Err(format!("AWS_REGION is required for {need}")),
    }
}

/// Waits for the work that continues after a call: when the answer is sent, this environment is
/// frozen, perhaps for ever. Another call continues the work that is not done in time.
async fn finish(lasting: &Lasting, deadline_ms: Option<u64>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let left = deadline_ms
        .map(Duration::from_millis)
        .and_then(|deadline| deadline.checked_sub(now.unwrap_or_default()))
        .unwrap_or_default();
    let _ = tokio::time::timeout(left.saturating_sub(MARGIN), lasting.idle()).await;
}
