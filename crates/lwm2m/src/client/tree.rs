//! The objects of a device: what there is, what may be done to it, and the values.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::codec::Record;
use crate::objects::{self, Access, Definition, Instances};
use crate::operation::WriteMode;
use crate::{AttributeChanges, Attributes, Code, DataType, Link, Path, Value, limits};

/// What a device has. A refusal is the code that the server gets.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    /// The object instances and their resources, as a walk meets them. Devices of one model share them until one of
    /// them changes: with a hundred thousand devices it is the looking through their memory that takes time.
    places: Arc<Vec<Path>>,
    /// What is in each of these places.
    held: Vec<Held>,
    attributes: BTreeMap<Path, Attributes>,
    created: usize,
}

/// What is in a place.
#[derive(Debug, Clone)]
enum Held {
    /// It is an object instance, or a resource that has no value.
    Nothing,
    Value(Value),
    /// The instances of a resource that has several, by number.
    Instances(Vec<(u16, Value)>),
}

/// The objects of which a server may create and delete instances.
const CREATABLE: [u16; 3] = [objects::BINARY_APP_DATA_CONTAINER, objects::TEMPERATURE, objects::LIGHT_CONTROL];

impl Tree {
    /// Adds a resource that is there without a value: to be executed, to be written, or without instances yet.
    pub(super) fn add_resource(&mut self, path: Path) {
        self.resource_mut(path);
    }

    /// Sets a value, whatever a server may do there.
    pub(super) fn set(&mut self, path: Path, value: Value) {
        let held = self.resource_mut(path);
        match (path.resource_instance(), &mut *held) {
            (None, _) => *held = Held::Value(value),
            (Some(number), Held::Instances(instances)) => match instance(instances, number) {
                Ok(place) => instances[place].1 = value,
                Err(place) => instances.insert(place, (number, value)),
            },
            (Some(number), _) => *held = Held::Instances(vec![(number, value)]),
        }
    }

    /// A value.
    pub(super) fn value(&self, path: &Path) -> Option<&Value> {
        match (path.resource_instance(), &self.held[self.place(&path.truncated(3)).ok()?]) {
            (None, Held::Value(value)) => Some(value),
            (Some(number), Held::Instances(instances)) => Some(&instances[instance(instances, number).ok()?].1),
            _ => None,
        }
    }

