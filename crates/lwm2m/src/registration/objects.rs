//! The objects and object instances of a client, in few bytes: a gateway holds them for each of
//! 100,000 registrations.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The version of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectVersion {
    /// The number before the point.
    pub major: u8,
    /// The number behind it.
    pub minor: u8,
}

impl FromStr for ObjectVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self { major: major.parse().map_err(|_| ())?, minor: minor.parse().map_err(|_| ())? })
    }
}

impl fmt::Display for ObjectVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The objects of a client, sorted by id.
///
/// Held as a row of numbers, most of them in one byte: for each object the distance of its id to the one
/// before, twice the count of its instances plus one if it has a version, the version, and for each
/// instance the distance of its id to the one before. Clones share it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Objects(Arc<[u8]>);

/// Models that are remembered.
const MODELS_KEPT: usize = 16;

/// One object of a client.
#[derive(Clone, Copy)]
pub struct Object<'o> {
    /// Its id.
    pub id: u16,
    /// Its version, if the client named one; it is the default of the enabler's version otherwise.
    pub version: Option<ObjectVersion>,
    count: u16,
    instances: &'o [u8],
}

impl Object<'_> {
    /// The ids of its instances, sorted.
    pub fn instances(&self) -> impl Iterator<Item = u16> + '_ {
        let (mut rest, mut id) = (self.instances, 0);
        (0..self.count).map(move |_| {
            id += take_number(&mut rest);
            id
        })
    }

    /// The lowest id of its instances.
    #[must_use]
    pub fn first_instance(&self) -> Option<u16> {
        self.instances().next()
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.id)?;
        if let Some(version) = self.version {
            write!(f, ";ver={version}")?;
        }
        f.debug_list().entries(self.instances()).finish()
    }
}

impl Objects {
    /// Packs objects with their versions and instances.
    pub(super) fn pack(objects: &BTreeMap<u16, (Option<ObjectVersion>, BTreeSet<u16>)>) -> Self {
        let mut bytes = Vec::new();
        let mut last_object = 0;
        for (object, (version, instances)) in objects {
            put_number(&mut bytes, object - last_object);
            last_object = *object;
            // Far below what two bytes hold: limits::INSTANCES_MAX.
            put_number(&mut bytes, (instances.len() as u16) << 1 | u16::from(version.is_some()));
            bytes.extend(version.iter().flat_map(|version| [version.major, version.minor]));
            let mut last_instance = 0;
            for instance in instances {
                put_number(&mut bytes, instance - last_instance);
                last_instance = *instance;
            }
        }
        Self(bytes.into())
    }

    /// The objects, sorted by id.
    pub fn iter(&self) -> impl Iterator<Item = Object<'_>> {
        let (mut rest, mut id) = (&self.0[..], 0);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            id += take_number(&mut rest);
            let header = take_number(&mut rest);
            let version = (header & 1 == 1).then(|| ObjectVersion { major: take(&mut rest), minor: take(&mut rest) });
            let (count, instances) = (header >> 1, rest);
            for _ in 0..count {
                take_number(&mut rest);
            }
            Some(Object { id, version, count, instances })
        })
    }

    /// Whether it has no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An object, if the client has it.
    #[must_use]
    pub fn object(&self, id: u16) -> Option<Object<'_>> {
        self.iter().find(|object| object.id == id)
    }

    /// The bytes that it takes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.0.len()
    }
}

/// What clients have said that they have, as far as it was met lately. Clients of one model have the same, and most
/// fleets are of few models: it is held once for all of them, and seen to be the same at a glance.
#[derive(Debug, Default)]
pub struct Models(VecDeque<Objects>);

impl Models {
    /// Has objects share with those before that are the same.
    pub fn share(&mut self, objects: &mut Objects) {
        if let Some(known) = self.0.iter().find(|known| *known == objects) {
            *objects = known.clone();
            return;
        }
        if self.0.len() == MODELS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(objects.clone());
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Writes a number in one to three bytes, seven bits in each, the lowest first.
fn put_number(bytes: &mut Vec<u8>, mut number: u16) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(rest: &mut &[u8]) -> u16 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = take(rest);
        number |= u16::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
        shift += 7;
    }
}

fn take(rest: &mut &[u8]) -> u8 {
    let (first, left) = rest.split_first().expect("only whole rows are packed");
    *rest = left;
    *first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_there_again(
            objects in prop::collection::btree_map(
                0..u16::MAX,
                (
                    prop::option::of((any::<u8>(), any::<u8>())),
                    prop::collection::btree_set(0..u16::MAX, 0..20),
                ),
                0..20,
            )
        ) {
            let objects: BTreeMap<_, _> = objects
                .into_iter()
                .map(|(id, (version, instances))| {
                    (id, (version.map(|(major, minor)| ObjectVersion { major, minor }), instances))
                })
                .collect();
            let packed = Objects::pack(&objects);
            let again: BTreeMap<_, _> =
                packed.iter().map(|object| (object.id, (object.version, object.instances().collect()))).collect();
            prop_assert_eq!(again, objects);
        }
    }

    #[test]
    fn clients_of_one_model_share_what_they_have() {
        let objects = |id| Objects::pack(&BTreeMap::from([(id, (None, BTreeSet::from([0])))]));
        let mut models = Models::default();
        let mut shared = |id| {
            let mut shared = objects(id);
            models.share(&mut shared);
            assert_eq!(shared, objects(id));
            shared
        };
        let is_one = |one: &Objects, other: &Objects| Arc::ptr_eq(&one.0, &other.0);
        let first = shared(3);
        assert!(is_one(&first, &shared(3)) && !is_one(&first, &shared(4)));
        // Whoever names others without end fills no memory, and those before do without each other.
        (100..100 + MODELS_KEPT as u16).for_each(|id| drop(shared(id)));
        assert!(!is_one(&first, &shared(3)));
        assert_eq!(models.0.len(), MODELS_KEPT);
    }

    #[test]
    fn an_object_is_found_by_its_id() {
        let version = ObjectVersion { major: 1, minor: 1 };
        let objects =
            BTreeMap::from([(3, (None, BTreeSet::from([0]))), (3303, (Some(version), BTreeSet::from([0, 7])))]);
        let packed = Objects::pack(&objects);
        let found = packed.object(3303).expect("it was packed");
        assert_eq!((found.version, found.instances().collect()), (Some(version), vec![0, 7]));
        assert!(packed.object(4).is_none());
    }
}
