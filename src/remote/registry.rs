//! From a remote's name and URL to the backend that serves it.

use std::path::{Path, PathBuf};

use crate::error::{Advice, ErrorKind, Hint};
use crate::model::secret::Secret;
use crate::remote::backend::Backend;
use crate::remote::folder::FolderBackend;
use crate::remote::object_store::{open_azure, open_gcs, open_s3, open_web};
use crate::remote::sftp::open_sftp;

/// A remote as the configuration names it. No `Debug`: URL and options may hold credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteSpec {
    /// Its name in the configuration.
    pub name: String,
    /// Where it is: a path, or a URL with a scheme.
    pub url: String,
    /// Whether a tracked file says so.
    pub is_url_tracked: bool,
    /// Further settings of the backend, by DVC's names (`endpointurl`, `profile`, …).
    pub options: Vec<SpecOption>,
}

/// A setting of a backend.
#[derive(Clone, PartialEq, Eq)]
pub struct SpecOption {
    /// Its name: `endpointurl`.
    pub name: String,
    /// Its value, which may be a credential.
    pub value: Secret,
    /// Whether it stands in a tracked file, which is trusted less.
    pub is_tracked: bool,
}

/// Options that every remote may have: those of transfers, and those that are kept for DVC.
const COMMON: &[&str] = &["ask_password", "checksum_jobs", "jobs", "verify", "version_aware", "worktree"];

/// Where a remote lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A folder on a mounted file system.
    Folder(PathBuf),
    /// A bucket of S3, or of a store that speaks its language.
    S3,
    /// A bucket of Google Cloud Storage.
    Gcs,
    /// A container of Azure Blob Storage.
    Azure,
    /// A folder on a server that is reached by SSH.
    Ssh,
    /// A copy on a web server.
    Web,
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
    /// An option that this kind of remote does not have.
    #[error("remotes of the kind {kind} have no option `{option}` (remote `{name}`)")]
    Option {
        /// The remote's name.
        name: String,
        /// The option.
        option: String,
        /// The kind of remote.
        kind: &'static str,
    },
    /// A value that cannot be used.
    #[error("the option `{option}` of remote `{name}` cannot be used: {reason}")]
    Unusable {
        /// The remote's name.
        name: String,
        /// The option.
        option: &'static str,
        /// Why.
        reason: String,
    },
    /// A file of certificates that cannot be used.
    #[error("the certificates that {named_by} names for remote `{name}` cannot be used: `{file}`: {reason}")]
    Certificates {
        /// The remote's name.
        name: String,
        /// The variable or option: `AWS_CA_BUNDLE`.
        named_by: &'static str,
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// An option that may not stand in a tracked file for what it would lead to.
    #[error("the option `{option}` of remote `{name}` may not stand in a tracked file")]
    Tracked {
        /// The remote's name.
        name: String,
        /// The option.
        option: &'static str,
    },
    /// A folder in which git or mlv keep their own files, or the repository itself.
    #[error("the remote `{name}` cannot lie in `{folder}`: {reason}")]
    OwnFolder {
        /// The remote's name.
        name: String,
        /// The folder.
        folder: String,
        /// What is there.
        reason: &'static str,
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
            SpecError::Scheme { .. } => {
                vec![Hint::new(
                    "a remote is a folder, or begins with s3://, gs://, azure://, ssh:// or https://",
                )]
            }
            SpecError::Empty { name } | SpecError::FileUrl { name } => {
                vec![Hint::new(format!("`mlv remote modify {name} url /path/to/folder`"))]
            }
            SpecError::OwnFolder { .. } => {
                vec![Hint::new("name a folder outside of the repository, best on another disk")]
            }
            SpecError::Option { name, option, .. } => {
                vec![Hint::new(format!("`mlv remote modify --unset {name} {option}`"))]
            }
            SpecError::Unusable { name, option, .. } => {
                vec![Hint::new(format!("`mlv remote modify {name} {option} VALUE`"))]
            }
            SpecError::Certificates { named_by, .. } => {
                vec![Hint::new(format!("let {named_by} name a file of PEM certificates, or remove it"))]
            }
            SpecError::Tracked { name, option } => {
                vec![Hint::new(format!("`mlv remote modify --local {name} {option} VALUE`"))]
            }
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            SpecError::Scheme { name, .. }
            | SpecError::Option { name, .. }
            | SpecError::Unusable { name, .. }
            | SpecError::Certificates { name, .. }
            | SpecError::Tracked { name, .. }
            | SpecError::OwnFolder { name, .. }
            | SpecError::Empty { name }
            | SpecError::FileUrl { name } => Some(name.clone()),
        }
    }
}

/// The path `text` from `base`, a path without symlinks, so that `..` at the beginning of `text` can
/// be taken by name: messages then show `/data/store` and not `/data/project/../store`.
fn beside(base: &Path, text: &str) -> PathBuf {
    let (mut base, mut rest) = (base, text);
    while let (Some(above), Some(behind)) = (base.parent(), rest.strip_prefix("../")) {
        (base, rest) = (above, behind);
    }
    base.join(rest)
}

