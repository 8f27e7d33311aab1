//! Server-sent events, as the HTML standard (9.2.6) has them; only `id` and `data` matter here, and ids are numbers.

use bytes::{Buf, BytesMut};

/// Bytes that hold no whole event yet; more than the largest event has.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Takes bytes as they come and gives out the data of whole events.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    bytes: BytesMut,
    /// Of these bytes, so many hold no end of a line.
    searched: usize,
    event: ServerSentEvent,
}

/// One with an id and no data only says how far the stream is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ServerSentEvent {
    pub(crate) id: Option<u64>,
    pub(crate) data: Vec<u8>,
}

/// An event has no end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Parser {
    pub(crate) fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() + self.event.data.len() > EVENT_BYTES_MAX { Err(TooLong) } else { Ok(()) }
    }

    /// The next whole event.
    pub(crate) fn poll_event(&mut self) -> Option<ServerSentEvent> {
        while let Some(end) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') {
            let line = self.bytes.split_to(self.searched + end);
            self.bytes.advance(1);
            self.searched = 0;
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if line.is_empty() {
                if self.event != ServerSentEvent::default() {
                    return Some(std::mem::take(&mut self.event));
                }
            } else if let Some(data) = line.strip_prefix(b"data:") {
                if !self.event.data.is_empty() {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            } else if let Some(id) = line.strip_prefix(b"id:") {
                self.event.id = std::str::from_utf8(id).ok().and_then(|id| id.trim().parse().ok());
            }
        }
        self.searched = self.bytes.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(parser: &mut Parser) -> Vec<(Option<u64>, String)> {
        let events = std::iter::from_fn(|| parser.poll_event());
        events.map(|event| (event.id, String::from_utf8_lossy(&event.data).into_owned())).collect()
    }

    #[test]
    fn events_are_whole_however_they_are_split() {
        let stream =
            b": hello\nid: 1\ndata: one\n\nretry: 5\nid: 2\r\ndata: two\r\ndata:more\r\n\r\n\ndata: x\n\nid:9\n\n";
        for split in 0..stream.len() {
            let mut parser = Parser::default();
            let mut all = Vec::new();
            for part in [&stream[..split], &stream[split..]] {
                parser.handle_bytes(part).expect("it is short");
                all.extend(events(&mut parser));
            }
            let whole = [(Some(1), "one"), (Some(2), "two\nmore"), (None, "x"), (Some(9), "")];
            assert_eq!(all, whole.map(|(id, data)| (id, data.to_owned())));
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut parser = Parser::default();
        let part = vec![b'x'; 1024 * 1024];
        assert!((0..17).any(|_| parser.handle_bytes(&part).is_err()));
    }
}
