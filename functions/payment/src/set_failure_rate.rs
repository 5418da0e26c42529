use std::collections::BTreeSet;

use zerocart_core::{Call, Error, Function, Invalid, Request, Setup};
use zerocart_postgres::{Database, ErrorExt, Options};
use zerocart_proto::{
    payment::{
        ProviderFailure::{self, GatewayTimeout, InsufficientFunds, TemporarilyUnavailable},
        SetFailureRateRequest, SetFailureRateResponse,
    },
    rpc,
};

use crate::simulator::{Settings, settings_columns};

const UPDATE: &str = concat!(
    "UPDATE simulator_settings
     SET failure_rate = $1, failures = $4,
         min_delay_ms = coalesce($2, min_delay_ms), max_delay_ms = coalesce($3, max_delay_ms)
     RETURNING ",
    settings_columns!()
);

/// `set-failure-rate`: sets how the simulated payment provider behaves, for every instance at once.
#[derive(Debug)]
pub struct SetFailureRate {
    database: Database,
}

impl Function for SetFailureRate {
    type Rpc = rpc::SetFailureRate;

    fn build(setup: &mut Setup) -> Result<Self, Invalid> {
        Ok(Self {
            database: Database::from_setup(setup, Options::preparing(&[UPDATE]))?,
        })
    }

    async fn call(
        &self,
        cx: &Call,
        request: Request<Self>,
    ) -> Result<SetFailureRateResponse, Error> {
        let failures = failures(&request)?;
        // The one that was given is the one that is wrong.
        let out_of_order = || match request.min_delay_ms {
            Some(_) => Error::field("min_delay_ms", "must not be above max_delay_ms"),
            None => Error::field("max_delay_ms", "must not be below min_delay_ms"),
        };
        self.database
            .write_one(
                cx,
                UPDATE,
                &[
                    &request.failure_rate,
                    &request.min_delay_ms,
                    &request.max_delay_ms,
                    &failures,
                ],
                |updated| {
                    let row =
                        updated.on_constraint("simulator_settings_delays_ordered", out_of_order)?;
                    let settings = Settings::read(&row);
                    Ok(SetFailureRateResponse {
                        failure_rate: settings.failure_rate,
                        message: "the simulated payment provider behaves so from now on".into(),
                        min_delay_ms: settings.min_delay_ms,
                        max_delay_ms: settings.max_delay_ms,
                        failures: settings.failures.into_iter().map(i32::from).collect(),
                    })
                },
            )
            .await
    }
}

/// The names of the failures that shall occur, each once; none given means all.
fn failures(request: &SetFailureRateRequest) -> Result<Vec<&'static str>, Error> {
    let mut given = BTreeSet::new();
    for (index, failure) in request.failures.iter().enumerate() {
        match ProviderFailure::try_from(*failure) {
            Ok(failure) if failure != ProviderFailure::Unspecified => given.insert(failure),
            _ => {
                return Err(Error::field(
                    format!("failures[{index}]"),
                    "must be a failure of the provider",
                ));
            }
        };
    }
    if given.is_empty() {
        given.extend([GatewayTimeout, InsufficientFunds, TemporarilyUnavailable]);
    }
    Ok(given.iter().map(ProviderFailure::as_str_name).collect())
}