impl RemoteSpec {
    /// Where the remote lies; a relative path counts from `base`.
    pub fn place(&self, base: &Path) -> Result<Place, SpecError> {
        let name = || self.name.clone();
        if self.url.is_empty() {
            return Err(SpecError::Empty { name: name() });
        }
        match scheme_of(&self.url) {
            None => Ok(Place::Folder(beside(base, &self.url))),
            Some("file") => match file_path(&self.url) {
                Some(path) => Ok(Place::Folder(path)),
                None => Err(SpecError::FileUrl { name: name() }),
            },
            Some("s3") => Ok(Place::S3),
            Some("gs" | "gcs") => Ok(Place::Gcs),
            Some("azure" | "az") => Ok(Place::Azure),
            Some("ssh" | "sftp") => Ok(Place::Ssh),
            Some("http" | "https") => Ok(Place::Web),
            Some(scheme) => Err(SpecError::Scheme { name: name(), scheme: scheme.to_owned() }),
        }
    }

    /// Refuses a folder in which the files of a remote would be among those of git or mlv, or of the
    /// repository at `root`, a path without symlinks (R3).
    pub fn check_folder(&self, root: &Path) -> Result<(), SpecError> {
        let Ok(Place::Folder(folder)) = self.place(root) else { return Ok(()) };
        let real = without_links(&folder);
        let is_named = |name: &str| {
            real.components()
                .any(|part| part.as_os_str().to_str().is_some_and(|part| part.eq_ignore_ascii_case(name)))
        };
        let reason = match &real {
            real if real == root => "that is the repository itself",
            _ if is_named(".git") => "git keeps its own files there",
            real if real.starts_with(root) && is_named(".mlv") => "mlv keeps its own files there",
            _ => return Ok(()),
        };
        Err(SpecError::OwnFolder { name: self.name.clone(), folder: folder.display().to_string(), reason })
    }

    /// The backend that serves this remote. Nothing is read or made yet.
    pub fn open(&self, base: &Path) -> Result<Box<dyn Backend>, SpecError> {
        match self.place(base)? {
            Place::Folder(path) => Ok(Box::new(FolderBackend::new(&path))),
            Place::S3 => Ok(Box::new(open_s3(self)?)),
            Place::Gcs => Ok(Box::new(open_gcs(self)?)),
            Place::Azure => Ok(Box::new(open_azure(self)?)),
            Place::Ssh => Ok(Box::new(open_sftp(self)?)),
            Place::Web => Ok(Box::new(open_web(self)?)),
        }
    }

    /// The value of an option.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.iter();
        options.find(|option| option.name == name).map(|option| option.value.expose())
    }

    /// Whether an option is set to `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.option(name) == Some("true")
    }

    /// Whether an option stands in a tracked file.
    pub(crate) fn is_tracked(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.name == name && option.is_tracked)
    }

    /// Refuses options that remotes of the kind do not have: one that has no effect would
    /// promise something.
    pub(crate) fn check_options(&self, kind: &'static str, known: &[&str]) -> Result<(), SpecError> {
        let is_known = |name: &str| known.contains(&name) || COMMON.contains(&name);
        match self.options.iter().find(|option| !is_known(&option.name)) {
            Some(option) => {
                Err(SpecError::Option { name: self.name.clone(), option: option.name.clone(), kind })
            }
            None => Ok(()),
        }
    }

    /// That the value of an option cannot be used.
    pub(crate) fn unusable(&self, option: &'static str, reason: impl Into<String>) -> SpecError {
        SpecError::Unusable { name: self.name.clone(), option, reason: reason.into() }
    }

    /// That an option may not stand in a tracked file.
    pub(crate) fn only_private(&self, option: &'static str) -> SpecError {
        SpecError::Tracked { name: self.name.clone(), option }
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

/// The path without symlinks and dots, as far as it exists.
fn without_links(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut there = path;
    loop {
        match (there.canonicalize(), there.parent(), there.file_name()) {
            (Ok(real), ..) => return rest.into_iter().rev().fold(real, |path, name| path.join(name)),
            (Err(_), Some(above), Some(name)) => {
                rest.push(name);
                there = above;
            }
            _ => return path.to_path_buf(),
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
        RemoteSpec {
            name: "store".to_owned(),
            url: url.to_owned(),
            is_url_tracked: false,
            options: Vec::new(),
        }
    }

    fn folder(url: &str) -> String {
        match spec(url).place(Path::new("/base")) {
            Ok(Place::Folder(path)) => path.display().to_string(),
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn paths_and_file_urls_are_folders() {
        assert_eq!(folder("/mnt/share"), "/mnt/share");
        assert_eq!(folder("../store"), "/store");
        assert_eq!(folder("../../store"), "/../store");
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
        for (url, expected) in [("hdfs://bucket/x", "hdfs"), ("oss://b", "oss"), ("webdav://h/x", "webdav")] {
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