    /// The object instances.
    pub(super) fn instances(&self) -> impl Iterator<Item = Path> + '_ {
        self.places.iter().copied().filter(|path| path.depth() == 2)
    }

    /// Where an object instance or a resource is, or would be.
    fn place(&self, path: &Path) -> Result<usize, usize> {
        self.places.binary_search(path)
    }

    /// What is held by the resource at a path, which is there from now on, as is its object instance.
    fn resource_mut(&mut self, path: Path) -> &mut Held {
        let resource = path.truncated(3);
        if self.place(&resource).is_err() {
            self.held_mut(path.truncated(2));
        }
        self.held_mut(resource)
    }

    /// What is held by an object instance or a resource, which is there from now on.
    fn held_mut(&mut self, path: Path) -> &mut Held {
        let place = self.place(&path).unwrap_or_else(|place| {
            Arc::make_mut(&mut self.places).insert(place, path);
            self.held.insert(place, Held::Nothing);
            place
        });
        &mut self.held[place]
    }

    /// The places of the object instances and resources at a path and below it.
    fn within(&self, path: &Path) -> Range<usize> {
        let (Ok(first) | Err(first)) = self.place(path);
        first..first + self.places[first..].iter().take_while(|place| place.is_within(path)).count()
    }

    /// The values at a path and below it.
    fn values(&self, path: &Path) -> Vec<(Path, &Value)> {
        if path.depth() == 4 {
            return self.value(path).map(|value| (*path, value)).into_iter().collect();
        }
        let mut values = Vec::new();
        for place in self.within(path) {
            let at = self.places[place];
            match &self.held[place] {
                Held::Nothing => {}
                Held::Value(value) => values.push((at, value)),
                Held::Instances(instances) => {
                    values.extend(instances.iter().filter_map(|(number, value)| Some((at.child(*number)?, value))));
                }
            }
        }
        values
    }

    /// Whether there is anything at a path that a server may know of.
    fn find(&self, path: &Path) -> Result<(), Code> {
        if matches!(path.object(), Some(objects::SECURITY | objects::OSCORE)) {
            return Err(Code::UNAUTHORIZED);
        }
        let is_there = match path.depth() {
            0 => true,
            1 => !self.within(path).is_empty(),
            2 | 3 => self.place(path).is_ok(),
            _ => self.value(path).is_some(),
        };
        if is_there { Ok(()) } else { Err(Code::NOT_FOUND) }
    }

    /// The values at a path that a server may read.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<Record>, Code> {
        self.find(path)?;
        if path.depth() >= 3 && !access(path).is_readable() {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let readable = self.values(path).into_iter().filter(|(at, _)| access(at).is_readable());
        Ok(readable.map(|(at, value)| Record::new(at, value.clone())).collect())
    }

    /// Writes all of the values or none.
    pub(super) fn write(&mut self, path: &Path, mode: WriteMode, records: &[Record]) -> Result<Vec<Record>, Code> {
        self.find(path)?;
        if path.depth() < 2 && mode == WriteMode::Replace {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let typed: Vec<Record> = records.iter().map(|record| self.accept(record)).collect::<Result<_, _>>()?;
        if mode == WriteMode::Replace {
            self.clear(path);
        }
        for record in &typed {
            self.set(record.path, record.value.clone());
        }
        Ok(typed)
    }

    /// Takes away the values that a server may write at a path and below it. Resources stay.
    fn clear(&mut self, path: &Path) {
        for place in self.within(&path.truncated(3)) {
            if !access(&self.places[place]).is_writable() {
                continue;
            }
            match (&mut self.held[place], path.resource_instance()) {
                (Held::Instances(instances), None) => instances.clear(),
                (Held::Instances(instances), Some(number)) => instances.retain(|(other, _)| *other != number),
                (held, None) => *held = Held::Nothing,
                (Held::Nothing | Held::Value(_), Some(_)) => {}
            }
        }
    }

    /// A value as it may be written, with the type of its resource.
    fn accept(&self, record: &Record) -> Result<Record, Code> {
        let resource = record.path.truncated(3);
        self.find(&resource)?;
        if !access(&resource).is_writable() {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let instances = definition(&resource).map_or(Instances::Single, |known| known.instances);
        let fits = match instances {
            Instances::Single => record.path.depth() == 3,
            Instances::Multiple => record.path.depth() == 4,
        };
        let value = match DataType::of(&resource) {
            Some(data_type) => record.value.to_type(data_type),
            None => Some(record.value.clone()),
        };
        let value = value.filter(|_| fits).ok_or(Code::BAD_REQUEST)?;
        if value.content_bytes() > limits::WRITTEN_BYTES_MAX {
            return Err(Code::REQUEST_ENTITY_TOO_LARGE);
        }
        Ok(Record::new(record.path, value))
    }

    /// Whether a resource may be executed.
    pub(super) fn executable(&self, path: &Path) -> Result<(), Code> {
        self.find(path)?;
        if access(path) == Access::Execute { Ok(()) } else { Err(Code::METHOD_NOT_ALLOWED) }
    }

    /// Creates an instance with the resources that the first instance of the object has; they are empty but for these
    /// values.
    pub(super) fn create(&mut self, object: &Path, records: &[Record]) -> Result<Path, Code> {
        self.find(object)?;
        let id = object.object().unwrap_or_default();
        if !CREATABLE.contains(&id) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        if self.created == limits::CREATED_INSTANCES_MAX {
            return Err(Code::SERVICE_UNAVAILABLE);
        }
        let instance = match records.first() {
            Some(record) => record.path.truncated(2),
            None => self.free_instance(id).ok_or(Code::BAD_REQUEST)?,
        };
        let is_one = records.iter().all(|record| record.path.is_within(&instance));
        if !is_one || self.place(&instance).is_ok() {
            return Err(Code::BAD_REQUEST);
        }
        let model = self.places[self.within(object)].first().copied().ok_or(Code::NOT_FOUND)?;
        let resources: Vec<Path> =
            self.places[self.within(&model)].iter().copied().filter(|path| path.depth() == 3).collect();
        let mut after = self.clone();
        for resource in resources {
            let number = resource.resource().unwrap_or_default();
            after.add_resource(Path::of_resource(id, instance.instance().unwrap_or_default(), number));
        }
        // What the server gives at creation need not be writable later (LwM2M 1.1 core, 6.3.6).
        for record in records {
            after.find(&record.path.truncated(3))?;
            after.set(record.path, record.value.clone().conformed(&record.path));
        }
        after.created += 1;
        *self = after;
        Ok(instance)
    }

    fn free_instance(&self, object: u16) -> Option<Path> {
        let candidates = (0..=limits::CREATED_INSTANCES_MAX as u16).map(|instance| Path::of_instance(object, instance));
        candidates.into_iter().find(|path| self.place(path).is_err())
    }

    /// Removes an instance.
    pub(super) fn delete(&mut self, path: &Path) -> Result<(), Code> {
        self.find(path)?;
        if path.depth() != 2 || !path.object().is_some_and(|object| CREATABLE.contains(&object)) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let places = self.within(path);
        self.held.drain(places.clone());
        Arc::make_mut(&mut self.places).drain(places);
        self.attributes.retain(|at, _| !at.is_within(path));
        self.created = self.created.saturating_sub(1);
        Ok(())
    }

    /// Changes the attributes at a path.
    pub(super) fn write_attributes(&mut self, path: &Path, changes: &AttributeChanges) -> Result<(), Code> {
        self.find(path)?;
        let attributes = self.attributes.entry(*path).or_default();
        attributes.apply(changes);
        if *attributes == Attributes::default() {
            self.attributes.remove(path);
        }
        Ok(())
    }

    /// The attributes that hold at a path: its own, then those of each level above (LwM2M 1.1 core, 7.3.2).
    pub(super) fn attributes(&self, path: &Path) -> Attributes {
        let levels = (1..=path.depth()).rev().map(|depth| path.truncated(depth));
        levels.fold(Attributes::default(), |held, level| match self.attributes.get(&level) {
            Some(above) => held.or(above),
            None => held,
        })
    }

    /// What there is at a path and below it, with the attributes of each (LwM2M 1.1 core, 6.3.2).
    pub(super) fn discover(&self, path: &Path) -> Result<Vec<Link>, Code> {
        if !(1..=3).contains(&path.depth()) {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        self.find(path)?;
        // An object is no place of its own, and is named as well.
        let below = self.places[self.within(path)].iter().filter(|place| *place != path);
        Ok(std::iter::once(path).chain(below).map(|place| self.link(place, path)).collect())
    }

    fn link(&self, place: &Path, asked: &Path) -> Link {
        let mut link = Link::new(place);
        if definition(place).is_some_and(|known| known.instances == Instances::Multiple) {
            link = link.with("dim", self.values(place).len());
        }
        // Asked for one resource, those that it takes over are told too; else only its own.
        let attributes = match asked.depth() {
            3 => self.attributes(place),
            _ => self.attributes.get(place).copied().unwrap_or_default(),
        };
        attributes.describe(link)
    }
}

/// Where an instance of a resource is, or would be.
fn instance(instances: &[(u16, Value)], number: u16) -> Result<usize, usize> {
    instances.binary_search_by_key(&number, |(other, _)| *other)
}

fn definition(path: &Path) -> Option<&'static Definition> {
    objects::definition(path.object()?, path.resource()?)
}

/// What is not known may be read and written.
fn access(path: &Path) -> Access {
    definition(path).map_or(Access::ReadWrite, |known| known.access)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn record(at: &str, value: Value) -> Record {
        Record::new(path(at), value)
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.set(path("/0/0/0"), Value::String("coap://gateway".into()));
        tree.set(path("/3/0/0"), Value::String("Bugle".into()));
        tree.set(path("/3/0/6/0"), Value::Integer(1));
        tree.set(path("/3/0/6/1"), Value::Integer(5));
        tree.add_resource(path("/3/0/4"));
        tree.set(path("/3/0/14"), Value::String("+00:00".into()));
        tree.add_resource(path("/5/0/0"));
        tree.add_resource(path("/19/0/0"));
        tree.set(path("/3311/0/5850"), Value::Boolean(false));
        tree.set(path("/3311/0/5851"), Value::Integer(0));
        tree
    }

    #[test]
    fn a_server_reads_what_is_readable() {
        let tree = tree();
        assert_eq!(tree.read(&path("/3/0")).map(|records| records.len()), Ok(4));
        assert_eq!(tree.read(&path("/3/0/6")).map(|records| records.len()), Ok(2));
        assert_eq!(tree.read(&path("/19/0/0")), Ok(Vec::new()));
        assert_eq!(tree.read(&path("/3/0/4")), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(tree.read(&path("/5/0/0")), Err(Code::METHOD_NOT_ALLOWED));
        for nothing in ["/4", "/3/1", "/3/0/9", "/3/0/6/7"] {
            assert_eq!(tree.read(&path(nothing)), Err(Code::NOT_FOUND), "{nothing}");
        }
        assert_eq!(tree.read(&path("/0/0")), Err(Code::UNAUTHORIZED));
        assert!(tree.read(&Path::ROOT).is_ok_and(|all| all.iter().all(|record| record.path.object() != Some(0))));
    }

    #[test]
    fn a_write_is_done_whole_or_not_at_all() {
        let mut tree = tree();
        let light = path("/3311/0");
        let half = [record("/3311/0/5850", Value::Boolean(true)), record("/3311/0/5851", Value::String("x".into()))];
        assert_eq!(tree.write(&light, WriteMode::Update, &half), Err(Code::BAD_REQUEST));
        assert_eq!(tree.value(&path("/3311/0/5850")), Some(&Value::Boolean(false)));
        let float = [record("/3311/0/5851", Value::Float(40.0))];
        let written = tree.write(&light, WriteMode::Update, &float);
        assert_eq!(written, Ok(vec![record("/3311/0/5851", Value::Integer(40))]));
    }

    #[test]
    fn replacing_takes_away_what_is_not_named() {
        let mut tree = tree();
        let data =
            |number: u16, byte| Record::new(Path::of_resource_instance(19, 0, 0, number), Value::Opaque(vec![byte]));
        tree.write(&path("/19/0/0"), WriteMode::Replace, &[data(0, 1), data(1, 2)]).expect("a write");
        tree.write(&path("/19/0/0"), WriteMode::Update, &[data(2, 3)]).expect("a write");
        assert_eq!(tree.read(&path("/19/0/0")).map(|records| records.len()), Ok(3));
        tree.write(&path("/19/0/0"), WriteMode::Replace, &[data(0, 9)]).expect("a write");
        assert_eq!(tree.read(&path("/19/0/0")), Ok(vec![data(0, 9)]));
        tree.write(&path("/3/0"), WriteMode::Replace, &[]).expect("a write");
        assert_eq!(tree.value(&path("/3/0/14")), None);
        assert!(tree.value(&path("/3/0/0")).is_some(), "it is not the server's to take away");
    }

    #[test]
    fn what_may_not_be_written_is_refused() {
        let mut tree = tree();
        let mut write = |at: &str, value| tree.write(&path(at).truncated(3), WriteMode::Replace, &[record(at, value)]);
        assert_eq!(write("/3/0/0", Value::String("x".into())), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(write("/3/0/9", Value::Integer(1)), Err(Code::NOT_FOUND));
        assert_eq!(write("/3311/0/5850/0", Value::Boolean(true)), Err(Code::BAD_REQUEST));
        assert_eq!(write("/19/0/0", Value::Opaque(vec![1])), Err(Code::BAD_REQUEST));
        let large = Value::Opaque(vec![0; limits::WRITTEN_BYTES_MAX + 1]);
        assert_eq!(write("/5/0/0", large), Err(Code::REQUEST_ENTITY_TOO_LARGE));
        assert_eq!(tree.executable(&path("/3/0/4")), Ok(()));
        assert_eq!(tree.executable(&path("/3/0/0")), Err(Code::METHOD_NOT_ALLOWED));
    }

    #[test]
    fn instances_come_and_go_and_stop_at_the_limit() {
        let mut tree = tree();
        let on = [record("/3311/7/5850", Value::Boolean(true))];
        assert_eq!(tree.create(&path("/3311"), &on), Ok(path("/3311/7")));
        assert_eq!(tree.create(&path("/3311"), &on), Err(Code::BAD_REQUEST));
        assert_eq!(tree.create(&path("/3"), &[]), Err(Code::METHOD_NOT_ALLOWED));
        assert_eq!(tree.create(&path("/3311"), &[record("/3311/8/1", Value::Integer(1))]), Err(Code::NOT_FOUND));
        for _ in 1..limits::CREATED_INSTANCES_MAX {
            tree.create(&path("/3311"), &[]).expect("there is room");
        }
        assert_eq!(tree.create(&path("/3311"), &[]), Err(Code::SERVICE_UNAVAILABLE));
        assert_eq!(tree.delete(&path("/3311/7")), Ok(()));
        assert_eq!(tree.read(&path("/3311/7")), Err(Code::NOT_FOUND));
        assert_eq!(tree.delete(&path("/3/0")), Err(Code::METHOD_NOT_ALLOWED));
    }

    #[test]
    fn discover_names_what_there_is_with_its_attributes() {
        let mut tree = tree();
        let changes = |query: &[&str]| AttributeChanges::from_query(query).expect("attributes");
        tree.write_attributes(&path("/3311/0"), &changes(&["pmin=10", "pmax=60"])).expect("it is there");
        tree.write_attributes(&path("/3311/0/5851"), &changes(&["pmax=30"])).expect("it is there");
        let discovered = |tree: &Tree, at: &str| tree.discover(&path(at)).map(|links| Link::write_all(&links));
        assert_eq!(
            discovered(&tree, "/3311").as_deref(),
            Ok("</3311>,</3311/0>;pmin=10;pmax=60,</3311/0/5850>,</3311/0/5851>;pmax=30")
        );
        assert_eq!(discovered(&tree, "/3311/0/5851").as_deref(), Ok("</3311/0/5851>;pmin=10;pmax=30"));
        assert_eq!(discovered(&tree, "/3/0/6").as_deref(), Ok("</3/0/6>;dim=2"));
        assert_eq!(discovered(&tree, "/3/0/6/0"), Err(Code::METHOD_NOT_ALLOWED));
        tree.write_attributes(&path("/3311/0"), &changes(&["pmin", "pmax"])).expect("it is there");
        assert_eq!(discovered(&tree, "/3311/0/5851").as_deref(), Ok("</3311/0/5851>;pmax=30"));
        assert_eq!(tree.write_attributes(&path("/4"), &changes(&["pmin=1"])), Err(Code::NOT_FOUND));
    }
}
