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
    /// Whether it is a text for people, as no store writes it.
    is_page: bool,
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
        let is_page = is_web_page(&body);
        let message = if is_page { Some("a web page".to_owned()) } else { message };
        Refusal {
            status,
            code: code.unwrap_or_default(),
            message: message.unwrap_or_default(),
            is_page,
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
            | "AuthenticationRequired"
            | "invalid_token"
            | "InvalidAuthenticationInfo" => {
                return Situation::CredentialsExpired;
            }
            "AuthenticationFailed" if self.message.contains("not valid in the specified time frame") => {
                return Situation::CredentialsExpired;
            }
            // No token of ours: new ones may be, and if not, it is not their age.
            "InvalidToken" => return Situation::CredentialsExpired,
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
            // R9: another server does not know what the store has.
            404 if self.is_page => Situation::Refused,
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
        self.is_no_token() || codes.contains(&self.code.as_str())
    }

    /// Whether it says that what was sent is no token at all, old or new.
    pub(super) fn is_no_token(&self) -> bool {
        self.code == "InvalidToken"
    }

    /// What to do about it, where more is known than its situation tells.
    pub(super) fn remedy(&self, remote: &str) -> Option<String> {
        match &self.region {
            Some(region) if matches!(self.status, 301 | 307 | 400) => {
                Some(format!("the bucket is in another region: `mlv remote modify {remote} region {region}`"))
            }
            // No store sends elsewhere without saying where the bucket is; logins do.
            None if (300..400).contains(&self.status) => Some(ELSEWHERE.to_owned()),
            None if self.is_page && self.situation() == Situation::Refused => Some(ELSEWHERE.to_owned()),
            _ => None,
        }
    }
}

/// Whether a text is HTML: stores write XML or JSON.
fn is_web_page(body: &str) -> bool {
    let start: String = body.trim_start().chars().take(9).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with("<html") || start.starts_with("<!doctype")
}

/// The text of the first element `name`, without what could be markup or too long.
fn element(body: &str, name: &str) -> Option<String> {
    let rest = body.split_once(&format!("<{name}>"))?.1;
    // Azure adds the request's id and time, a line each.
    Some(shortened(rest.split_once("</")?.0.lines().next().unwrap_or_default()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::new(status, &http::HeaderMap::new(), body.as_bytes())
    }

    // R9: a web server that knows nothing of the bucket does not say that it is empty.
    #[test]
    fn only_stores_say_that_there_is_nothing() {
        for page in ["<html><h1>404 Not Found</h1>", " <!DOCTYPE HTML>\n<title>Error</title>"] {
            let refusal = refusal(404, page);
            assert!(refusal.situation() == Situation::Refused && !refusal.is_plain(), "{refusal}");
            assert_eq!(refusal.remedy("st").as_deref(), Some(ELSEWHERE));
            assert_eq!(refusal.to_string(), "the store answered 404: a web page");
        }
        for body in ["", "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>"] {
            assert!(refusal(404, body).is_plain(), "{body}");
        }
        assert_eq!(refusal(302, "").remedy("st").as_deref(), Some(ELSEWHERE));
    }

    #[test]
    fn refusals_are_told_in_one_line() {
        let azure = "<Error><Code>AuthorizationFailure</Code><Message>Not you.\nRequestId:7\nTime:now</Message></Error>";
        assert_eq!(refusal(403, azure).to_string(), "the store answered 403: AuthorizationFailure: Not you.");
    }
}
