//! What a clone remembers of its last push of all that some roots need: the roots, and the packs that
//! were seen to hold their closure. It decides, so it has a checksum; lost it costs time, never data (R10).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::digest::{Digest, PackId};
use crate::remote::records::Root;
use crate::remote::state::State;

const FILE: &str = "pushed";
const VERSION: &str = "mlv pushed 1";
/// The longest note that is read, in bytes.
const MAX_SIZE: u64 = 64 << 20;

/// Roots that were found whole on a remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pushed {
    roots: BTreeSet<Root>,
    /// The packs that hold what they need, with their lengths in bytes.
    pub(crate) packs: BTreeMap<PackId, u64>,
}

impl Pushed {
    /// The closure of `roots` is in `packs`.
    pub(crate) fn new(roots: &[Root], packs: BTreeMap<PackId, u64>) -> Pushed {
        Pushed { roots: roots.iter().copied().collect(), packs }
    }

    /// Whether each of `roots` is one of these.
    pub(crate) fn holds(&self, roots: &[Root]) -> bool {
        roots.iter().all(|root| self.roots.contains(root))
    }

    /// What was noted last; nothing if that is damaged.
    pub(crate) fn load(state: &State) -> Option<Pushed> {
        Pushed::decode(&state.read(FILE, MAX_SIZE)?)
    }

    /// Notes it.
    pub(crate) fn save(&self, state: &State) {
        state.save("", FILE, &[&self.encode()]);
    }

    /// A line of the version, one a pack (`<id> <length>`), an empty one, one a root as in a root record,
    /// and the checksum.
    fn encode(&self) -> Vec<u8> {
        let mut text = format!("{VERSION}\n");
        for (id, len) in &self.packs {
            text.push_str(&format!("{id} {len}\n"));
        }
        text.push('\n');
        self.roots.iter().for_each(|root| text.push_str(&root.encode()));
        let sum = Digest::of(text.as_bytes());
        text.push_str(&format!("{sum}\n"));
        text.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Pushed> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let (body, sum) = text.rsplit_once('\n')?;
        if Digest::of(&bytes[..body.len() + 1]).to_string() != sum {
            return None;
        }
        let mut lines = body.lines();
        if lines.next() != Some(VERSION) {
            return None;
        }
        let mut pushed = Pushed::default();
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            let (id, len) = line.split_once(' ')?;
            pushed.packs.insert(id.parse().ok()?, len.parse().ok()?);
        }
        pushed.roots = lines.map(Root::decode).collect::<Option<_>>()?;
        Some(pushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::{ObjectId, RunKey, TreeId};

    #[test]
    fn note_round_trips_and_damage_forgets_it() {
        let of = |text: &[u8]| Digest::of(text);
        let file = Root::File { id: ObjectId(of(b"a")), size: 1 };
        let tree = Root::Tree { id: TreeId(of(b"b")), size: 2, nfiles: 1 };
        let run = Root::Run(RunKey(of(b"c")));
        let packs: BTreeMap<_, _> = [(PackId(of(b"d")), 7), (PackId(of(b"e")), 8)].into();
        let pushed = Pushed::new(&[run, tree, file], packs);
        let bytes = pushed.encode();
        assert_eq!(Pushed::decode(&bytes).as_ref(), Some(&pushed));
        for at in 0..bytes.len() {
            assert_eq!(Pushed::decode(&bytes[..at]), None);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(Pushed::decode(&flipped), None, "byte {at}");
        }
        assert_eq!(Pushed::decode(&Pushed::default().encode()), Some(Pushed::default()));
        assert!(pushed.holds(&[tree, run]) && pushed.holds(&[]));
        assert!(!pushed.holds(&[tree, Root::File { id: ObjectId(of(b"b")), size: 2 }]));
    }
}
