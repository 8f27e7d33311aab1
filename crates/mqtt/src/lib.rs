//! The pure MQTT endpoint that peripherals connect to: MQTT 5 and 3.1.1, bytes in, bytes out.
//!
//! One [`Connection`] is the server's end of one network connection. It speaks the protocol, lets a
//! peripheral touch its own topics only, and promises nothing on its own: CONNACK, SUBACK, PUBACK,
//! PUBREC and PUBCOMP leave when its owner says so. It knows no socket and no clock. Who may
//! register, which session goes on, what waits for whom is its owner's business; so is the store
//! that makes a session outlive its connection.
//!
//! The drive loop:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use bugle_core::Time;
//! use bugle_mqtt::{Accept, Config, Connection, Delivery, Event, Resumption};
//!
//! let mut now = Time::from_millis(1_000);
//! let mut connection = Connection::new(now, Arc::new(Config::default()));
//!
//! // What a socket yields: CONNECT of "m1" with MQTT 5, then PINGREQ.
//! let mut reads = [b"\x10\x0f\0\x04MQ".as_slice(), b"TT\x05\x02\0\x3c\0\0\x02m1\xc0\0"].into_iter();
//! let mut sent = Vec::new();
//! let mut pings = 0;
//! loop {
//!     while let Some(event) = connection.poll_event() {
//!         match event {
//!             Event::Connect(connect) => {
//!                 assert_eq!(connect.peripheral.as_str(), "m1");
//!                 let session_expiry_max = Duration::from_secs(3600);
//!                 connection.accept(now, Accept { session: Resumption::New, session_expiry_max });
//!             }
//!             Event::Publish(publish) => match publish.delivery {
//!                 Delivery::AtMostOnce => {}
//!                 // … once it is durable:
//!                 Delivery::AtLeastOnce(id) | Delivery::ExactlyOnce(id) => connection.acknowledge(now, id),
//!             },
//!             Event::Subscribe { packet_id } | Event::Unsubscribe { packet_id } | Event::Released { packet_id } => {
//!                 connection.acknowledge(now, packet_id);
//!             }
//!             Event::Ping => pings += 1,
//!             Event::Delivered { .. } | Event::Refused { .. } | Event::Noise(_) | Event::Closed(_) => {}
//!         }
//!     }
//!     while let Some(bytes) = connection.poll_transmit() {
//!         sent.extend_from_slice(&bytes);
//!     }
//!     if connection.is_closed() {
//!         break;
//!     }
//!     // Wait for the socket until the next timeout.
//!     match (reads.next(), connection.next_timeout()) {
//!         (Some(bytes), _) => connection.handle_bytes(now, bytes),
//!         (None, Some(timeout)) => {
//!             now = timeout;
//!             connection.handle_timeout(now);
//!         }
//!         (None, None) => break,
//!     }
//! }
//! // CONNACK, PINGRESP, and in the end the DISCONNECT of a client that fell silent.
//! assert_eq!((sent[0], pings), (0x20, 1));
//! assert_eq!(now, Time::from_millis(91_000));
//! ```

mod config;
mod connection;
mod event;
pub mod limits;
mod packet_id;
mod reason;
mod topic;
mod version;
mod wire;

pub use config::Config;
pub use connection::{Accept, Connection, Publication, PublishError, Resumption, Transmission};
pub use event::{Closed, Connect, Delivery, Event, Noise, Password, Publish, REFUSED, Start, Will};
pub use packet_id::PacketId;
pub use reason::{CloseReason, Ending, Fault, Refusal};
pub use topic::{ReportName, Topic, TopicError};
pub use version::Version;
