//! A folder on another machine, by SFTP through the user's own `ssh`.
//!
//! That program knows the user's hosts, keys, agent and jump hosts, and asks for none of them
//! here: it runs in batch mode. The layout is that of a folder remote, so either reads what the
//! other wrote: an object is written below `.stage/`, made durable where the server can
//! (`fsync@openssh.com`), and renamed, which fails on a name that is taken.

use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::fs;
use crate::remote::backend::{
    Action, Backend, BackendError, ByteSink, Created, Key, ListSink, Listed, RoundTrip, SentSink, Situation,
    Stat, check_prefix,
};
use files::Files;
use session::{Session, SftpError};
use wire::{Attributes, Status};

mod files;
mod open;
mod session;
mod wire;

pub(crate) use open::open_sftp;

/// Where objects under construction lie, below the remote's root.
const STAGE: &str = ".stage";

/// How the server is reached.
struct Target {
    program: PathBuf,
    args: Vec<String>,
}

/// A folder on a server. Reading never creates anything; the first write makes the folder.
pub struct SftpBackend {
    target: Target,
    /// Absolute, without a `/` at its end.
    root: String,
    place: String,
    sessions: Mutex<Pool>,
    returned: Condvar,
}

struct Pool {
    idle: Vec<Session>,
    /// Sessions that may still be opened.
    left: usize,
}

/// What a call is about, for its errors.
#[derive(Clone, Copy)]
struct About<'a>(Action, &'a str);

impl SftpBackend {
    fn new(target: Target, root: String, place: String, sessions: usize) -> SftpBackend {
        let sessions = Mutex::new(Pool { idle: Vec::new(), left: sessions });
        SftpBackend { target, root, place, sessions, returned: Condvar::new() }
    }

    fn path(&self, key: &str) -> String {
        if key.is_empty() { self.root.clone() } else { format!("{}/{key}", self.root) }
    }

    fn error(&self, about: About<'_>, situation: Situation) -> BackendError {
        BackendError::new(situation, about.0, about.1, self.describe())
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle session, or a new one; waits where there are as many as there may be.
    fn session(&self) -> Result<Session, SftpError> {
        let mut pool = self.pool();
        loop {
            if let Some(session) = pool.idle.pop() {
                return Ok(session);
            }
            if pool.left > 0 {
                pool.left -= 1;
                break;
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        drop(pool);
        let mut command = Command::new(&self.target.program);
        command.args(&self.target.args);
        Session::start(command).inspect_err(|_| self.give_up())
    }

    fn give_up(&self) {
        self.pool().left += 1;
        self.returned.notify_one();
    }

    /// Runs `work` in a session, which serves again afterwards if it is sound.
    fn with<T>(
        &self,
        about: About<'_>,
        work: impl FnOnce(&mut Files<'_>) -> Result<T, SftpError>,
    ) -> Result<T, BackendError> {
        let told = |error: SftpError| {
            let (mut remedy, mut situation) = (error.remedy(), error.situation());
            if about.0 == Action::Write && situation == Situation::NotFound {
                situation = Situation::Refused;
                remedy = Some("the folder cannot be made there: check its path, `mlv remote list`");
            }
            let remedy = remedy.map(Into::into);
            BackendError { remedy, ..self.error(about, situation) }.because(error)
        };
        let mut session = self.session().map_err(told)?;
        let done = work(&mut Files(&mut session));
        match &done {
            Err(error) if !error.is_answer() => {
                drop(session);
                self.give_up();
            }
            _ => {
                self.pool().idle.push(session);
                self.returned.notify_one();
            }
        }
        done.map_err(told)
    }

    /// Writes `parts` to a new durable file beside the keys; returns its path.
    fn stage(
        &self,
        files: &mut Files<'_>,
        parts: &[impl AsRef<[u8]>],
        sent: &mut SentSink<'_>,
    ) -> Result<String, SftpError> {
        let stage = self.path(STAGE);
        let path = format!("{stage}/{:032x}", u128::from_le_bytes(fs::random_bytes()));
        let handle = match files.create(&path) {
            Err(SftpError::Status(Status::NoSuchFile)) => {
                files.make_folders(&stage)?;
                files.create(&path)?
            }
            other => other?,
        };
        let written = files.write(&handle, parts, sent).and_then(|()| files.sync(&handle));
        let written = files.close(&handle).and(written);
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                if error.is_answer() {
                    let _ = files.remove(&path);
                }
                Err(error)
            }
        }
    }

    /// Gives the staged file its name; `replace` says whether it may replace the file there.
    fn publish(
        &self,
        files: &mut Files<'_>,
        staged: &str,
        key: &Key,
        replace: impl FnOnce(Attributes) -> bool,
    ) -> Result<Created, SftpError> {
        let path = self.path(key.as_str());
        let refused = match files.rename(staged, &path) {
            Ok(()) => return Ok(Created::New),
            Err(error) if error.is_answer() => error,
            Err(error) => return Err(error),
        };
        match files.stat(&path)? {
            Some(there) if !replace(there) => {
                files.remove(staged)?;
                Ok(Created::Existed)
            }
            Some(_) => files.replace(staged, &path).map(|()| Created::New),
            // What is not there is the folder.
            None => {
                let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
                files.make_folders(folder)?;
                files.rename(staged, &path).map_err(|_| refused)?;
                Ok(Created::New)
            }
        }
    }
}

fn time_of(attributes: Attributes) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(attributes.mtime.into())
}

impl Backend for SftpBackend {
    fn get(&self, key: &Key, range: Option<Range<u64>>, sink: &mut ByteSink<'_>) -> Result<(), BackendError> {
        let about = About(Action::Read, key.as_str());
        let path = self.path(key.as_str());
        let is_whole = self.with(about, |files| {
            let handle = files.open(&path)?;
            let size = files.stat_open(&handle);
            let read = size.and_then(|size| {
                let range = range.unwrap_or(0..size);
                if range.end > size || range.start > range.end {
                    return Ok(false);
                }
                files.read(&handle, range, sink)
            });
            match read {
                Err(error) if !error.is_answer() => Err(error),
                read => files.close(&handle).and(read),
            }
        })?;
        if is_whole { Ok(()) } else { Err(self.error(about, Situation::Invalid)) }
    }

