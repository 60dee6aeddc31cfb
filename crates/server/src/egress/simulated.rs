//! Conversations with the simulated provider in this process.

use domain::egress::{EgressBody, EgressError};
use domain::socket::{Closing, Connected, Message, Socket, SocketError};
use futures_util::{TryStreamExt, sink, stream};
use http::Request;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response};
use http_body_util::BodyExt;
use sim::{Sim, SimBody, SimFrame, SimSocket};
use tokio::sync::mpsc;

/// Messages on their way to the simulated provider.
const WAITING: usize = 16;

/// Asks for a conversation.
pub(super) async fn connect(sim: &Sim, request: Request<bytes::Bytes>) -> Connected {
    let (mut head, body) = request.into_parts();
    head.headers
        .insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers
        .insert(UPGRADE, HeaderValue::from_static("websocket"));
    match sim.converse(&head) {
        Some(Ok(conversation)) => Connected::Socket(socket(conversation)),
        Some(Err(refusal)) => Connected::Refused(answer(refusal)),
        None => {
            let request = Request::from_parts(head, body);
            Connected::Refused(answer(sim.respond(request).await))
        }
    }
}

/// An answer as it would come over the network.
pub(super) fn answer(response: Response<SimBody>) -> Response<EgressBody> {
    response.map(|body| -> EgressBody {
        let pieces = body.into_data_stream();
        Box::pin(pieces.map_err(|cut| EgressError::Broken(cut.to_string())))
    })
}

fn socket(conversation: SimSocket) -> Socket {
    let (to_sim, from_caller) = mpsc::channel(WAITING);
    let outgoing = sink::unfold(to_sim, |to_sim: mpsc::Sender<Message>, message| async {
        match to_sim.send(message).await {
            Ok(()) => Ok(to_sim),
            Err(_) => Err(SocketError::Broken("the conversation is over".to_owned())),
        }
    });
    let incoming = stream::unfold(Some((conversation, from_caller)), |state| async {
        let (mut conversation, mut from_caller) = state?;
        loop {
            tokio::select! {
                frame = conversation.next() => return match frame {
                    Some(SimFrame::Text(text)) => {
                        Some((Ok(Message::Text(text)), Some((conversation, from_caller))))
                    }
                    Some(SimFrame::Break) | None => None,
                },
                message = from_caller.recv() => match message {
                    Some(Message::Text(text)) => conversation.take(&text),
                    Some(Message::Close(_)) | None => {
                        let closing = Closing::new(Closing::NORMAL, "");
                        return Some((Ok(Message::Close(closing)), None));
                    }
                    Some(Message::Binary(_) | Message::Ping) => {}
                },
            }
        }
    });
    Socket {
        incoming: Box::pin(incoming),
        outgoing: Box::pin(outgoing),
    }
}
