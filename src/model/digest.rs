//! BLAKE3 digests and the typed identifiers made of them.
//!
//! Every stored hash covers the raw (decompressed) bytes. Files, symlink targets and
//! chunks use plain BLAKE3, so that `b3sum` verifies them; structured records use
//! `derive_key` with a context per kind, so that one kind can never pass for another
//! (docs/formats.md, "Hashes"). This is the only module that names the hash crate.

use std::fmt;
use std::str::FromStr;

/// A BLAKE3 digest: 32 bytes, printed as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The kinds of record whose hash is domain-separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A page of a directory tree.
    TreePage,
    /// The recipe of a chunked file.
    Recipe,
    /// A record of one stage run.
    RunRecord,
    /// What one clone needs of a remote.
    RootRecord,
    /// The list of packs that a collector is about to delete.
    Mark,
}

impl Domain {
    fn context(self) -> &'static str {
        match self {
            Domain::TreePage => "mlv 2026-11 tree page v1",
            Domain::Recipe => "mlv 2026-11 recipe v1",
            Domain::RunRecord => "mlv 2026-11 run record v1",
            Domain::RootRecord => "mlv 2026-11 root record v1",
            Domain::Mark => "mlv 2026-11 mark v1",
        }
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDigestError {
    /// The text has another length than 64.
    #[error("a hash has 64 hex digits, this one {0}")]
    Length(usize),
    /// A character is no lower-case hex digit.
    #[error("a hash is written in lower-case hex digits")]
    Digit,
}

impl Digest {
    /// Length in bytes.
    pub const LEN: usize = 32;
    /// All bits zero: a placeholder where a format leaves the field unused.
    pub const ZERO: Digest = Digest([0; 32]);

    /// Wraps 32 raw bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The 32 raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Plain BLAKE3 of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// BLAKE3 of `bytes` in `domain`.
    pub fn of_domain(domain: Domain, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::in_domain(domain);
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Digest, ParseDigestError> {
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return Err(ParseDigestError::Length(text.chars().count()));
        }
        let mut out = [0u8; 32];
        for (pair, byte) in bytes.chunks_exact(2).zip(&mut out) {
            *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
        }
        Ok(Digest(out))
    }
}

fn nibble(digit: u8) -> Result<u8, ParseDigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseDigestError::Digit),
    }
}

/// Incremental BLAKE3.
#[derive(Clone)]
pub struct Hasher(blake3::Hasher);

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher::new()
    }
}

impl Hasher {
    /// Plain BLAKE3, as for files and chunks.
    pub fn new() -> Hasher {
        Hasher(blake3::Hasher::new())
    }

    /// BLAKE3 in `domain`, as for structured records.
    pub fn in_domain(domain: Domain) -> Hasher {
        Hasher(blake3::Hasher::new_derive_key(domain.context()))
    }

    /// Hashes further bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// Declares a newtype over [`Digest`], so that ids of different things do not mix.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Digest);

        impl $name {
            /// The digest itself.
            pub const fn digest(self) -> Digest {
                self.0
            }
        }

        impl From<Digest> for $name {
            fn from(digest: Digest) -> $name {
                $name(digest)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<$name, ParseDigestError> {
                text.parse().map($name)
            }
        }
    };
}

id_type!(
    /// Names the full contents of one file: plain BLAKE3.
    ObjectId
);
id_type!(
    /// Names a content-defined slice of an object: plain BLAKE3.
    ChunkId
);
id_type!(
    /// Names a directory by the hash of its root page.
    TreeId
);
id_type!(
    /// Names a pack by the hash of its header and table.
    PackId
);
id_type!(
    /// Names a stage run by the hash of its inputs.
    RunKey
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_other_spellings() {
        let digest = Digest::of(b"mlv");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let text = digest.to_string();
        assert_eq!(text[..63].parse::<Digest>(), Err(ParseDigestError::Length(63)));
        assert_eq!(text.to_uppercase().parse::<Digest>(), Err(ParseDigestError::Digit));
    }

    #[test]
    fn golden_domains_give_the_digests_that_are_pinned() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../fixtures/formats/formats.json")).unwrap();
        let domains = vectors["formats"]["domains"].as_object().unwrap();
        let of = |domain| Digest::of_domain(domain, b"abc");
        let digests = [
            ("plain", Digest::of(b"abc")),
            ("tree page", of(Domain::TreePage)),
            ("recipe", of(Domain::Recipe)),
            ("run record", of(Domain::RunRecord)),
            ("root record", of(Domain::RootRecord)),
            ("mark", of(Domain::Mark)),
        ];
        assert_eq!(domains.len(), digests.len());
        for (kind, digest) in digests {
            assert_eq!(domains[kind], digest.to_string(), "{kind}");
        }
    }
}
