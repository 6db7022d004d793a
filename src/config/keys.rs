//! Every key that the configuration knows, with the type of its value and who may set it.
//!
//! Names are DVC's where the meaning is the same (docs/commands.md). What is not in these
//! tables cannot be set, and warns when it stands in a file.

use std::fmt;

use super::Error;

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A credential: never shown, never in a tracked file.
    Secret,
    /// `true` or `false`.
    Bool,
    /// `true`, `false`, or the path of a file.
    BoolOrPath,
    /// A whole number within these bounds, both included.
    Integer(i64, i64),
    /// A number of bytes, as a number or as text with a unit.
    Size,
    /// A folder; relative to the repository's root.
    Folder,
    /// Where a remote lies: a URL, or a folder relative to the repository's root.
    Url,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words, in order of preference.
    Words(&'static [&'static str]),
    /// The name of a remote.
    RemoteName,
}

/// Kinds of remotes that DVC has and this version has not.
const NOT_YET: &[&str] = &["HDFS", "OSS", "WebDAV", "WebHDFS"];

/// A known key, or a known option of a remote.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name: `core.remote`, or of an option of a remote the last part alone.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// Whether a tracked file may not set it: it would weaken what protects the user.
    pub is_private: bool,
    /// What it does, for the manual.
    pub meaning: &'static str,
}

impl KeyInfo {
    /// Whether it is listed: an option of kinds of remotes alone that there are not yet is known, so
    /// that a configuration can have it, and not offered.
    pub fn is_offered(&self) -> bool {
        let kinds = self.meaning.split_once(": ").map_or("", |(kinds, _)| kinds);
        !kinds.split(", ").all(|kind| NOT_YET.contains(&kind))
    }
}

const fn key(name: &'static str, kind: Kind, meaning: &'static str) -> KeyInfo {
    KeyInfo { name, kind, is_private: matches!(kind, Kind::Secret), meaning }
}

const fn private(name: &'static str, kind: Kind, meaning: &'static str) -> KeyInfo {
    KeyInfo { name, kind, is_private: true, meaning }
}

const JOBS: Kind = Kind::Integer(1, 1024);
const SECONDS: Kind = Kind::Integer(1, 86_400);

/// The keys outside of remotes, sorted by name.
pub const KEYS: &[KeyInfo] = &[
    key("cache.dir", Kind::Folder, "where the cache lies (default `.mlv/cache`)"),
    key(
        "cache.pack_below",
        Kind::Size,
        "smaller files are packed together in the cache; 0 packs none (default 128 KiB)",
    ),
    key("cache.shared", Kind::Word(&["group"]), "files of the cache are writable for its group"),
    key(
        "cache.type",
        Kind::Words(&["reflink", "hardlink", "symlink", "copy"]),
        "how files get from the cache into the work tree, in order of preference (default `reflink,copy`)",
    ),
    key("core.autostage", Kind::Bool, "hand changed pointers and ignore files to `git add` (default false)"),
    key(
        "core.checksum_jobs",
        JOBS,
        "threads that read, hash and write files (default: the processors, at most 8)",
    ),
    key("core.jobs", JOBS, "threads of a transfer (default: the processors, at most 8)"),
    key("core.names", Kind::Word(&["unix", "portable"]), "which file names `add` takes (default `unix`)"),
    key("core.no_scm", Kind::Bool, "the project does not use git (default false)"),
    key("core.remote", Kind::RemoteName, "the remote that is used where none is named"),
    key("project.id", Kind::Text, "the project's random name on remotes, made by `init`"),
    key("project.version", Kind::Integer(1, 1), "the version of the project's files"),
];

