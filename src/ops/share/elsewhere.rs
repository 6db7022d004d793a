//! Looking on the other remotes for what the one that it belongs to has lost.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::error::{Advice, ErrorKind};
use crate::model::path::RepoPath;
use crate::ops::OpError;
use crate::ops::fetch::FetchedFrom;
use crate::ops::share::bring::{Brought, Wish};
use crate::ops::share::{self, Access, NamedRemote};
use crate::repo::Repo;
use crate::report::{Event, Reporter};

/// The other remotes of a project, as one command gets to know them.
///
/// They are asked in the order in which the configuration has them. While there is another to ask, one that
/// cannot be reached is left at once; who has the rest is asked patiently when no other had it, and then
/// no more in this command.
pub struct Elsewhere<'a> {
    repo: &'a Repo,
    reporter: &'a dyn Reporter,
    given_up: RefCell<BTreeSet<String>>,
}

/// Asks one remote for wishes, and tells what it gave and what it lacks.
pub type Ask<'a> = dyn FnMut(&mut NamedRemote, &[Wish]) -> Result<Brought, OpError> + 'a;

impl<'a> Elsewhere<'a> {
    /// Nobody was asked yet.
    pub fn new(repo: &'a Repo, reporter: &'a dyn Reporter) -> Elsewhere<'a> {
        Elsewhere { repo, reporter, given_up: RefCell::default() }
    }

    /// Has the other remotes asked for those of `wishes` of which `brought` says that `first` lost something,
    /// and adds what they gave; returns that by remote.
    ///
    /// Fails only where the user asked to stop: what is missing is told anyway.
    pub fn ask(
        &self,
        first: &str,
        wishes: &[Wish],
        brought: &mut Brought,
        ask: &mut Ask<'_>,
    ) -> Result<Vec<FetchedFrom>, OpError> {
        let mut rows = Vec::new();
        let config = self.repo.config();
        let others = config.remotes_in_order().into_iter().filter(|name| *name != first);
        let mut others: Vec<&str> = others.filter(|name| !self.given_up.borrow().contains(*name)).collect();
        let mut hurried = others.len() > 1;
        loop {
            let mut unreached = Vec::new();
            for name in others {
                let lacking = lacking(wishes, brought);
                if lacking.is_empty() {
                    return Ok(rows);
                }
                let opened = match hurried {
                    true => share::open_at_once(self.repo, name, self.reporter),
                    false => share::open(self.repo, Some(name), Access::Read, self.reporter),
                };
                let asked = opened
                    .and_then(|mut from| Ok((ask(&mut from, &lacking)?, from.remote.requests().total())));
                match asked {
                    Ok((found, requests)) => {
                        self.tell(first, name, &found);
                        let mut row = FetchedFrom::of(name, &found);
                        row.what.requests = requests;
                        rows.push(row);
                        brought.add_from_elsewhere(found, &lacking);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                    Err(error) if hurried && is_passing(&error) => unreached.push(name),
                    Err(error) => self.give_up(name, &error),
                }
            }
            if unreached.is_empty() || !hurried {
                return Ok(rows);
            }
            (others, hurried) = (unreached, false);
        }
    }

    fn tell(&self, first: &str, name: &str, found: &Brought) {
        if found.files + found.pages == 0 {
            return;
        }
        let files = if found.files == 1 { "1 file".to_owned() } else { format!("{} files", found.files) };
        let message = format!("not all is on `{first}` or sound there: {files} came from `{name}`");
        self.reporter.event(&Event::Warning { message });
    }

    fn give_up(&self, name: &str, error: &OpError) {
        self.given_up.borrow_mut().insert(name.to_owned());
        if is_passing(error) {
            let message = format!("`{name}`, which may have what is missing, was not asked: {error}");
            self.reporter.event(&Event::Warning { message });
        }
    }
}

/// Whether it may go better another time.
fn is_passing(error: &OpError) -> bool {
    matches!(error.kind(), ErrorKind::Network | ErrorKind::Throttled)
}

/// The wishes of which something was lost.
fn lacking(wishes: &[Wish], brought: &Brought) -> Vec<Wish> {
    let is_lost = |wish: &&Wish| {
        let below =
            |(path, error): &(RepoPath, OpError)| error.is_lost_there() && path.starts_with(&wish.output);
        brought.failed.iter().any(below)
    };
    wishes.iter().filter(is_lost).cloned().collect()
}

/// Of the wishes of which `failed` says that something was lost, the parts that it names: what else of them
/// comes from where it belongs.
pub fn lost_parts(wishes: &[Wish], failed: &[(RepoPath, OpError)]) -> Vec<Wish> {
    let mut parts = Vec::new();
    for wish in wishes {
        let lost = failed.iter().filter(|(_, error)| error.is_lost_there());
        let inside: Vec<&str> = lost.filter_map(|(path, _)| path.strip_prefix(&wish.output)).collect();
        // With the list of an output, or with two of its versions, it is not known what else would come.
        let is_only = wishes.iter().filter(|other| other.output == wish.output).count() == 1;
        let is_narrow = is_only && inside.iter().all(|part| !part.is_empty());
        if !inside.is_empty() {
            let named = inside.into_iter().map(Into::into).collect();
            parts.push(Wish { inside: if is_narrow { named } else { wish.inside.clone() }, ..wish.clone() });
        }
    }
    parts
}
