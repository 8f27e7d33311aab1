//! The objects that a client names in the payload of Register and Update (LwM2M 1.1 core, 6.2.1;
//! transport, 6.4.3).

use std::collections::{BTreeMap, BTreeSet};

use super::{ObjectVersion, Objects, RegistrationError};
use crate::{ContentFormat, ContentFormats, Link, Path, Request, limits, objects};

/// What the payload of Register and Update says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) objects: Objects,
    /// The alternate path, empty for the top; none if the links do not name the root.
    pub(super) root: Option<String>,
    /// None if the links do not name formats.
    pub(super) formats: Option<ContentFormats>,
}

/// Objects and instances as they are named, one after another.
#[derive(Default)]
pub(super) struct Named {
    pub(super) objects: BTreeMap<u16, (Option<ObjectVersion>, BTreeSet<u16>)>,
    instances: usize,
}

impl Named {
    pub(super) fn add(&mut self, path: &Path, version: Option<ObjectVersion>) {
        let Some(object) = path.object() else { return };
        // No server sees these, whatever a client says (LwM2M 1.1 core, 6.2.1).
        if matches!(object, objects::SECURITY | objects::OSCORE) {
            return;
        }
        let (known, instances) = self.objects.entry(object).or_default();
        *known = version.or(*known);
        if path.instance().is_some_and(|instance| instances.insert(instance)) {
            self.instances += 1;
        }
    }
}

impl Described {
    pub(super) fn read(request: &Request) -> Result<Self, RegistrationError> {
        // A payload without a format can be nothing else.
        if request.content_format.is_some_and(|format| format != ContentFormat::LINK_FORMAT)
            && !request.payload.is_empty()
        {
            return Err(RegistrationError::Format);
        }
        let links = Link::read_all(&request.payload)?;
        let top = links.iter().find(|link| link.attribute("rt") == Some("oma.lwm2m"));
        let top = top.or_else(|| links.iter().find(|link| link.target == "/"));
        let root = top.map(|top| top.target.trim_end_matches('/').to_owned());
        if root.as_ref().is_some_and(|root| root.len() > limits::ROOT_BYTES_MAX) {
            return Err(RegistrationError::Root);
        }
        let prefix = root.as_deref().unwrap_or_default();
        let mut named = Named::default();
        for link in &links {
            // What is not an object or an instance under the root is no business of LwM2M.
            let path = link.target.strip_prefix(prefix).and_then(|target| target.parse::<Path>().ok());
            let Some(path) = path.filter(|path| path.depth() <= 2) else { continue };
            named.add(&path, link.attribute("ver").and_then(|version| version.parse().ok()));
            if named.instances > limits::INSTANCES_MAX {
                return Err(RegistrationError::Instances);
            }
        }
        let formats = top.and_then(|top| top.attribute("ct")).map(ContentFormats::from_ct);
        Ok(Self { objects: Objects::pack(&named.objects), root, formats })
    }
}