/// The options of a remote, sorted by name.
pub const REMOTE_OPTIONS: &[KeyInfo] = &[
    key("access_key_id", Kind::Secret, "S3: the name of the access key"),
    key("account_key", Kind::Secret, "Azure: the account's key"),
    key("account_name", Kind::Text, "Azure: the account"),
    key("acl", Kind::Text, "S3: the canned access list of new objects"),
    key(
        "addressing_style",
        Kind::Word(&["auto", "path", "virtual"]),
        "S3: whether the bucket stands in the host or in the path",
    ),
    key("allow_agent", Kind::Bool, "SSH: whether to ask the agent for keys"),
    key("allow_anonymous_login", Kind::Bool, "S3, GCS, Azure: no credentials for public data"),
    key("ask_password", Kind::Bool, "kept for DVC: mlv never asks"),
    key("auth", Kind::Word(&["basic", "digest", "custom"]), "HTTP: the way to log in"),
    key("cache_regions", Kind::Bool, "S3: whether to remember the region of a bucket"),
    private("cert_path", Kind::Text, "WebDAV: the client certificate"),
    key(
        "checksum",
        Kind::Word(&["sha256", "crc64nvme"]),
        "S3: a checksum that the store keeps with each object",
    ),
    key("checksum_jobs", JOBS, "threads that hash for this remote"),
    key("client_id", Kind::Text, "Azure: the application"),
    key("client_secret", Kind::Secret, "Azure: the application's secret"),
    key("configpath", Kind::Text, "S3: the SDK's configuration file"),
    key("connect_timeout", SECONDS, "seconds until a connection attempt is given up"),
    key("connection_string", Kind::Secret, "Azure: the connection string"),
    key("connection_timeout", SECONDS, "Azure: seconds until a connection attempt is given up"),
    key("credentialpath", Kind::Text, "S3, GCS: the file with the credentials"),
    key("custom_auth_header", Kind::Text, "HTTP: the header that carries the password"),
    key("data_proxy_target", Kind::Text, "WebHDFS: the proxy for data"),
    key("endpointurl", Kind::Url, "S3, GCS, Azure: the server, where it is not the vendor's"),
    key("exclude_environment_credential", Kind::Bool, "Azure: no credentials from the environment"),
    key("exclude_managed_identity_credential", Kind::Bool, "Azure: no managed identity"),
    key("exclude_shared_token_cache_credential", Kind::Bool, "Azure: no shared token cache"),
    key("exclude_visual_studio_code_credential", Kind::Bool, "Azure: no credentials of the editor"),
    key("gdrive_acknowledge_abuse", Kind::Bool, "Drive: download files marked as abusive"),
    key("gdrive_client_id", Kind::Text, "Drive: the application"),
    key("gdrive_client_secret", Kind::Secret, "Drive: the application's secret"),
    key("gdrive_service_account_json_file_path", Kind::Text, "Drive: the service account's file"),
    key("gdrive_service_account_user_email", Kind::Text, "Drive: the user to act for"),
    key("gdrive_trash_only", Kind::Bool, "Drive: removed files go to the trash"),
    key("gdrive_use_service_account", Kind::Bool, "Drive: log in as a service account"),
    key("gdrive_user_credentials_file", Kind::Text, "Drive: the file with the user's credentials"),
    key("grant_full_control", Kind::Text, "S3: who gets full control of new objects"),
    key("grant_read", Kind::Text, "S3: who may read new objects"),
    key("grant_read_acp", Kind::Text, "S3: who may read the access list of new objects"),
    key("grant_write_acp", Kind::Text, "S3: who may write the access list of new objects"),
    key("gss_auth", Kind::Bool, "SSH: whether to use GSSAPI"),
    key("jobs", JOBS, "transfers at a time with this remote"),
    key("kerb_ticket", Kind::Text, "HDFS: the Kerberos ticket's file"),
    key("kerberos", Kind::Bool, "WebHDFS: whether to use Kerberos"),
    key("kerberos_principal", Kind::Text, "WebHDFS: the Kerberos principal"),
    private("key_path", Kind::Text, "WebDAV: the client certificate's key"),
    key("keyfile", Kind::Text, "SSH: the private key"),
    key("max_sessions", JOBS, "SSH: sessions at a time"),
    key("method", Kind::Word(&["PUT", "POST"]), "HTTP: the method of uploads"),
    key("oss_endpoint", Kind::Url, "OSS: the server"),
    key("oss_key_id", Kind::Secret, "OSS: the name of the access key"),
    key("oss_key_secret", Kind::Secret, "OSS: the access key"),
    key("passphrase", Kind::Secret, "SSH: what unlocks the private key"),
    key("password", Kind::Secret, "SSH, HTTP, WebDAV: the password"),
    key("port", Kind::Integer(1, 65_535), "SSH: the server's port"),
    key("profile", Kind::Text, "S3, Drive: the profile of the SDK's configuration"),
    key("projectname", Kind::Text, "GCS: the project"),
    key("proxy_to", Kind::Text, "WebHDFS: the user to act for"),
    key("read_timeout", SECONDS, "seconds without a byte until a transfer is given up"),
    key("region", Kind::Text, "S3: the region"),
    key("replication", Kind::Integer(1, 512), "HDFS: copies of each block"),
    key("sas_token", Kind::Secret, "Azure: the shared access signature"),
    key("secret_access_key", Kind::Secret, "S3: the access key"),
    key("session_token", Kind::Secret, "S3: the token of temporary credentials"),
    key("sse", Kind::Text, "S3: encryption by the server"),
    key("sse_customer_algorithm", Kind::Text, "S3: the algorithm of your own key"),
    key("sse_customer_key", Kind::Secret, "S3: your own key"),
    key("sse_kms_key_id", Kind::Text, "S3: the key of the key service"),
    private("ssh_command", Kind::Text, "SSH: the program to run instead of the `ssh` in PATH"),
    private(
        "ssl_verify",
        Kind::BoolOrPath,
        "whether to check certificates, or the bundle to check them against",
    ),
    key("tenant_id", Kind::Text, "Azure: the tenant"),
    key("timeout", SECONDS, "seconds until a request is given up"),
    key("token", Kind::Secret, "WebDAV, WebHDFS: the bearer token"),
    key("type", Kind::Word(&["shared"]), "folder: whether files are writable for their group"),
    key("url", Kind::Url, "where the remote lies"),
    key("use_https", Kind::Bool, "WebHDFS: whether to use HTTPS"),
    key("use_ssl", Kind::Bool, "S3: whether to use HTTPS"),
    key("user", Kind::Text, "SSH, HTTP, WebDAV, HDFS: the user"),
    key("verify", Kind::Bool, "kept for DVC: mlv always verifies"),
    key("version_aware", Kind::Bool, "kept for DVC: imports from buckets with versions"),
    key("worktree", Kind::Bool, "kept for DVC: imports from buckets with versions"),
];

