//! A request with its whole body, and the response with its: what goes into the next message, and what
//! the answer to it means (RFC 7959 §2, RFC 9175 §2).
//!
//! 1. A body that is too long goes up block by block; the peer may ask for smaller blocks, or to begin again.
//! 2. A response that is too long comes down block by block. If it changes under way, it is fetched anew.
//! 3. A peer may first want to see that the request is fresh; then it is asked again with the peer's own words.

use bytes::Bytes;

use crate::block::{Block, BlockSize};
use crate::code::Code;
use crate::event::Failure;
use crate::limits::RESTARTS_MAX;
use crate::option::OptionNumber;
use crate::options::Options;
use crate::request::Request;
use crate::response::Response;

#[derive(Debug)]
pub(crate) struct Asking {
    request: Request,
    /// The largest block that goes up.
    up_size: BlockSize,
    /// The largest block that is to come down.
    down_size: BlockSize,
    /// Where the block that goes up begins; none if the body goes in one piece, or is up.
    offset: Option<usize>,
    /// What came down of the body, and the response that its first block came with.
    body: Vec<u8>,
    head: Option<Box<Response>>,
    echo: Option<Box<[u8]>>,
    restarts: u8,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next message.
    Ask,
    /// This is the response.
    Done(Response),
    /// There is no response to be had.
    Failed(Failure),
}

