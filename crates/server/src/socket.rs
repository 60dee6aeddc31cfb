//! WebSocket (RFC 6455) over a connection that was upgraded, as the [socket port](domain::socket).

use bytes::Bytes;
use domain::socket::{Closing, Message, Socket, SocketError};
use futures_util::{SinkExt, StreamExt, future};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

/// The version of the protocol, the only one there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether a request asks for a conversation.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    has_word(headers, &CONNECTION, "upgrade") && has_word(headers, &UPGRADE, "websocket")
}

fn has_word(headers: &HeaderMap, name: &http::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(word))
}

/// The fields of an answer that accepts a caller's handshake; `None` where the handshake is not right.
pub fn accept(asked: &HeaderMap) -> Option<[(http::HeaderName, HeaderValue); 3]> {
    let key = asked.get(SEC_WEBSOCKET_KEY)?;
    if asked.get(SEC_WEBSOCKET_VERSION)? != VERSION {
        return None;
    }
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()?;
    Some([
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, WEBSOCKET),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ])
}

/// Writes a handshake of our own; answers what the other end must say to it.
pub fn ask(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let key = generate_key();
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()?;
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
    headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::try_from(key).ok()?);
    Some(accept)
}

/// The conversation over an upgraded connection, in which the other end's messages have at most `max_message`
/// bytes.
pub async fn conversation(upgraded: Upgraded, role: Role, max_message: usize) -> Socket {
    let config = WebSocketConfig::default()
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let stream = TokioIo::new(upgraded);
    let stream = WebSocketStream::from_raw_socket(stream, role, Some(config)).await;
    let (sink, stream) = stream.split();
    let incoming = stream.filter_map(move |read| future::ready(message(read, max_message)));
    let outgoing = sink
        .sink_map_err(|error| SocketError::Broken(error.to_string()))
        .with(|message| future::ready(Ok(frame(message))));
    Socket {
        incoming: Box::pin(incoming),
        outgoing: Box::pin(outgoing),
    }
}

/// What was read, as the port has it; `None` for what is only the protocol's.
fn message(read: Result<Frame, Error>, max_message: usize) -> Option<Result<Message, SocketError>> {
    Some(match read {
        Ok(Frame::Text(text)) => Ok(Message::Text(text.as_str().to_owned())),
        Ok(Frame::Binary(bytes)) => Ok(Message::Binary(bytes)),
        Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))
        | Err(Error::ConnectionClosed | Error::AlreadyClosed) => return None,
        Ok(Frame::Close(frame)) => Ok(Message::Close(frame.map_or_else(
            || Closing::new(Closing::NO_STATUS, ""),
            |frame| Closing::new(frame.code.into(), frame.reason.as_str()),
        ))),
        Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
            Err(SocketError::TooLarge { max: max_message })
        }
        Err(error) => Err(SocketError::Broken(error.to_string())),
    })
}

fn frame(message: Message) -> Frame {
    match message {
        Message::Text(text) => Frame::text(text),
        Message::Binary(bytes) => Frame::Binary(bytes),
        Message::Ping => Frame::Ping(Bytes::new()),
        Message::Close(closing) if closing.code == Closing::NO_STATUS => Frame::Close(None),
        Message::Close(closing) => Frame::Close(Some(CloseFrame {
            code: closing.code.into(),
            reason: closing.reason.into(),
        })),
    }
}
