//! Peer messages and the frame around them.

use ln6_overlay_core::control::message::{Message, MessageError};
use ln6_overlay_core::forwarder::frame::{message_body, message_frame};

/// A message. What is read can be written, means the same, and has one form from then on.
pub fn peer_message(data: &[u8]) {
    if let Some(frame) = message_frame(data) {
        assert_eq!(message_body(&frame), Some(data));
    }
    if let Some(body) = message_body(data) {
        assert!(body.len() + 4 <= data.len());
    }
    match Message::decode(data) {
        Ok(message) => {
            let mut written = Vec::new();
            message.encode(&mut written).expect("what fitted fits again");
            let again = Message::decode(&written).expect("what we write we read");
            assert_eq!(again, message);
            let mut twice = vec![7];
            again.encode(&mut twice).unwrap();
            assert_eq!(twice[1..], written);
            written.extend_from_slice(&[0; 3]);
            assert!(written.len() > 1200 || Message::decode(&written) == Ok(message), "padding is no fault");
        }
        Err(MessageError::TooLarge(len)) => assert!(len > 1200 && len == data.len()),
        Err(MessageError::Malformed | MessageError::UnknownKind { .. }) => {}
    }
}
