//! The chunk profiles, and where they cut.
//!
//! Cuts are a storage format: docs/formats.md pins the crate's algorithm (FastCDC 2020, no seed) and golden
//! vectors pin the cuts. A profile may be added, never changed.

use fastcdc::v2020::{FastCDC, Normalization};

/// Files of at most this many bytes are one record and are not cut.
pub const WHOLE: u64 = 4 << 20;

/// How a file is cut: chosen by its size alone, named in its recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its number in recipes.
    pub number: u16,
    /// Average bytes of a chunk; the least is a quarter of it, the most four times.
    pub average: u32,
    /// How close the chunks keep to the average.
    pub normalization: Normalization,
}

const fn profile(number: u16, average: u32, normalization: Normalization) -> Profile {
    Profile { number, average, normalization }
}

/// Largest file of each profile, in bytes, the border included.
const PROFILES: [(u64, Profile); 4] = [
    (4 << 30, profile(5, 16 << 10, Normalization::Level2)),
    (64 << 30, profile(2, 64 << 10, Normalization::Level1)),
    (1 << 40, profile(3, 256 << 10, Normalization::Level1)),
    (u64::MAX, profile(4, 1 << 20, Normalization::Level1)),
];

/// Cut files of up to 4 GiB before profile 5; recipes on remotes name it.
const FIRST: Profile = profile(1, 16 << 10, Normalization::Level1);

impl Profile {
    /// The profile for a file of `size` bytes.
    pub fn for_size(size: u64) -> Profile {
        let fitting = PROFILES.iter().find(|(largest, _)| size <= *largest);
        fitting.map_or(PROFILES[3].1, |(_, profile)| *profile)
    }

    /// The profile with this number, if there is one: what recipes are decoded with.
    pub fn numbered(number: u16) -> Option<Profile> {
        let mut all = PROFILES.iter().map(|(_, profile)| *profile).chain([FIRST]);
        all.find(|profile| profile.number == number)
    }

    /// The least and most bytes of a chunk.
    pub fn bounds(self) -> (u32, u32) {
        (self.average / 4, self.average * 4)
    }

    /// The bounds of the profile with this number, if there is one.
    pub fn bounds_of(number: u16) -> Option<(u32, u32)> {
        Profile::numbered(number).map(Profile::bounds)
    }

    /// The lengths of the chunks of `data`, which holds the rest of a file or a part of it.
    ///
    /// The last length ends with the data: if the file goes on, it is no cut.
    pub fn lengths(self, data: &[u8]) -> impl Iterator<Item = usize> + '_ {
        let (min, max) = self.bounds();
        FastCDC::with_level(data, min as usize, self.average as usize, max as usize, self.normalization)
            .map(|chunk| chunk.length)
    }
}
