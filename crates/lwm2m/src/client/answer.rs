//! What a device answers to what a server asks (LwM2M 1.1 transport, 6.4.4 and 6.4.5).

use super::tree::Tree;
use super::{Settings, firmware, settings};
use crate::codec::{self, Record};
use crate::operation::WriteMode;
use crate::{AttributeChanges, Code, ContentFormat, Link, Method, Observe, Path, Request, Response};

/// What an answer brings about beside itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// A server has written these.
    Written(Vec<Record>),
    /// A server has executed this.
    Executed { path: Path, arguments: String },
    /// Object instances have come or gone.
    InstancesChanged,
    /// A server wants to be told of changes.
    Observed(Observed),
    /// A server does not any more.
    Cancelled(Vec<Path>),
}

/// What a server observes, and in which format it is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Observed {
    pub(super) paths: Vec<Path>,
    pub(super) format: ContentFormat,
    pub(super) is_composite: bool,
}

type Answered = Result<(Response, Option<Effect>), Code>;

/// The answer to a request, and what it brings about.
pub(super) fn answer(tree: &mut Tree, settings: &Settings, request: &Request) -> (Response, Option<Effect>) {
    match answered(tree, settings, request) {
        Ok(answered) => answered,
        Err(code) => (Response::new(code), None),
    }
}

fn answered(tree: &mut Tree, settings: &Settings, request: &Request) -> Answered {
    let path = Path::from_segments(&request.path).map_err(|_| Code::NOT_FOUND)?;
    match request.method {
        Method::Get if request.accept == Some(ContentFormat::LINK_FORMAT) => {
            let links = Link::write_all(&tree.discover(&path)?);
            Ok((Response::content(ContentFormat::LINK_FORMAT, links.into_bytes()), None))
        }
        Method::Get if path == Path::ROOT => Err(Code::METHOD_NOT_ALLOWED),
        Method::Get => read(tree, settings, request, &[path], false),
        Method::Fetch if path == Path::ROOT => {
            let format = content_format(settings, request)?;
            let paths = codec::decode_paths(format, &request.payload).map_err(|error| error.code())?;
            read(tree, settings, request, &paths, true)
        }
        Method::IPatch if path == Path::ROOT => write(tree, settings, request, &path, WriteMode::Update),
        Method::Put if request.content_format.is_none() && !request.query.is_empty() => {
            let changes = AttributeChanges::from_query(&request.query).map_err(|_| Code::BAD_REQUEST)?;
            changes.check(&path, settings.version).map_err(|_| Code::BAD_REQUEST)?;
            tree.write_attributes(&path, &changes)?;
            Ok((Response::new(Code::CHANGED), None))
        }
        Method::Put => write(tree, settings, request, &path, WriteMode::Replace),
        Method::Post => post(tree, settings, request, &path),
        Method::Delete => {
            tree.delete(&path)?;
            Ok((Response::new(Code::DELETED), Some(Effect::InstancesChanged)))
        }
        Method::Fetch | Method::IPatch => Err(Code::METHOD_NOT_ALLOWED),
    }
}

/// Create, partial write or execute, by what the path is.
fn post(tree: &mut Tree, device: &Settings, request: &Request, path: &Path) -> Answered {
    match path.depth() {
        1 => {
            let records = records(device, request, path)?;
            let instance = tree.create(path, &records)?;
            let location = instance.parts().iter().map(u16::to_string).collect();
            Ok((Response::created(location), Some(Effect::InstancesChanged)))
        }
        3 if tree.executable(path).is_ok() => {
            if *path == settings::FIRMWARE_UPDATE {
                firmware::may_install(tree)?;
            }
            let arguments = std::str::from_utf8(&request.payload).map_err(|_| Code::BAD_REQUEST)?.to_owned();
            Ok((Response::new(Code::CHANGED), Some(Effect::Executed { path: *path, arguments })))
        }
        // An execute of what cannot be executed comes without anything to write.
        3 if request.content_format.is_none() => Err(tree.executable(path).err().unwrap_or(Code::BAD_REQUEST)),
        2 | 3 => write(tree, device, request, path, WriteMode::Update),
        _ => Err(Code::METHOD_NOT_ALLOWED),
    }
}

fn write(tree: &mut Tree, settings: &Settings, request: &Request, path: &Path, mode: WriteMode) -> Answered {
    let records = records(settings, request, path)?;
    let written = tree.write(path, mode, &records)?;
    Ok((Response::new(Code::CHANGED), Some(Effect::Written(written))))
}

fn records(settings: &Settings, request: &Request, path: &Path) -> Result<Vec<Record>, Code> {
    if request.payload.is_empty() && request.content_format.is_none() {
        return Ok(Vec::new());
    }
    let format = content_format(settings, request)?;
    codec::decode(format, path, &request.payload).map_err(|error| error.code())
}

