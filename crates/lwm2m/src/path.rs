//! Paths into a client's objects.

use std::fmt;
use std::str::FromStr;

use bugle_core::ResourcePath;
use thiserror::Error;

/// A place in a client: everything, an object, an object instance, a resource or a resource instance.
///
/// Paths sort as a walk through the tree meets them: a parent before what is in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path {
    /// Unused parts are zero, so that the derived order is the walk.
    parts: [u16; 4],
    length: u8,
}

/// Why a text or a row of numbers is no path. The fault is of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a path is up to four numbers up to 65534, as /3/0/9")]
pub struct PathError;

impl Path {
    /// Everything.
    pub const ROOT: Self = Self { parts: [0; 4], length: 0 };

    /// The path of these parts.
    ///
    /// # Errors
    /// If there are more than four, or one is 65535 (LwM2M 1.1 core, 7.3: reserved).
    pub fn new(parts: &[u16]) -> Result<Self, PathError> {
        if parts.len() > 4 || parts.contains(&u16::MAX) {
            return Err(PathError);
        }
        let mut path = Self { parts: [0; 4], length: parts.len() as u8 };
        path.parts[..parts.len()].copy_from_slice(parts);
        Ok(path)
    }

    /// The path of an object whose id is known.
    ///
    /// # Panics
    /// If the id is 65535, which is reserved.
    #[must_use]
    pub const fn of_object(object: u16) -> Self {
        Self::known([object, 0, 0, 0], 1)
    }

    /// The path of an object instance whose ids are known.
    ///
    /// # Panics
    /// If an id is 65535.
    #[must_use]
    pub const fn of_instance(object: u16, instance: u16) -> Self {
        Self::known([object, instance, 0, 0], 2)
    }

    /// The path of a resource whose ids are known.
    ///
    /// # Panics
    /// If an id is 65535.
    #[must_use]
    pub const fn of_resource(object: u16, instance: u16, resource: u16) -> Self {
        Self::known([object, instance, resource, 0], 3)
    }

    /// The path of a resource instance whose ids are known.
    ///
    /// # Panics
    /// If an id is 65535.
    #[must_use]
    pub const fn of_resource_instance(object: u16, instance: u16, resource: u16, number: u16) -> Self {
        Self::known([object, instance, resource, number], 4)
    }

    const fn known(parts: [u16; 4], length: u8) -> Self {
        let [a, b, c, d] = parts;
        assert!(a != u16::MAX && b != u16::MAX && c != u16::MAX && d != u16::MAX, "65535 is no id");
        Self { parts, length }
    }

    /// Its parts, none to four.
    #[must_use]
    pub fn parts(&self) -> &[u16] {
        &self.parts[..usize::from(self.length)]
    }

    /// How many parts it has: 1 an object, 2 an instance, 3 a resource, 4 a resource instance.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.length as usize
    }

    /// The object's id.
    #[must_use]
    pub fn object(&self) -> Option<u16> {
        self.parts().first().copied()
    }

    /// The object instance's id.
    #[must_use]
    pub fn instance(&self) -> Option<u16> {
        self.parts().get(1).copied()
    }

    /// The resource's id.
    #[must_use]
    pub fn resource(&self) -> Option<u16> {
        self.parts().get(2).copied()
    }

    /// The resource instance's id.
    #[must_use]
    pub fn resource_instance(&self) -> Option<u16> {
        self.parts().get(3).copied()
    }

    /// The path of what has this id in it, if there can be such.
    #[must_use]
    pub fn child(mut self, id: u16) -> Option<Self> {
        if self.depth() == 4 || id == u16::MAX {
            return None;
        }
        self.parts[self.depth()] = id;
        self.length += 1;
        Some(self)
    }

    /// The path of which only the first `depth` parts are left.
    #[must_use]
    pub fn truncated(mut self, depth: usize) -> Self {
        if depth < self.depth() {
            self.parts = std::array::from_fn(|place| if place < depth { self.parts[place] } else { 0 });
            self.length = depth as u8;
        }
        self
    }

    /// Whether this is `place` or something in it.
    #[must_use]
    pub fn is_within(&self, place: &Self) -> bool {
        self.parts().starts_with(place.parts())
    }

    /// Reads the parts of a path as they travel in CoAP's Uri-Path options.
    ///
    /// # Errors
    /// If there are more than four, or one is not a number up to 65534.
    pub fn from_segments<S: AsRef<str>>(segments: &[S]) -> Result<Self, PathError> {
        segments.iter().try_fold(Self::ROOT, |path, segment| path.child(id(segment.as_ref())?).ok_or(PathError))
    }
}

/// Reads a number that is written with digits only.
fn id(text: &str) -> Result<u16, PathError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PathError);
    }
    text.parse().map_err(|_| PathError)
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let rest = text.strip_prefix('/').ok_or(PathError)?;
        if rest.is_empty() {
            return Ok(Self::ROOT);
        }
        rest.split('/').try_fold(Self::ROOT, |path, part| path.child(id(part)?).ok_or(PathError))
    }
}

impl From<ResourcePath> for Path {
    fn from(path: ResourcePath) -> Self {
        Self::new(path.parts()).expect("core's paths have the same bounds")
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == 0 {
            return f.write_str("/");
        }
        self.parts().iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_sorts_behind_what_it_is_in() {
        let mut paths: Vec<Path> = ["/3/0/1", "/3/1", "/3/0/0/5", "/3", "/3/0", "/3/0/0", "/"]
            .iter()
            .map(|text| text.parse().expect("a path"))
            .collect();
        paths.sort();
        let sorted: Vec<String> = paths.iter().map(Path::to_string).collect();
        assert_eq!(sorted, ["/", "/3", "/3/0", "/3/0/0", "/3/0/0/5", "/3/0/1", "/3/1"]);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "3/0", "/3/", "/65535", "/1/2/3/4/5", "//", "/+1", "/a"] {
            assert_eq!(text.parse::<Path>(), Err(PathError), "{text}");
        }
        assert_eq!(Path::from_segments(&["rd"]), Err(PathError));
    }

    #[test]
    fn truncating_leaves_nothing_behind() {
        let path: Path = "/3/0/9".parse().expect("a path");
        assert_eq!(path.truncated(1), Path::of_object(3));
        assert_eq!(path.truncated(4), path);
        assert!(path.is_within(&Path::ROOT) && path.is_within(&path) && !path.is_within(&Path::of_instance(3, 1)));
    }

    proptest! {
        #[test]
        fn a_path_reads_back_as_written(parts in prop::collection::vec(0..u16::MAX, 0..=4)) {
            let path = Path::new(&parts).expect("up to four parts");
            prop_assert_eq!(path.to_string().parse(), Ok(path));
            let segments: Vec<String> = parts.iter().map(u16::to_string).collect();
            prop_assert_eq!(Path::from_segments(&segments), Ok(path));
        }
    }
}