/// A key of the configuration: `core.remote`, `remote.store.url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    info: &'static KeyInfo,
    remote: Option<Box<str>>,
}

impl Key {
    /// Parses a dotted key; between `remote.` and the last dot stands the remote's name.
    ///
    /// Fails with `UnknownKey`, which has the nearest known names, or with `RemoteName`.
    pub fn parse(text: &str) -> Result<Key, Error> {
        let unknown = || Error::UnknownKey { key: text.to_owned(), near: near_keys(text) };
        let Some(rest) = text.strip_prefix("remote.") else {
            return find(KEYS, text).map(|info| Key { info, remote: None }).ok_or_else(unknown);
        };
        let (name, option) = rest.rsplit_once('.').ok_or_else(unknown)?;
        check_remote_name(name)?;
        let info = find(REMOTE_OPTIONS, option).ok_or_else(unknown)?;
        Ok(Key { info, remote: Some(name.into()) })
    }

    /// A key outside of remotes. `name` is one of [`KEYS`].
    pub(super) fn plain(name: &str) -> Option<Key> {
        find(KEYS, name).map(|info| Key { info, remote: None })
    }

    /// The option `option` of the remote `name`.
    pub fn of_remote(name: &str, option: &str) -> Result<Key, Error> {
        check_remote_name(name)?;
        match find(REMOTE_OPTIONS, option) {
            Some(info) => Ok(Key { info, remote: Some(name.into()) }),
            None => {
                let near = near(option, REMOTE_OPTIONS.iter().map(|info| info.name));
                Err(Error::UnknownKey { key: format!("remote.{name}.{option}"), near })
            }
        }
    }

