//! A copy of a remote on any web server, to be read.
//!
//! Web servers list nothing in a form that can be relied on, so the copy brings its own list,
//! the file `mlv-listing` (docs/guides/remotes.md). It ends with the number of its lines: what
//! was cut off is refused, never taken for a shorter list (R9).

use std::ops::{ControlFlow, Range};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue, RANGE};
use http_body_util::BodyExt;
use object_store::client::{HttpRequestBody, HttpResponse};

use super::line::Line;
use super::refusal::{Broken, Refusal};
use super::{line_options, open_line, wait};
use crate::remote::backend::{
    Action, Backend, BackendError, ByteSink, Created, Key, ListSink, Listed, RoundTrip, Situation, Stat,
    check_prefix, read,
};
use crate::remote::names::format_key;
use crate::remote::registry::{RemoteSpec, SpecError};

/// The options that are understood, besides those of every remote.
const OPTIONS: &[&str] =
    &["auth", "connect_timeout", "custom_auth_header", "password", "read_timeout", "ssl_verify", "user"];

/// The key of the list.
const LISTING: &str = "mlv-listing";
/// The longest list: one of ten million lines.
const MAX_LISTING_BYTES: u64 = 1 << 30;

/// A folder of a web server. Nothing can be written.
pub(crate) struct WebBackend {
    line: Line,
    /// Ends with a `/`.
    base: String,
    headers: HeaderMap,
    place: String,
    /// The remote's name, for hints.
    remote: String,
}

/// The backend of `https://host/folder`. Nothing is sent yet.
pub(crate) fn open_web(spec: &RemoteSpec) -> Result<WebBackend, SpecError> {
    spec.check_options("HTTP", OPTIONS)?;
    let (scheme, rest) = spec.url.split_once("://").unwrap_or(("https", ""));
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, host) = server.rsplit_once('@').map_or((None, server), |(login, host)| (Some(login), host));
    if host.is_empty() || path.contains(['?', '#']) {
        return Err(spec.unusable("url", "it is `https://host/folder`"));
    }
    let path = path.trim_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    let headers = headers(spec, login)?;
    let mut options = line_options(spec, None);
    // A header of the user's own would go wherever an answer points to.
    options.follow = spec.option("custom_auth_header").is_none();
    let line = open_line(spec, &options)?;
    Ok(WebBackend {
        line,
        base: format!("{scheme}://{host}/{path}{slash}"),
        headers,
        place: spec.display_url(),
        remote: spec.name.clone(),
    })
}

/// What logs in: a user and a password, or a header of the server's own.
fn headers(spec: &RemoteSpec, login: Option<&str>) -> Result<HeaderMap, SpecError> {
    let (mut user, mut password) = (spec.option("user"), spec.option("password"));
    if let Some((name, word)) = login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        (user, password) = (user.or(Some(name)), password.or(Some(word)));
    }
    let mut headers = HeaderMap::new();
    let Some(password) = password else { return Ok(headers) };
    // R12: whoever writes the tracked file would be sent the password.
    if spec.is_url_tracked {
        return Err(spec.only_private("url"));
    }
    let name = match (spec.option("auth"), spec.option("custom_auth_header")) {
        (Some("digest"), _) => return Err(spec.unusable("auth", "mlv knows `basic` and `custom`")),
        (_, Some(name)) => HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| spec.unusable("custom_auth_header", "it is no name of a header"))?,
        (_, None) => AUTHORIZATION,
    };
    let value = match name == AUTHORIZATION {
        true => format!("Basic {}", base64(format!("{}:{password}", user.unwrap_or_default()).as_bytes())),
        false => password.to_owned(),
    };
    let value =
        HeaderValue::from_str(&value).map_err(|_| spec.unusable("password", "it has control characters"))?;
    headers.insert(name, value);
    Ok(headers)
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { letter.into() } else { '=' });
        }
    }
    text
}

impl WebBackend {
    fn error(&self, situation: Situation, action: Action, key: &str) -> BackendError {
        BackendError::new(situation, action, key, self.describe())
    }

    fn told(&self, broken: Broken, action: Action, key: &str) -> BackendError {
        let mut told = self.error(broken.situation(), action, key);
        if told.situation == Situation::Denied {
            let modify = format!("mlv remote modify --local {}", self.remote);
            told.remedy = Some(format!("log in: `{modify} user NAME` and `{modify} password WORD`").into());
        }
        told.because(broken)
    }