fn content_format(settings: &Settings, request: &Request) -> Result<ContentFormat, Code> {
    let format = request.content_format.ok_or(Code::BAD_REQUEST)?;
    if settings.understands(format) { Ok(format) } else { Err(Code::UNSUPPORTED_CONTENT_FORMAT) }
}

fn read(tree: &Tree, settings: &Settings, request: &Request, paths: &[Path], is_composite: bool) -> Answered {
    let format = request.accept.unwrap_or(settings.preferred);
    if !settings.understands(format) {
        return Err(Code::NOT_ACCEPTABLE);
    }
    let observed = Observed { paths: paths.to_vec(), format, is_composite };
    let response = observed.response(tree)?;
    Ok(match request.observe {
        None => (response, None),
        Some(Observe::Register) => (response, Some(Effect::Observed(observed))),
        Some(Observe::Cancel) => (response, Some(Effect::Cancelled(paths.to_vec()))),
    })
}

impl Observed {
    /// The values as they are now. Of a composite read, what cannot be read is left out (LwM2M 1.1
    /// core, 6.3.8).
    pub(super) fn records(&self, tree: &Tree) -> Result<Vec<Record>, Code> {
        if !self.is_composite {
            return self.paths.first().map_or(Err(Code::BAD_REQUEST), |path| tree.read(path));
        }
        let mut records: Vec<Record> = self.paths.iter().flat_map(|path| tree.read(path).unwrap_or_default()).collect();
        records.sort_by_key(|record| record.path);
        records.dedup_by_key(|record| record.path);
        Ok(records)
    }

    /// The values as they are now, in the format they are wanted in.
    pub(super) fn response(&self, tree: &Tree) -> Result<Response, Code> {
        let base = match &self.paths[..] {
            [path] if !self.is_composite => *path,
            _ => Path::ROOT,
        };
        let records = self.records(tree)?;
        let payload = codec::encode(self.format, &base, &records).map_err(|_| Code::NOT_ACCEPTABLE)?;
        Ok(Response::content(self.format, payload))
    }
}

#[cfg(test)]
mod tests {
    use bugle_core::PeripheralId;

    use super::*;
    use crate::operation::{Answer, DeviceOperation};
    use crate::registration::Registration;
    use crate::{ContentFormats, Value, Version};