    /// What is known of it.
    pub fn info(&self) -> &'static KeyInfo {
        self.info
    }

    /// The remote that it is an option of.
    pub fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    /// Its parts as they nest in the file.
    pub(super) fn parts(&self) -> Vec<&str> {
        match &self.remote {
            Some(name) => vec!["remote", name, self.info.name],
            None => self.info.name.split('.').collect(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remote {
            Some(name) => write!(f, "remote.{name}.{}", self.info.name),
            None => f.write_str(self.info.name),
        }
    }
}

fn find(table: &'static [KeyInfo], name: &str) -> Option<&'static KeyInfo> {
    table.binary_search_by(|info| info.name.cmp(name)).ok().map(|at| &table[at])
}

/// Names of remotes appear in paths, messages and on command lines: no text that one of them
/// could take for something else.
pub fn check_remote_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    let good =
        !name.is_empty() && name.len() <= 100 && !name.starts_with(['-', '.']) && name.chars().all(plain);
    if good { Ok(()) } else { Err(Error::RemoteName { name: name.to_owned() }) }
}

/// The known keys that a user may have meant by `text`, nearest first.
fn near_keys(text: &str) -> Vec<String> {
    if let Some((remote, option)) = text.strip_prefix("remote.").and_then(|rest| rest.rsplit_once('.')) {
        let options = near(option, REMOTE_OPTIONS.iter().map(|info| info.name));
        return options.into_iter().map(|option| format!("remote.{remote}.{option}")).collect();
    }
    near(text, KEYS.iter().map(|info| info.name))
}

/// The names that `text` may be a slip of, nearest first, at most three.
///
/// Counted in wrong, missing, added and swapped letters: a measure that favours common beginnings
/// takes all of `core.` for one another.
pub fn near<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let text = text.to_lowercase();
    let slips = match text.chars().count() {
        0..=2 => 0,
        3..=7 => 1,
        8..=11 => 2,
        _ => 3,
    };
    let mut found: Vec<(usize, &str)> = names
        .map(|name| (strsim::damerau_levenshtein(&text, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= slips)
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_meanings_are_there() {
        for table in [KEYS, REMOTE_OPTIONS] {
            assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
            assert!(table.iter().all(|info| !info.meaning.is_empty()));
        }
    }

    #[test]
    fn only_slips_are_near() {
        let names = ["core.jobs", "core.names", "core.remote", "data/train", "data/test", "ab"];
        let near = |text| near(text, names.into_iter());
        assert_eq!(near("core.job"), ["core.jobs"]);
        assert_eq!(near("core.jbos"), ["core.jobs"]);
        assert_eq!(near("Core.Remote"), ["core.remote"]);
        assert_eq!(near("data/trian"), ["data/train"]);
        for far in ["core.nosuch", "core.", "data/tent.csv", "x", "aa", ""] {
            assert_eq!(near(far), Vec::<String>::new(), "{far}");
        }
    }

    #[test]
    fn keys_parse_and_print() {
        for text in ["core.remote", "remote.a.url", "remote.My.Store-1.endpointurl"] {
            assert_eq!(Key::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Key::parse("remote.a.b.url").unwrap().remote(), Some("a.b"));
        let Err(Error::UnknownKey { near, .. }) = Key::parse("core.remot") else { panic!() };
        assert_eq!(near[0], "core.remote");
        let Err(Error::UnknownKey { near, .. }) = Key::parse("remote.r.endpoint_url") else { panic!() };
        assert_eq!(near[0], "remote.r.endpointurl");
        for bad in
            ["", "core", "remote", "remote.url", "core.", "remote..url", "remote.a b.url", "remote.-x.url"]
        {
            assert!(Key::parse(bad).is_err(), "{bad}");
        }
    }
}