    async fn ask(&self, method: &str, key: &str, range: Option<&Range<u64>>) -> Result<HttpResponse, Broken> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{key}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(range) = range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        }
        let request = request.body(HttpRequestBody::empty());
        let response =
            self.line.send(request.map_err(|_| Broken::Nonsense("the URL cannot be sent"))?).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        // What web servers write for people is no reason.
        Err(Broken::Refused(Refusal::new(response.status().as_u16(), response.headers(), b"")))
    }

    /// Opens a read: the answer, how many bytes to leave out at its start, and how many to take.
    async fn open(&self, key: &str, range: Option<&Range<u64>>) -> Result<(HttpResponse, u64, u64), Broken> {
        let response = self.ask("GET", key, range).await?;
        let len = response.headers().get(CONTENT_LENGTH).and_then(number);
        let len = len.ok_or(Broken::Nonsense("the server does not say how long its answer is"))?;
        let Some(range) = range else { return Ok((response, 0, len)) };
        let wanted = range.end - range.start;
        if response.status().as_u16() != 206 {
            // A server that knows no ranges sends all of it.
            let is_there = range.end <= len;
            return if is_there {
                Ok((response, range.start, wanted))
            } else {
                Err(Broken::Nonsense(TOO_SHORT))
            };
        }
        let start = format!("bytes {}-{}/", range.start, range.end - 1);
        let said = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        match said.is_some_and(|said| said.starts_with(&start)) && len == wanted {
            true => Ok((response, 0, wanted)),
            false => Err(Broken::Nonsense(TOO_SHORT)),
        }
    }
}

const TOO_SHORT: &str = "the server's answer is another range than the one that was asked for";

fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

fn parse_line(line: &str) -> Option<(u64, SystemTime, &str)> {
    let mut words = line.splitn(3, ' ');
    let size = words.next()?.parse().ok()?;
    let seconds: u64 = words.next()?.split('.').next()?.parse().ok()?;
    Some((size, SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?, words.next()?))
}

/// The lines of a list that is whole; `None` if it is not.
fn whole_listing(text: &str) -> Option<Vec<(u64, SystemTime, &str)>> {
    let (lines, end) = text.strip_suffix('\n')?.rsplit_once('\n').unwrap_or(("", text.trim_end()));
    let count: usize = end.strip_prefix("end ")?.trim().parse().ok()?;
    let lines: Option<Vec<_>> = lines.lines().map(parse_line).collect();
    lines.filter(|lines| lines.len() == count)
}

