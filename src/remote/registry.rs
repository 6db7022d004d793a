//! From a remote's name and URL to the backend that serves it.

use std::path::{Path, PathBuf};

use crate::error::{Advice, ErrorKind, Hint};
use crate::remote::backend::Backend;
use crate::remote::folder::FolderBackend;

/// A remote as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSpec {
    /// Its name in the configuration.
    pub name: String,
    /// Where it is: a path, or a URL with a scheme.
    pub url: String,
    /// Further settings of the backend, by DVC's names (`endpointurl`, `profile`, …).
    pub options: Vec<(String, String)>,
}

/// Where a remote lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A folder on a mounted file system.
    Folder(PathBuf),
}

/// Why a remote cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A kind of remote that this version does not know.
    #[error("remotes of the kind `{scheme}:` are not supported by this version (remote `{name}`)")]
    Scheme {
        /// The remote's name.
        name: String,
        /// The scheme of its URL.
        scheme: String,
    },
    /// No URL at all.
    #[error("remote `{name}` has no URL")]
    Empty {
        /// The remote's name.
        name: String,
    },
    /// A `file:` URL of another machine, with a broken escape, or without an absolute path.
    #[error("the URL of remote `{name}` is no `file:///path`")]
    FileUrl {
        /// The remote's name.
        name: String,
    },
}

impl Advice for SpecError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Config
    }

    fn hints(&self) -> Vec<Hint> {
        match self {
            SpecError::Scheme { name, .. } => {
                vec![Hint::new(format!("use a folder: `mlv remote modify {name} url /path/to/folder`"))]
            }
            SpecError::Empty { name } | SpecError::FileUrl { name } => {
                vec![Hint::new(format!("`mlv remote modify {name} url /path/to/folder`"))]
            }
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            SpecError::Scheme { name, .. } | SpecError::Empty { name } | SpecError::FileUrl { name } => {
                Some(name.clone())
            }
        }
    }
}

impl RemoteSpec {
    /// Where the remote lies; a relative path counts from `base`.
    pub fn place(&self, base: &Path) -> Result<Place, SpecError> {
        let name = || self.name.clone();
        if self.url.is_empty() {
            return Err(SpecError::Empty { name: name() });
        }
        match scheme_of(&self.url) {
            None => Ok(Place::Folder(base.join(&self.url))),
            Some("file") => match file_path(&self.url) {
                Some(path) => Ok(Place::Folder(path)),
                None => Err(SpecError::FileUrl { name: name() }),
            },
            Some(scheme) => Err(SpecError::Scheme { name: name(), scheme: scheme.to_owned() }),
        }
    }

    /// The backend that serves this remote. Nothing is read or made yet.
    pub fn open(&self, base: &Path) -> Result<Box<dyn Backend>, SpecError> {
        match self.place(base)? {
            Place::Folder(path) => Ok(Box::new(FolderBackend::new(&path))),
        }
    }

    /// The URL without what may be secret in it: user, password, query.
    pub fn display_url(&self) -> String {
        let Some(scheme) = scheme_of(&self.url) else { return self.url.clone() };
        let rest = self.url.get(scheme.len()..).unwrap_or_default().trim_start_matches([':', '/']);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        match path {
            Some(path) => format!("{scheme}://{host}/{path}"),
            None => format!("{scheme}://{host}"),
        }
    }
}

/// The scheme of a URL, as it is written; a drive letter (`C:\data`) is none.
pub fn scheme_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    let mut bytes = scheme.bytes();
    let starts = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let is_scheme =
        starts && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-'));
    (is_scheme && scheme.len() > 1 && rest.starts_with("//")).then_some(scheme)
}

/// The path of `file:///path` and `file://localhost/path`, its `%XX` decoded.
fn file_path(url: &str) -> Option<PathBuf> {
    let rest = url.get("file://".len()..)?;
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return None;
    }
    let mut text = Vec::with_capacity(path.len());
    let mut pieces = path.split('%');
    text.extend_from_slice(pieces.next()?.as_bytes());
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        text.push(u8::from_str_radix(digits, 16).ok().filter(|byte| *byte != 0)?);
        text.extend_from_slice(rest.as_bytes());
    }
    let text = String::from_utf8(text).ok()?;
    // file:///C:/data
    let drive =
        |rest: &str| matches!(rest.as_bytes(), [letter, b':', b'/', ..] if letter.is_ascii_alphabetic());
    match text.strip_prefix('/') {
        Some(rest) if drive(rest) => Some(PathBuf::from(rest)),
        _ => Some(PathBuf::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(url: &str) -> RemoteSpec {
        RemoteSpec { name: "store".to_owned(), url: url.to_owned(), options: Vec::new() }
    }

    fn folder(url: &str) -> String {
        match spec(url).place(Path::new("/base")) {
            Ok(Place::Folder(path)) => path.display().to_string(),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    #[test]
    fn paths_and_file_urls_are_folders() {
        assert_eq!(folder("/mnt/share"), "/mnt/share");
        assert_eq!(folder("../store"), "/base/../store");
        assert_eq!(folder("with:colon"), "/base/with:colon");
        assert_eq!(folder("host:path"), "/base/host:path");
        assert_eq!(folder("file:///mnt/a%20b"), "/mnt/a b");
        assert_eq!(folder("file://localhost/mnt"), "/mnt");
        assert_eq!(folder("file:///C:/data"), "/base/C:/data".trim_start_matches("/base/"));
        assert_eq!(scheme_of(r"C:\data"), None);
        assert_eq!(scheme_of("C://data"), None);
    }

    #[test]
    fn other_schemes_are_named_in_the_refusal() {
        for (url, expected) in [("s3://bucket/x", "s3"), ("gs://b", "gs"), ("ssh://h/x", "ssh")] {
            match spec(url).place(Path::new("/")) {
                Err(SpecError::Scheme { scheme, .. }) => assert_eq!(scheme, expected),
                other => panic!("{url}: {other:?}"),
            }
        }
        for url in
            ["file://host/path", "file://", "file:///a%0", "file:///a%zz", "file:///a%00", "file:///%ff"]
        {
            assert!(matches!(spec(url).place(Path::new("/")), Err(SpecError::FileUrl { .. })), "{url}");
        }
        assert!(matches!(spec("").place(Path::new("/")), Err(SpecError::Empty { .. })));
    }

    #[test]
    fn shown_urls_hold_no_secret() {
        assert_eq!(spec("https://me:secret@host/a/b?token=x#y").display_url(), "https://host/a/b");
        assert_eq!(spec("s3://bucket").display_url(), "s3://bucket");
        assert_eq!(spec("/mnt/a@b?c").display_url(), "/mnt/a@b?c");
    }
}