    /// A server and a device, in every combination of what they speak and prefer.
    fn worlds() -> Vec<(Settings, Registration)> {
        let mut worlds = Vec::new();
        for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
            for (offered, preferred) in [("11542", 11542), ("110", 110), ("112 110", 112), ("112 11544", 11544)] {
                let mut settings = Settings::new(PeripheralId::new("x").expect("a name"));
                settings.version = version;
                settings.formats = ContentFormats::from_ct(offered);
                settings.preferred = ContentFormat::new(preferred);
                let mut registration = settings.registration(version, &settings.tree());
                worlds.push((settings.clone(), registration.clone()));
                // A device that does not say what it offers.
                registration = Registration::new(
                    version,
                    registration.lifetime(),
                    registration.binding(),
                    ContentFormats::NONE,
                    settings.tree().instances(),
                );
                worlds.push((settings, registration));
            }
        }
        worlds
    }

    /// Puts an operation to the device, in as many formats as it takes.
    fn put(tree: &mut Tree, world: &(Settings, Registration), operation: &DeviceOperation) -> Answer {
        let (settings, registration) = world;
        let mut request = operation.to_request(registration).expect("an operation for this client");
        loop {
            let (response, _) = answer(tree, settings, &request);
            match operation.retry(registration, &request, response.code) {
                Some(next) => request = next,
                None => return operation.understand(&response).expect("an answer to this operation"),
            }
        }
    }

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    #[test]
    fn every_server_and_every_device_understand_each_other() {
        for world in worlds() {
            let mut tree = world.0.tree();
            // 1.0 has no other format for several values than TLV.
            if world.0.version == Version::V1_0 && !world.0.formats.contains(ContentFormat::TLV) {
                continue;
            }
            let dimmer = Record::new(path("/3311/0/5851"), Value::Integer(40));
            let on = Record::new(path("/3311/0/5850"), Value::Boolean(true));
            for (at, mode, records) in [
                ("/3311/0/5851", WriteMode::Replace, vec![dimmer.clone()]),
                ("/3311/0", WriteMode::Update, vec![on.clone(), dimmer.clone()]),
            ] {
                let write = DeviceOperation::Write { path: path(at), mode, records };
                assert_eq!(put(&mut tree, &world, &write), Answer::Done, "{world:?}");
            }
            let read = |at: &str| DeviceOperation::Read { path: path(at) };
            assert_eq!(put(&mut tree, &world, &read("/3311/0/5851")), Answer::Values(vec![dimmer.clone()]));
            let Answer::Values(records) = put(&mut tree, &world, &read("/3311")) else { panic!("no values") };
            assert_eq!((records[0].clone(), records[1].clone()), (tree_record(&tree, "/3311/0/5750"), on));
            let Answer::Values(records) = put(&mut tree, &world, &read("/3/0")) else { panic!("no values") };
            assert_eq!(Ok(records), tree.read(&path("/3/0")));
        }
    }

    fn tree_record(tree: &Tree, at: &str) -> Record {
        Record::new(path(at), tree.value(&path(at)).expect("it is there").clone())
    }

    #[test]
    fn composites_and_instances_from_1_1_on() {
        for world in worlds().into_iter().filter(|(settings, _)| settings.version > Version::V1_0) {
            let offers_senml = world.0.formats.contains(ContentFormat::SENML_CBOR)
                || world.0.formats.contains(ContentFormat::SENML_JSON);
            if !offers_senml {
                continue;
            }
            let mut tree = world.0.tree();
            let records = vec![
                Record::new(path("/3311/0/5851"), Value::Integer(9)),
                Record::new(path("/3/0/14"), Value::String("+01:00".into())),
            ];
            let write = DeviceOperation::WriteComposite { records };
            assert_eq!(put(&mut tree, &world, &write), Answer::Done);
            let read =
                DeviceOperation::ReadComposite { paths: vec![path("/3311/0/5851"), path("/3/0/14"), path("/77")] };
            let Answer::Values(records) = put(&mut tree, &world, &read) else { panic!("no values") };
            assert_eq!(records, [tree_record(&tree, "/3/0/14"), tree_record(&tree, "/3311/0/5851")]);
            let create = DeviceOperation::Create {
                path: path("/3311/4"),
                records: vec![Record::new(path("/3311/4/5850"), Value::Boolean(true))],
            };
            assert_eq!(put(&mut tree, &world, &create), Answer::Created { instance: Some(4) });
            let delete = DeviceOperation::Delete { path: path("/3311/4") };
            assert_eq!(put(&mut tree, &world, &delete), Answer::Done);
        }
    }

    #[test]
    fn discover_attributes_and_execute() {
        let world = worlds().remove(0);
        let mut tree = world.0.tree();
        let changes = AttributeChanges::from_query(&["pmin=5"]).expect("attributes");
        let write = DeviceOperation::WriteAttributes { path: path("/3303/0/5700"), changes };
        assert_eq!(put(&mut tree, &world, &write), Answer::Done);
        let discover = DeviceOperation::Discover { path: path("/3303") };
        let Answer::Links(links) = put(&mut tree, &world, &discover) else { panic!("no links") };
        assert_eq!(Link::write_all(&links), "</3303>,</3303/0>,</3303/0/5700>;pmin=5,</3303/0/5701>");
        let execute = |at: &str| DeviceOperation::Execute { path: path(at), arguments: String::new() };
        assert_eq!(put(&mut tree, &world, &execute("/3/0/4")), Answer::Done);
        let refused = put(&mut tree, &world, &execute("/3/0/9"));
        assert!(matches!(refused, Answer::Refused { code: Code::METHOD_NOT_ALLOWED, .. }));
        let refused = put(&mut tree, &world, &execute("/3/0/77"));
        assert!(matches!(refused, Answer::Refused { code: Code::NOT_FOUND, .. }));
    }

    #[test]
    fn what_a_device_does_not_understand_it_refuses() {
        let (settings, _) = worlds().remove(0);
        let mut tree = settings.tree();
        let mut code = |request: &Request| answer(&mut tree, &settings, request).0.code;
        let request = |method, at: &str| crate::testing::request(method, at, "", "");
        assert_eq!(code(&request(Method::Get, "/rd")), Code::NOT_FOUND);
        assert_eq!(code(&request(Method::Get, "/")), Code::METHOD_NOT_ALLOWED);
        assert_eq!(code(&request(Method::IPatch, "/3")), Code::METHOD_NOT_ALLOWED);
        assert_eq!(code(&request(Method::Fetch, "/3")), Code::METHOD_NOT_ALLOWED);
        let cbor = request(Method::Put, "/3311/0/5851").with_payload(ContentFormat::CBOR, vec![0x18, 0x28]);
        assert_eq!(code(&cbor), Code::UNSUPPORTED_CONTENT_FORMAT);
        let text = request(Method::Put, "/3311/0/5851").with_payload(ContentFormat::TEXT, b"half".to_vec());
        assert_eq!(code(&text), Code::BAD_REQUEST);
        let accept = Request { accept: Some(ContentFormat::TEXT), ..request(Method::Get, "/3/0") };
        assert_eq!(code(&accept), Code::NOT_ACCEPTABLE);
    }
}