impl Backend for WebBackend {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        let failed = |broken| self.told(broken, Action::Read, key.as_str());
        let stopped = |situation| self.error(situation, Action::Read, key.as_str());
        let invalid = || self.error(Situation::Invalid, Action::Read, key.as_str());
        if let Some(range) = range.as_ref().filter(|range| range.is_empty()) {
            let stat = self.head(key)?.ok_or_else(|| stopped(Situation::NotFound))?;
            return if range.start <= stat.size { Ok(()) } else { Err(invalid()) };
        }
        let opened = wait(self.open(key.as_str(), range.as_ref())).map_err(stopped)?;
        let (response, mut skip, mut left) = opened.map_err(|broken| match broken {
            Broken::Refused(refusal) if refusal.is_range() => invalid(),
            broken => failed(broken),
        })?;
        let mut body = response.into_body();
        while left > 0 {
            let frame = wait(body.frame()).map_err(stopped)?;
            let Some(Ok(frame)) = frame else { return Err(stopped(Situation::Unreachable)) };
            let Ok(piece) = frame.into_data() else { continue };
            let known = skip.min(piece.len() as u64);
            skip -= known;
            let fresh = &piece[known as usize..];
            let taken = &fresh[..fresh.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            left -= taken.len() as u64;
            if !taken.is_empty() && sink(taken).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn put(&self, key: &Key, _: &[Bytes]) -> Result<(), BackendError> {
        Err(self.error(Situation::ReadOnly, Action::Write, key.as_str()))
    }

    fn create(&self, key: &Key, _: &[u8]) -> Result<Created, BackendError> {
        Err(self.error(Situation::ReadOnly, Action::Write, key.as_str()))
    }

    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        let failed = |broken| self.told(broken, Action::Read, key.as_str());
        let asked = wait(self.ask("HEAD", key.as_str(), None));
        let response = match asked.map_err(|situation| self.error(situation, Action::Read, key.as_str()))? {
            Ok(response) => response,
            Err(Broken::Refused(refusal)) if refusal.situation() == Situation::NotFound => return Ok(None),
            Err(broken) => return Err(failed(broken)),
        };
        let header = |name| response.headers().get(name);
        let size = header(CONTENT_LENGTH).and_then(number);
        let size = size.ok_or_else(|| self.error(Situation::Invalid, Action::Read, key.as_str()))?;
        let modified = header(http::header::LAST_MODIFIED).and_then(|value| value.to_str().ok());
        let modified = modified.and_then(|text| chrono::DateTime::parse_from_rfc2822(text).ok());
        let modified = modified.map(SystemTime::from).or_else(|| self.line.store_time());
        Ok(Some(Stat { size, modified: modified.unwrap_or(SystemTime::UNIX_EPOCH) }))
    }

    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        let invalid = || self.error(Situation::Invalid, Action::List, prefix);
        check_prefix(prefix).map_err(|error| invalid().because(error))?;
        let key = Key::parse(LISTING).expect("a plain name");
        let told = |error: BackendError| {
            let remedy = "make the list anew where the copy is made: guides/remotes.md, \"HTTP\"";
            BackendError { remedy: Some(remedy.into()), ..error }
        };
        let bytes = read(self, &key, MAX_LISTING_BYTES).map_err(|error| match error.situation {
            // That there is no list says nothing of what there is (R9).
            Situation::NotFound => told(self.error(Situation::NotSupported, Action::List, prefix)),
            _ => error,
        })?;
        let text = String::from_utf8(bytes).map_err(|_| told(invalid()))?;
        for (size, modified, name) in whole_listing(&text).ok_or_else(|| told(invalid()))? {
            if let Ok(key) = Key::parse(name)
                && name.starts_with(prefix)
                && let ControlFlow::Break(()) = each(Listed { key, size, modified })
            {
                break;
            }
        }
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        Err(self.error(Situation::ReadOnly, Action::Delete, key.as_str()))
    }

    fn now(&self) -> Result<SystemTime, BackendError> {
        if self.line.store_time().is_none() {
            self.head(&format_key())?;
        }
        self.line.store_time().ok_or_else(|| self.error(Situation::Invalid, Action::Read, ""))
    }

    fn round_trip(&self) -> RoundTrip {
        RoundTrip::Network
    }

    fn describe(&self) -> String {
        self.place.clone()
    }

    fn credentials(&self) -> Option<String> {
        let source = if self.headers.is_empty() { "none: anonymous" } else { "options of the remote" };
        Some(source.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;
    use crate::remote::registry::SpecOption;

    // R9
    #[test]
    fn lists_that_were_cut_off_are_refused() {
        let text = "5 1700000000.25 ix/a\n7 1700000001 pk/00/b\nend 2\n";
        assert_eq!(whole_listing(text).map(|lines| lines.len()), Some(2));
        assert_eq!(whole_listing("end 0\n").map(|lines| lines.len()), Some(0));
        for len in 0..text.len() {
            assert!(whole_listing(&text[..len]).is_none(), "{len}");
        }
        assert!(whole_listing(&text.replace("5 17", "x 17")).is_none());
        assert!(whole_listing("<html>\nPlease log in\n</html>\n").is_none());
    }

    #[test]
    fn basic_login_is_encoded_as_the_standard_has_it() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("Ada:x?", "QWRhOng/")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    // R12
    #[test]
    fn passwords_go_to_no_server_that_a_tracked_file_names() {
        let spec = |is_url_tracked| RemoteSpec {
            name: "web".to_owned(),
            url: "https://host/data".to_owned(),
            is_url_tracked,
            options: vec![SpecOption {
                name: "password".to_owned(),
                value: Secret::new("CANARY"),
                is_tracked: false,
            }],
        };
        assert!(open_web(&spec(false)).is_ok());
        assert!(matches!(open_web(&spec(true)), Err(SpecError::Tracked { .. })));
    }
}
