//! From `ssh://user@host:port/path` to a backend.

use std::path::PathBuf;

use super::{SftpBackend, Target};
use crate::remote::credentials::in_path;
use crate::remote::registry::{RemoteSpec, SpecError};

/// The options that are understood, besides those of every remote.
const OPTIONS: &[&str] =
    &["allow_agent", "connect_timeout", "keyfile", "max_sessions", "port", "ssh_command", "timeout", "user"];

/// Sessions at a time: a server drops some of more than ten logins that come at once.
const SESSIONS: usize = 4;

/// The backend of `ssh://[user@]host[:port]/path`. Nothing is sent yet.
pub(crate) fn open_sftp(spec: &RemoteSpec) -> Result<SftpBackend, SpecError> {
    spec.check_options("SSH", OPTIONS)?;
    let rest = spec.url.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, server) = match authority.rsplit_once('@') {
        Some((user, server)) => (Some(user), server),
        None => (None, authority),
    };
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => (host, Some(port)),
        _ => (server, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let root = format!("/{}", path.trim_matches('/'));
    if root == "/" || root.split('/').any(|part| part == "..") {
        return Err(spec.unusable("url", "it needs a folder: `ssh://host/folder`"));
    }
    let user = spec.option("user").or(user);
    let port = spec.option("port").or(port);
    // R11: nothing of the URL is an option of ssh.
    for word in [Some(host), user, port].into_iter().flatten() {
        let plain =
            |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%' | '+' | '$' | '\\');
        if word.is_empty() || word.starts_with('-') || !word.chars().all(plain) {
            return Err(spec.unusable("url", "host, user or port have no such form"));
        }
    }
    let program = match spec.option("ssh_command") {
        Some(program) => PathBuf::from(program),
        None => in_path("ssh").ok_or_else(|| spec.unusable("ssh_command", "there is no `ssh` in PATH"))?,
    };
    let args = arguments(spec, host, user, port);
    let sessions = spec.option("max_sessions").and_then(|text| text.parse().ok()).unwrap_or(SESSIONS);
    Ok(SftpBackend::new(Target { program, args }, root, spec.display_url(), sessions))
}

fn arguments(spec: &RemoteSpec, host: &str, user: Option<&str>, port: Option<&str>) -> Vec<String> {
    let seconds = spec.option("connect_timeout").or_else(|| spec.option("timeout")).unwrap_or("10");
    let mut args = vec![
        // Who should be asked, when eight of them run?
        "-oBatchMode=yes".to_owned(),
        format!("-oConnectTimeout={seconds}"),
        // A connection that is dead is noticed within a minute, however quiet it is.
        "-oServerAliveInterval=15".to_owned(),
        "-oServerAliveCountMax=4".to_owned(),
        "-oForwardAgent=no".to_owned(),
        "-oForwardX11=no".to_owned(),
    ];
    let mut option = |flag: &str, value: Option<&str>| {
        if let Some(value) = value {
            args.extend([flag.to_owned(), value.to_owned()]);
        }
    };
    option("-l", user);
    option("-p", port);
    option("-i", spec.option("keyfile"));
    if spec.option("allow_agent") == Some("false") {
        args.push("-oIdentityAgent=none".to_owned());
    }
    args.extend(["-s", "--", host, "sftp"].map(str::to_owned));
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;
    use crate::remote::registry::SpecOption;

    fn opened(url: &str, options: &[(&str, &str)]) -> Result<(String, String), String> {
        let option = |(name, value): &(&str, &str)| SpecOption {
            name: (*name).to_owned(),
            value: Secret::new(*value),
            is_tracked: false,
        };
        let options = [options, &[("ssh_command", "/bin/ssh")]].concat().iter().map(option).collect();
        let spec = RemoteSpec { name: "s".to_owned(), url: url.to_owned(), is_url_tracked: false, options };
        let backend = open_sftp(&spec).map_err(|error| error.to_string())?;
        Ok((backend.target.args[6..].join(" "), backend.root))
    }

    #[test]
    fn urls_become_arguments_of_ssh() {
        for (url, options, args, root) in [
            ("ssh://host/data", &[][..], "-s -- host sftp", "/data"),
            ("ssh://me@host:2222/srv/data/", &[], "-l me -p 2222 -s -- host sftp", "/srv/data"),
            ("ssh://[::1]:22/data", &[], "-p 22 -s -- ::1 sftp", "/data"),
            (
                "ssh://me@host/data",
                &[("user", "ada"), ("keyfile", "/k")],
                "-l ada -i /k -s -- host sftp",
                "/data",
            ),
        ] {
            assert_eq!(opened(url, options), Ok((args.to_owned(), root.to_owned())), "{url}");
        }
    }

    // R11
    #[test]
    fn urls_that_are_options_of_ssh_are_refused() {
        for url in [
            "ssh://-oProxyCommand=x/data",
            "ssh://-l@host/data",
            "ssh://host:-p/data",
            "ssh://a b/data",
            "ssh:///data",
            "ssh://host",
            "ssh://host/",
            "ssh://host/a/../../b",
        ] {
            assert!(opened(url, &[]).is_err(), "{url}");
        }
        assert!(opened("ssh://host/data", &[("profile", "x")]).is_err());
    }
}
