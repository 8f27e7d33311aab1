//! What is kept of a registered client, and how an update changes it.

use std::time::Duration;

use super::described::{Described, Named};
use super::parameters::Parameters;
use super::{Binding, Models, Objects, RegistrationError, Update};
use crate::{ContentFormats, Link, Path, Version, limits};

/// What is kept of a registered client. In few bytes: there are many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    objects: Objects,
    /// What few clients have.
    rare: Option<Box<Rare>>,
    lifetime_seconds: u32,
    version: Version,
    binding: Binding,
    formats: ContentFormats,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Rare {
    /// The alternate path, as `/lwm2m`; empty if there is none.
    root: String,
    /// The number for SMS; empty if there is none.
    sms: String,
}

impl Registration {
    /// What a client says of itself: for those that are clients.
    #[must_use]
    pub fn new(
        version: Version,
        lifetime: Duration,
        binding: Binding,
        formats: ContentFormats,
        instances: impl IntoIterator<Item = Path>,
    ) -> Self {
        let mut named = Named::default();
        instances.into_iter().for_each(|path| named.add(&path, None));
        let objects = Objects::pack(&named.objects);
        Self { objects, rare: None, lifetime_seconds: seconds(lifetime), version, binding, formats }
    }

    /// What a client has just said of itself.
    pub(super) fn of(
        version: Version,
        parameters: &Parameters<'_>,
        described: Described,
    ) -> Result<Self, RegistrationError> {
        let binding = parameters.binding()?.unwrap_or_default();
        let root = described.root.unwrap_or_default();
        Ok(Self {
            objects: described.objects,
            rare: Rare { root, sms: parameters.sms()?.unwrap_or_default() }.boxed(),
            lifetime_seconds: seconds(parameters.lifetime()?.unwrap_or(limits::LIFETIME_DEFAULT)),
            version,
            binding: if parameters.is_queue_mode { binding.with_queue_mode() } else { binding },
            formats: described.formats.unwrap_or_default(),
        })
    }

    /// The version of LwM2M that the client speaks.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// How long the registration lasts without an update.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime_seconds as u64)
    }

    /// Over what the client can be reached, and whether it sleeps.
    #[must_use]
    pub const fn binding(&self) -> Binding {
        self.binding
    }

    /// The formats that the client offers; none if it did not say.
    #[must_use]
    pub const fn formats(&self) -> ContentFormats {
        self.formats
    }

    /// The objects and object instances that the client has.
    #[must_use]
    pub const fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The alternate path under which the client's objects are, as `/lwm2m`; empty mostly.
    #[must_use]
    pub fn root(&self) -> &str {
        self.rare.as_ref().map_or("", |rare| &rare.root)
    }

    /// The number at which the client takes SMS.
    #[must_use]
    pub fn sms(&self) -> Option<&str> {
        self.rare.as_ref().map(|rare| rare.sms.as_str()).filter(|sms| !sms.is_empty())
    }

    /// Has it share what it can with the clients that were met before.
    pub fn share(&mut self, models: &mut Models) {
        models.share(&mut self.objects);
    }

    /// Whether every operation is put to both clients in the same way.
    #[must_use]
    pub fn is_asked_like(&self, other: &Self) -> bool {
        let Self { objects, version, formats, rare: _, lifetime_seconds: _, binding: _ } = self;
        (version, formats) == (&other.version, &other.formats)
            && objects == &other.objects
            && self.root() == other.root()
    }

    /// The bytes that it takes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let rare = self.rare.as_ref().map_or(0, |rare| size_of::<Rare>() + rare.root.capacity() + rare.sms.capacity());
        self.objects.heap_bytes() + rare
    }

    /// Carries out an update: what it does not name stays as it is.
    pub fn apply(&mut self, update: Update) {
        if let Some(lifetime) = update.lifetime {
            self.lifetime_seconds = seconds(lifetime);
        }
        if let Some(binding) = update.binding {
            // From 1.1 on the binding says nothing of queue mode, which then stays (1.1 core, 6.2.2).
            let is_sleeper = self.version > Version::V1_0 && self.binding.is_queue_mode();
            self.binding = if is_sleeper { binding.with_queue_mode() } else { binding };
        }
        if let Some(sms) = update.sms {
            let root = self.root().to_owned();
            self.rare = Rare { root, sms }.boxed();
        }
        if let Some(described) = update.described {
            self.objects = described.objects;
            self.formats = described.formats.unwrap_or(self.formats);
            if let Some(root) = described.root {
                let sms = self.sms().unwrap_or_default().to_owned();
                self.rare = Rare { root, sms }.boxed();
            }
        }
    }

    /// The objects and object instances as links, as they are registered.
    #[must_use]
    pub fn to_links(&self) -> String {
        Link::write_all(&self.links())
    }

    /// The links that a client registers.
    pub(super) fn links(&self) -> Vec<Link> {
        let root = self.root();
        let mut top = Link::new(if root.is_empty() { "/" } else { root }).with("rt", "oma.lwm2m");
        if !self.formats.is_empty() {
            let formats: Vec<String> = self.formats.iter().map(|format| format.number().to_string()).collect();
            top = top.with("ct", formats.join(" "));
        }
        let mut links = vec![top];
        for object in self.objects.iter() {
            let path = Path::of_object(object.id);
            let mut instances = object.instances().peekable();
            if object.version.is_some() || instances.peek().is_none() {
                let link = Link::new(format_args!("{root}{path}"));
                links.push(object.version.into_iter().fold(link, |link, version| link.with("ver", version)));
            }
            links.extend(
                instances.map(|instance| Link::new(format_args!("{root}{}", Path::of_instance(object.id, instance)))),
            );
        }
        links
    }
}

impl Rare {
    fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

fn seconds(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.min(limits::LIFETIME_MAX).as_secs()).expect("the longest lifetime is 32 bits of seconds")
}
