//! The few resources of a simulated peripheral: those of LwM2M's device object that make sense for
//! it, and whatever is written to it.

use std::collections::BTreeMap;

use bugle_core::{Content, Operation, PeripheralId, ResourcePath};

/// Resources that a peripheral lets be written.
const WRITTEN_MAX: usize = 64;

/// What has been written, and how often it was restarted.
#[derive(Debug, Default)]
pub(super) struct Resources {
    written: BTreeMap<ResourcePath, Content>,
    restarts: u32,
}

impl Resources {
    /// Does what `operation` says.
    ///
    /// # Errors
    /// The reason, where it cannot.
    pub(super) fn carry_out(&mut self, peripheral: &PeripheralId, operation: Operation) -> Result<Content, String> {
        match operation {
            Operation::Read { path } => self.read(peripheral, path),
            Operation::Write { path, content } => self.write(path, content),
            Operation::Execute { path, .. } if path.parts() == [3, 0, 4] => {
                self.restarts += 1;
                Ok(Content::default())
            }
            Operation::Execute { path, .. } => Err(format!("{path} cannot be executed")),
            Operation::Message { .. } => Ok(Content::default()),
        }
    }

    fn read(&self, peripheral: &PeripheralId, path: ResourcePath) -> Result<Content, String> {
        if let Some(content) = self.written.get(&path) {
            return Ok(content.clone());
        }
        match path.parts() {
            [3, 0, 0] => Ok(Content::text("Bugle")),
            [3, 0, 1] => Ok(Content::text("simulated peripheral")),
            [3, 0, 2] => Ok(Content::text(peripheral.as_str())),
            [3, 0, 3] => Ok(Content::text(env!("CARGO_PKG_VERSION"))),
            [3, 0, 9] => Ok(Content::text("100")),
            _ => Err(format!("{path} does not exist")),
        }
    }

    fn write(&mut self, path: ResourcePath, content: Content) -> Result<Content, String> {
        if matches!(path.parts(), [3, 0, 0..=4 | 9]) {
            return Err(format!("{path} cannot be written"));
        }
        if self.written.len() == WRITTEN_MAX && !self.written.contains_key(&path) {
            return Err(format!("there is no room for {path}"));
        }
        self.written.insert(path, content);
        Ok(Content::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carry_out(resources: &mut Resources, operation: &str) -> Result<Content, String> {
        let operation = serde_json::from_str(operation).expect("an operation");
        resources.carry_out(&PeripheralId::new("m1").expect("a peripheral id"), operation)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut resources = Resources::default();
        let write = r#"{"do":"write","path":"/3311/0/5850","content":{"content_type":"text/plain","text":"1"}}"#;
        assert_eq!(carry_out(&mut resources, write), Ok(Content::default()));
        assert_eq!(carry_out(&mut resources, r#"{"do":"read","path":"/3311/0/5850"}"#), Ok(Content::text("1")));
    }

    #[test]
    fn it_says_who_it_is() {
        let mut resources = Resources::default();
        assert_eq!(carry_out(&mut resources, r#"{"do":"read","path":"/3/0/2"}"#), Ok(Content::text("m1")));
    }

    #[test]
    fn what_it_cannot_do_it_refuses_with_a_reason() {
        let mut resources = Resources::default();
        for (operation, reason) in [
            (r#"{"do":"read","path":"/9/9"}"#, "/9/9 does not exist"),
            (r#"{"do":"execute","path":"/9/9/9"}"#, "/9/9/9 cannot be executed"),
            (r#"{"do":"write","path":"/3/0/0","content":{}}"#, "/3/0/0 cannot be written"),
        ] {
            assert_eq!(carry_out(&mut resources, operation), Err(reason.to_owned()));
        }
    }

    #[test]
    fn what_can_be_written_is_bounded() {
        let mut resources = Resources::default();
        let mut write = |instance: usize| {
            carry_out(&mut resources, &format!(r#"{{"do":"write","path":"/3311/{instance}/5850","content":{{}}}}"#))
        };
        assert!((0..WRITTEN_MAX).all(|instance| write(instance).is_ok()));
        assert!(write(WRITTEN_MAX).is_err());
        assert!(write(0).is_ok());
    }
}
