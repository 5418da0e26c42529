//! The simulated payment provider, as it was found and as stories want it.

use zerocart_proto::{
    payment::{ProviderFailure, SetFailureRateRequest, SetFailureRateResponse},
    rpc,
};

use super::{answer::Failed, shop::Shop};

/// What the payment provider was like. Its failure rate and its kinds of failure cannot be read,
/// and setting one of them sets both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    min_delay_ms: i32,
    max_delay_ms: i32,
}

impl Found {
    /// Makes the payment provider answer at once and never fail.
    ///
    /// # Errors
    ///
    /// When the caller is no admin, say.
    pub async fn prepare(shop: &Shop) -> Result<Self, Failed> {
        // Without delays in the request they stay, and the answer tells them.
        let found = set(shop, SetFailureRateRequest::default()).await?;
        let found = Self {
            min_delay_ms: found.min_delay_ms,
            max_delay_ms: found.max_delay_ms,
        };
        takes(shop, 0).await?;
        Ok(found)
    }

    /// Gives it back its delays, `failure_rate`, and all kinds of failure.
    ///
    /// # Errors
    ///
    /// When that is not possible.
    pub async fn restore(self, shop: &Shop, failure_rate: f64) -> Result<(), Failed> {
        let before = SetFailureRateRequest {
            failure_rate,
            min_delay_ms: Some(self.min_delay_ms),
            max_delay_ms: Some(self.max_delay_ms),
            failures: Vec::new(),
        };
        set(shop, before).await.map(drop)
    }
}

/// From now on no charge fails, and every request to it takes so long.
///
/// # Errors
///
/// When that cannot be set.
pub async fn takes(shop: &Shop, delay_ms: i32) -> Result<(), Failed> {
    let request = SetFailureRateRequest {
        min_delay_ms: Some(delay_ms),
        max_delay_ms: Some(delay_ms),
        ..Default::default()
    };
    set(shop, request).await.map(drop)
}

/// From now on this share of the charges fails in any way, and every request takes a time from
/// `min_delay_ms` to `max_delay_ms`.
///
/// # Errors
///
/// When that cannot be set.
pub async fn behaves(
    shop: &Shop,
    failure_rate: f64,
    (min_delay_ms, max_delay_ms): (i32, i32),
) -> Result<(), Failed> {
    let request = SetFailureRateRequest {
        failure_rate,
        min_delay_ms: Some(min_delay_ms),
        max_delay_ms: Some(max_delay_ms),
        failures: Vec::new(),
    };
    set(shop, request).await.map(drop)
}

/// From now on every charge fails in this way.
///
/// # Errors
///
/// When that cannot be set.
pub async fn always(shop: &Shop, failure: ProviderFailure) -> Result<(), Failed> {
    let request = SetFailureRateRequest {
        failure_rate: 1.0,
        failures: vec![failure.into()],
        ..Default::default()
    };
    set(shop, request).await.map(drop)
}

/// From now on no charge fails.
///
/// # Errors
///
/// When that cannot be set.
pub async fn never(shop: &Shop) -> Result<(), Failed> {
    set(shop, SetFailureRateRequest::default()).await.map(drop)
}

async fn set(
    shop: &Shop,
    request: SetFailureRateRequest,
) -> Result<SetFailureRateResponse, Failed> {
    let SetFailureRateRequest {
        failure_rate,
        min_delay_ms,
        max_delay_ms,
        failures,
    } = request.clone();
    let failures = if failures.is_empty() {
        let all = [
            ProviderFailure::GatewayTimeout,
            ProviderFailure::InsufficientFunds,
            ProviderFailure::TemporarilyUnavailable,
        ];
        all.map(i32::from).to_vec()
    } else {
        failures
    };
    let mut answer = shop
        .ask::<rpc::SetFailureRate>(&shop.admin, request)
        .await?
        .ok()
        .is("failure rate", |r| r.failure_rate, failure_rate)
        .same("failures", |r| r.failures.clone(), &failures);
    if let Some(delay_ms) = min_delay_ms {
        answer = answer.is("min_delay_ms", |r| r.min_delay_ms, delay_ms);
    }
    if let Some(delay_ms) = max_delay_ms {
        answer = answer.is("max_delay_ms", |r| r.max_delay_ms, delay_ms);
    }
    answer.response()
}