impl Asking {
    pub(crate) fn new(request: Request, block_size: BlockSize) -> Self {
        let offset = (request.payload.len() > block_size.bytes()).then_some(0);
        Self {
            request,
            up_size: block_size,
            down_size: block_size,
            offset,
            body: Vec::new(),
            head: None,
            echo: None,
            restarts: 0,
        }
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// Options and payload of the next message; none if the body has more blocks than can be counted.
    pub(crate) fn message(&self) -> Option<(Options, Bytes)> {
        let mut options = self.request.options.clone();
        if let Some(echo) = &self.echo {
            options.insert(OptionNumber::ECHO, echo);
        }
        if !self.body.is_empty() {
            // RFC 7641 §2, RFC 7959 §2.6: the rest of a body is fetched without Observe.
            options.remove(OptionNumber::OBSERVE);
            let block = Block::at(self.body.len(), self.down_size, false)?;
            options.set_uint(OptionNumber::BLOCK2, block.to_uint());
            return Some((options, Bytes::new()));
        }
        let payload = match self.offset {
            None => self.request.payload.clone(),
            Some(offset) => {
                let end = self.block_end(offset);
                let whole = self.request.payload.len();
                let block = Block::at(offset, self.up_size, end < whole)?;
                options.set_uint(OptionNumber::BLOCK1, block.to_uint());
                if offset == 0 {
                    options.set_uint(OptionNumber::SIZE1, u32::try_from(whole).ok()?);
                }
                self.request.payload.slice(offset..end)
            }
        };
        if self.down_size < BlockSize::MAX {
            // RFC 7959 §2.4: asking for smaller blocks before the first one comes.
            let block = Block { number: 0, has_more: false, size: self.down_size };
            options.set_uint(OptionNumber::BLOCK2, block.to_uint());
        }
        Some((options, payload))
    }

    /// The answer to the last message.
    pub(crate) fn on_response(&mut self, response: Response, body_bytes_max: usize) -> Step {
        if let Some(step) = self.on_echo(&response).or_else(|| self.on_block_taken(&response)) {
            return step;
        }
        self.offset = None;
        self.on_block(response, body_bytes_max)
    }

    /// 4.01 with Echo: the peer wants to see that this is no old request (RFC 9175 §2.3).
    fn on_echo(&mut self, response: &Response) -> Option<Step> {
        let value = response.options.view().first(OptionNumber::ECHO)?;
        if response.code != Code::UNAUTHORIZED || self.echo.is_some() {
            return None;
        }
        self.echo = Some(value.into());
        Some(Step::Ask)
    }

    /// The answer to a block that went up. None if it is the response to the whole request.
    fn on_block_taken(&mut self, response: &Response) -> Option<Step> {
        let theirs = response.options.view().uint(OptionNumber::BLOCK1).and_then(Block::from_uint);
        let offset = self.offset.unwrap_or(0);
        if response.code == Code::REQUEST_ENTITY_TOO_LARGE && offset == 0 {
            // RFC 7959 §2.9.3: the peer wants smaller blocks, also of a body that went in one piece.
            let size = theirs?.size;
            if size < self.up_size && size.bytes() < self.request.payload.len() {
                self.up_size = size;
                self.offset = Some(0);
                return Some(Step::Ask);
            }
        }
        let is_last = self.block_end(self.offset?) == self.request.payload.len();
        match response.code {
            Code::REQUEST_ENTITY_INCOMPLETE if offset > 0 && self.restarts < RESTARTS_MAX => {
                self.restarts += 1;
                self.offset = Some(0);
                Some(Step::Ask)
            }
            Code::CONTINUE if is_last || theirs.is_none() => Some(Step::Failed(Failure::Unintelligible)),
            // RFC 7959 §2.3: a peer that acts on each block by itself answers each with success, and says to which.
            code if code.is_success() && !is_last => {
                let Some(theirs) = theirs else { return Some(Step::Failed(Failure::BodyCut)) };
                self.offset = Some(offset + self.up_size.bytes());
                self.up_size = self.up_size.min(theirs.size);
                Some(Step::Ask)
            }
            _ => None,
        }
    }

    /// The response, or a block of it.
    fn on_block(&mut self, response: Response, body_bytes_max: usize) -> Step {
        let Some(value) = response.options.view().uint(OptionNumber::BLOCK2) else { return Step::Done(response) };
        let Some(block) = Block::from_uint(value) else { return Step::Failed(Failure::Unintelligible) };
        if self.head.as_ref().is_some_and(|head| head.etag() != response.etag()) {
            return self.begin_again();
        }
        if block.offset() != self.body.len() || !block.fits(&response.payload) {
            return Step::Failed(Failure::Unintelligible);
        }
        let announced = response.options.view().uint(OptionNumber::SIZE2).unwrap_or(0) as usize;
        if announced.max(self.body.len() + response.payload.len()) > body_bytes_max {
            return Step::Failed(Failure::BodyTooLarge);
        }
        self.body.extend_from_slice(&response.payload);
        let head = self.head.get_or_insert_with(|| Box::new(response));
        if block.has_more {
            head.payload = Bytes::new();
            self.down_size = self.down_size.min(block.size);
            return Step::Ask;
        }
        let mut whole = Response::clone(head);
        whole.payload = Bytes::from(std::mem::take(&mut self.body));
        whole.options.remove(OptionNumber::BLOCK2);
        whole.options.remove(OptionNumber::SIZE2);
        Step::Done(whole)
    }

    /// The representation changed under way (RFC 7959 §2.4). What changed something must not be asked twice.
    fn begin_again(&mut self) -> Step {
        if self.restarts == RESTARTS_MAX || !self.request.method.is_safe() {
            return Step::Failed(Failure::BodyChanged);
        }
        self.restarts += 1;
        self.head = None;
        self.body.clear();
        self.offset = (self.request.payload.len() > self.up_size.bytes()).then_some(0);
        Step::Ask
    }

    fn block_end(&self, offset: usize) -> usize {
        self.request.payload.len().min(offset + self.up_size.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{ContentFormat, Method};

    const BODY_MAX: usize = 1 << 16;

    fn put(bytes: usize) -> Asking {
        let body: Vec<u8> = (0..bytes).map(|index| index as u8).collect();
        let request = Request::new(Method::Put).with_payload(ContentFormat::OCTET_STREAM, body);
        Asking::new(request, BlockSize::at_most(64))
    }

    fn get() -> Asking {
        Asking::new(Request::new(Method::Get), BlockSize::MAX)
    }

    fn answer(code: Code, number: OptionNumber, block: (u32, bool, usize)) -> Response {
        let (number_of_block, has_more, bytes) = block;
        let block = Block { number: number_of_block, has_more, size: BlockSize::at_most(bytes) };
        let mut response = Response::new(code);
        response.options.set_uint(number, block.to_uint());
        response
    }

    fn part(number: u32, has_more: bool, etag: u8) -> Response {
        let mut response = answer(Code::CONTENT, OptionNumber::BLOCK2, (number, has_more, 16));
        response.payload = Bytes::from(vec![number as u8; 16]);
        response.with_etag(&[etag]).expect("one byte")
    }

    fn block1(asking: &Asking) -> (u32, bool, usize) {
        let (options, payload) = asking.message().expect("few blocks");
        let value = options.view().uint(OptionNumber::BLOCK1).expect("a block goes up");
        let block = Block::from_uint(value).expect("a valid size");
        assert!(block.fits(&payload));
        (block.number, block.has_more, block.size.bytes())
    }

    /// RFC 7959, figure 9: the peer wants smaller blocks after the first.
    #[test]
    fn a_body_goes_on_in_the_smaller_blocks_that_the_peer_asks_for() {
        let mut asking = put(150);
        assert_eq!(block1(&asking), (0, true, 64));
        let smaller = answer(Code::CONTINUE, OptionNumber::BLOCK1, (0, true, 32));
        assert_eq!(asking.on_response(smaller, BODY_MAX), Step::Ask);
        assert_eq!(block1(&asking), (2, true, 32));
        for number in 2..4 {
            let taken = answer(Code::CONTINUE, OptionNumber::BLOCK1, (number, true, 32));
            assert_eq!(asking.on_response(taken, BODY_MAX), Step::Ask);
        }
        assert_eq!(block1(&asking), (4, false, 32));
        let done = answer(Code::CHANGED, OptionNumber::BLOCK1, (4, false, 32));
        assert_eq!(asking.on_response(done.clone(), BODY_MAX), Step::Done(done));
    }

    /// Old clients ignore Block1, although it is critical.
    #[test]
    fn success_for_a_block_without_a_word_of_blocks_is_none_for_the_body() {
        let mut asking = put(150);
        assert_eq!(asking.on_response(Response::new(Code::CHANGED), BODY_MAX), Step::Failed(Failure::BodyCut));
        let refused = Response::new(Code::FORBIDDEN);
        assert_eq!(put(150).on_response(refused.clone(), BODY_MAX), Step::Done(refused));
    }

    #[test]
    fn a_body_that_is_refused_with_a_smaller_block_size_begins_again_in_it() {
        let mut asking = put(60);
        let (options, _) = asking.message().expect("one message");
        assert_eq!(options.view().uint(OptionNumber::BLOCK1), None);
        let refused = answer(Code::REQUEST_ENTITY_TOO_LARGE, OptionNumber::BLOCK1, (0, true, 16));
        assert_eq!(asking.on_response(refused.clone(), BODY_MAX), Step::Ask);
        assert_eq!(block1(&asking), (0, true, 16));
        assert_eq!(asking.on_response(refused.clone(), BODY_MAX), Step::Done(refused));
    }

    #[test]
    fn a_body_whose_blocks_the_peer_lost_begins_again_but_not_for_ever() {
        let mut asking = put(100);
        let lost = Response::new(Code::REQUEST_ENTITY_INCOMPLETE);
        for _ in 0..RESTARTS_MAX {
            let taken = answer(Code::CONTINUE, OptionNumber::BLOCK1, (0, true, 64));
            assert_eq!(asking.on_response(taken, BODY_MAX), Step::Ask);
            assert_eq!(asking.on_response(lost.clone(), BODY_MAX), Step::Ask);
            assert_eq!(block1(&asking), (0, true, 64));
        }
        let taken = answer(Code::CONTINUE, OptionNumber::BLOCK1, (0, true, 64));
        assert_eq!(asking.on_response(taken, BODY_MAX), Step::Ask);
        assert_eq!(asking.on_response(lost.clone(), BODY_MAX), Step::Done(lost));
    }

    #[test]
    fn a_body_that_changes_while_it_is_fetched_is_fetched_anew_but_not_for_ever() {
        let mut asking = get();
        for etag in 0..=RESTARTS_MAX {
            assert_eq!(asking.on_response(part(0, true, etag), BODY_MAX), Step::Ask);
            let expected = if etag < RESTARTS_MAX { Step::Ask } else { Step::Failed(Failure::BodyChanged) };
            assert_eq!(asking.on_response(part(1, true, etag + 1), BODY_MAX), expected);
        }
        let mut post = put(1);
        assert_eq!(post.on_response(part(0, true, 1), BODY_MAX), Step::Ask);
        assert_eq!(post.on_response(part(1, false, 2), BODY_MAX), Step::Failed(Failure::BodyChanged));
    }

    #[test]
    fn a_body_is_whole_with_its_last_block_and_says_nothing_of_blocks() {
        let mut asking = get();
        assert_eq!(asking.on_response(part(0, true, 1), BODY_MAX), Step::Ask);
        let (options, payload) = asking.message().expect("few blocks");
        assert_eq!((options.view().uint(OptionNumber::BLOCK2), payload.len()), (Some(0x10), 0));
        let Step::Done(whole) = asking.on_response(part(1, false, 1), BODY_MAX) else { panic!("the last block") };
        assert_eq!(whole.payload, [[0; 16], [1; 16]].concat());
        assert_eq!(whole.options.view().uint(OptionNumber::BLOCK2), None);
    }

    #[test]
    fn blocks_that_do_not_fit_together_or_are_too_many_fail() {
        assert_eq!(get().on_response(part(1, true, 1), BODY_MAX), Step::Failed(Failure::Unintelligible));
        let mut short = part(0, true, 1);
        short.payload = Bytes::from_static(b"short");
        assert_eq!(get().on_response(short, BODY_MAX), Step::Failed(Failure::Unintelligible));
        let mut reserved = Response::new(Code::CONTENT);
        reserved.options.set_uint(OptionNumber::BLOCK2, 7);
        assert_eq!(get().on_response(reserved, BODY_MAX), Step::Failed(Failure::Unintelligible));
        let mut asking = get();
        assert_eq!(asking.on_response(part(0, true, 1), 31), Step::Ask);
        assert_eq!(asking.on_response(part(1, false, 1), 31), Step::Failed(Failure::BodyTooLarge));
    }

    #[test]
    fn a_request_is_asked_again_once_with_what_the_peer_wants_echoed() {
        let mut asking = get();
        let mut wanted = Response::new(Code::UNAUTHORIZED);
        wanted.options.insert(OptionNumber::ECHO, &[7; 8]);
        assert_eq!(asking.on_response(wanted.clone(), BODY_MAX), Step::Ask);
        let (options, _) = asking.message().expect("one message");
        assert_eq!(options.view().first(OptionNumber::ECHO), Some(&[7; 8][..]));
        assert_eq!(asking.on_response(wanted.clone(), BODY_MAX), Step::Done(wanted));
    }
}
