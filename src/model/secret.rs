//! Credentials in memory.

/// A text that must not be shown (R12): it has no `Debug`, no `Display` and no `Serialize`, so
/// that no log, error or report can hold it by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: impl Into<Box<str>>) -> Secret {
        Secret(text.into())
    }

    /// The text, for the one place that hands it to a server.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// `url` with the password of its user information masked: `https://me:***@host/path`.
pub fn masked_url(url: &str) -> String {
    match user_info(url) {
        Some(info) if info.contains(':') => {
            let user = info.split(':').next().unwrap_or_default();
            url.replacen(&format!("{info}@"), &format!("{user}:***@"), 1)
        }
        _ => url.to_owned(),
    }
}

/// Whether `url` carries a credential: a password, or a user of HTTP, which may be a token.
pub fn has_credential(url: &str) -> bool {
    let scheme = url.split("://").next().unwrap_or_default().to_ascii_lowercase();
    let is_http = matches!(&*scheme, "http" | "https" | "webdav" | "webdavs");
    user_info(url).is_some_and(|info| is_http || info.contains(':'))
}

/// What stands before the `@` of a URL's host (RFC 3986, 3.2.1).
fn user_info(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(info, _)| info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_seen_and_masked() {
        assert_eq!(masked_url("https://me:pw@host/p@th"), "https://me:***@host/p@th");
        assert_eq!(masked_url("s3://bucket/a@b:c"), "s3://bucket/a@b:c");
        for (url, expected) in [
            ("https://me:pw@host", true),
            ("https://token@host", true),
            ("ssh://me@host/x", false),
            ("ssh://me:pw@host/x", true),
            ("ssh://a:b@c@host/x", true),
            ("abfss://container@account.dfs.core.windows.net/x", false),
            ("../store@home:x", false),
        ] {
            assert_eq!(has_credential(url), expected, "{url}");
        }
    }
}