    fn put(&self, key: &Key, parts: &[Bytes]) -> Result<(), BackendError> {
        self.put_telling(key, parts, &mut |_| ())
    }

    fn put_telling(&self, key: &Key, parts: &[Bytes], sent: &mut SentSink<'_>) -> Result<(), BackendError> {
        let size: u64 = parts.iter().map(|part| part.len() as u64).sum();
        self.with(About(Action::Write, key.as_str()), |files| {
            let staged = self.stage(files, parts, sent)?;
            self.publish(files, &staged, key, |there| there.size != size).map(drop)
        })
    }

    fn create(&self, key: &Key, bytes: &[u8]) -> Result<Created, BackendError> {
        self.with(About(Action::Write, key.as_str()), |files| {
            let staged = self.stage(files, &[bytes], &mut |_| ())?;
            self.publish(files, &staged, key, |_| false)
        })
    }

    fn head(&self, key: &Key) -> Result<Option<Stat>, BackendError> {
        let about = About(Action::Read, key.as_str());
        match self.with(about, |files| files.stat(&self.path(key.as_str())))? {
            Some(found) if found.is_file() => Ok(Some(Stat { size: found.size, modified: time_of(found) })),
            Some(_) => Err(self.error(about, Situation::Invalid)),
            None => Ok(None),
        }
    }

    fn list(&self, prefix: &str, each: &mut ListSink<'_>) -> Result<(), BackendError> {
        let about = About(Action::List, prefix);
        check_prefix(prefix).map_err(|error| self.error(about, Situation::Invalid).because(error))?;
        let mut folders = vec![prefix.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()];
        while !folders.is_empty() {
            let paths: Vec<String> = folders.iter().map(|folder| self.path(folder)).collect();
            let listings = self.with(about, |files| files.list(&paths))?;
            let mut below = Vec::new();
            for (folder, names) in folders.iter().zip(listings) {
                for (name, found) in names {
                    let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                    let Ok(key) = Key::parse(&key) else { continue };
                    let is_wanted = key.as_str().starts_with(prefix);
                    if found.is_folder() {
                        if is_wanted || prefix.starts_with(&format!("{key}/")) {
                            below.push(key.to_string());
                        }
                    } else if is_wanted && !found.is_file() {
                        // A link among the keys: left out, what is behind it would seem absent (R9).
                        return Err(self.error(About(Action::List, key.as_str()), Situation::Invalid));
                    } else if is_wanted {
                        let line = Listed { key, size: found.size, modified: time_of(found) };
                        if let ControlFlow::Break(()) = each(line) {
                            return Ok(());
                        }
                    }
                }
            }
            folders = below;
        }
        Ok(())
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        let path = self.path(key.as_str());
        self.with(About(Action::Delete, key.as_str()), |files| match files.remove(&path) {
            Err(SftpError::Status(Status::NoSuchFile)) => Ok(()),
            other => other,
        })
    }

    /// The server's file system's clock (R22): the time that it gives to a new file.
    fn now(&self) -> Result<SystemTime, BackendError> {
        self.with(About(Action::Read, ""), |files| {
            let path = self.stage(files, &[b""], &mut |_| ())?;
            let found = files.stat(&path)?;
            files.remove(&path)?;
            found.map(time_of).ok_or(SftpError::Nonsense)
        })
    }

    fn round_trip(&self) -> RoundTrip {
        RoundTrip::Network
    }

    fn describe(&self) -> String {
        self.place.clone()
    }
}
