//! What a store says when it does not do what it was asked, and what that means.

use std::error::Error as StdError;

use crate::remote::backend::{ELSEWHERE, Situation};

/// The most of a store's message that is repeated, in characters.
const MAX_MESSAGE: usize = 300;

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store answered {status}{}{}", said(code), said(message))]
pub(super) struct Refusal {
    status: u16,
    /// The store's name for it: `AccessDenied`.
    code: String,
    message: String,
    /// The region that the bucket is in, where the answer names it.
    pub(super) region: Option<String>,
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl Refusal {
    pub(super) fn new(status: u16, headers: &http::HeaderMap, body: &[u8]) -> Refusal {
        let body = String::from_utf8_lossy(body);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let code =
            element(&body, "Code").or_else(|| header("x-ms-error-code")).or_else(|| json(&body, "error"));
        // Azure says only there that a signature has ended.
        let detail = element(&body, "AuthenticationErrorDetail");
        let message =
            detail.or_else(|| element(&body, "Message")).or_else(|| json(&body, "error_description"));
        Refusal {
            status,
            code: code.unwrap_or_default(),
            message: message.unwrap_or_default(),
            region: header("x-amz-bucket-region").or_else(|| element(&body, "Region")),
        }
    }

    /// Whether it says no more than that there is no such object, or that the name is taken.
    pub(super) fn is_plain(&self) -> bool {
        match self.status {
            404 => self.situation() == Situation::NotFound,
            409 => !matches!(self.code.as_str(), "ConditionalRequestConflict" | "OperationAborted"),
            _ => false,
        }
    }

    /// Whether a range was asked for that reaches past the end.
    pub(super) fn is_range(&self) -> bool {
        self.status == 416
    }

    pub(super) fn situation(&self) -> Situation {
        match self.code.as_str() {
            "NoSuchBucket" | "ContainerNotFound" => return Situation::NoBucket,
            // Amazon's, Google's, Azure's.
            "ExpiredToken"
            | "ExpiredTokenException"
            | "TokenRefreshRequired"
            | "InvalidToken"
            | "AuthenticationRequired"
            | "invalid_token"
            | "InvalidAuthenticationInfo" => {
                return Situation::CredentialsExpired;
            }
            "AuthenticationFailed" if self.message.contains("not valid in the specified time frame") => {
                return Situation::CredentialsExpired;
            }
            "RequestTimeTooSkewed" => return Situation::ClockSkew,
            "SlowDown"
            | "RequestLimitExceeded"
            | "ServerBusy"
            | "ConditionalRequestConflict"
            | "OperationAborted" => return Situation::Throttled,
            "RequestTimeout" => return Situation::TimedOut,
            "QuotaExceeded" | "XMinioStorageFull" => return Situation::NoSpace,
            _ => {}
        }
        match self.status {
            404 => Situation::NotFound,
            401 | 403 | 407 => Situation::Denied,
            408 => Situation::TimedOut,
            429 | 503 => Situation::Throttled,
            405 | 501 => Situation::NotSupported,
            507 => Situation::NoSpace,
            500..=599 => Situation::Unreachable,
            _ => Situation::Refused,
        }
    }

    /// Whether it says that the key itself is wrong, and not that it may not do something.
    pub(super) fn is_wrong_key(&self) -> bool {
        let codes =
            ["InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthenticationFailed", "InvalidSecurity"];
        codes.contains(&self.code.as_str())
    }

    /// What to do about it, where more is known than its situation tells.
    pub(super) fn remedy(&self, remote: &str) -> Option<String> {
        match &self.region {
            Some(region) if matches!(self.status, 301 | 307 | 400) => {
                Some(format!("the bucket is in another region: `mlv remote modify {remote} region {region}`"))
            }
            // No store sends elsewhere without saying where the bucket is; logins do.
            None if (300..400).contains(&self.status) => Some(ELSEWHERE.to_owned()),
            _ => None,
        }
    }
}

/// The text of the first element `name`, without what could be markup or too long.
fn element(body: &str, name: &str) -> Option<String> {
    let rest = body.split_once(&format!("<{name}>"))?.1;
    Some(shortened(rest.split_once("</")?.0))
}

fn json(body: &str, name: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(body).ok()?;
    document[name].as_str().map(shortened)
}

fn shortened(text: &str) -> String {
    let text = text.replace("&apos;", "'").replace("&quot;", "\"").replace("&amp;", "&");
    text.trim().chars().take(MAX_MESSAGE).collect()
}

/// Why a request brought no answer that can be used. Holds no URL: those may carry signatures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Refused(Refusal),
    #[error("{0}")]
    NotConnected(String),
    #[error("{0}")]
    Untrusted(String),
    #[error("no byte moved for too long")]
    Stalled,
    #[error("{0}")]
    Interrupted(String),
    #[error("{0}")]
    Nonsense(&'static str),
}

impl Broken {
    /// The innermost reason is the one that tells something: `Connection refused`.
    pub(super) fn of_reqwest(error: reqwest::Error) -> Broken {
        let error = error.without_url();
        let mut reasons = Vec::new();
        let mut at: Option<&dyn StdError> = Some(&error);
        while let Some(inner) = at {
            reasons.push(inner.to_string());
            at = inner.source();
        }
        let text = reasons.pop().unwrap_or_default();
        match () {
            () if error.is_timeout() => Broken::Stalled,
            () if text.contains("certificate") => Broken::Untrusted(text),
            () if error.is_connect() => Broken::NotConnected(text),
            () => Broken::Interrupted(text),
        }
    }

    pub(super) fn situation(&self) -> Situation {
        match self {
            Broken::Refused(refusal) => refusal.situation(),
            Broken::NotConnected(_) | Broken::Interrupted(_) => Situation::Unreachable,
            Broken::Untrusted(_) => Situation::Untrusted,
            Broken::Stalled => Situation::TimedOut,
            Broken::Nonsense(_) => Situation::Invalid,
        }
    }
}

/// What lies at the bottom of an error of `object_store`.
pub(super) fn broken_below(error: &object_store::Error) -> Option<Broken> {
    let mut at: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(inner) = at {
        if let Some(broken) = inner.downcast_ref::<Broken>() {
            return Some(broken.clone());
        }
        at = inner.source();
    }
    None
}
