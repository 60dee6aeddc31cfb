//! Calls of functions and of custom tools.

use bytes::BytesMut;

use super::super::custody::Sealed;
use super::super::items::{Item, Status};
use super::super::parse_tools;
use super::events::{close, field};
use super::{EventEncoder, OpenCall};

impl EventEncoder {
    pub(super) fn call(
        &mut self,
        number: (u32, u32),
        id: &str,
        name: &str,
        signature: Option<&str>,
        out: &mut BytesMut,
    ) {
        if let Some(signature) = signature {
            let sealed = Sealed::Call {
                id: id.to_owned(),
                signature: signature.to_owned(),
            };
            self.seal(&sealed, out);
        }
        self.shut(Status::Completed, out);
        let is_custom = self.frame.is_custom(name);
        let call = self.frame.ids.call(self.items.len(), id, name, is_custom);
        let place = self.add(Item::Made(call), out);
        let opened = OpenCall {
            place,
            is_custom,
            arguments: String::new(),
        };
        self.calls.insert(number, opened);
    }

    /// The input of a custom tool is a text inside of the arguments, and comes when they are whole.
    pub(super) fn arguments(&mut self, number: (u32, u32), fragment: &str, out: &mut BytesMut) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        call.arguments.push_str(fragment);
        let (place, is_custom) = (call.place, call.is_custom);
        if !is_custom && !fragment.is_empty() {
            self.item_event("response.function_call_arguments.delta", place, out);
            field("delta", fragment, out);
            close(out);
        }
    }

    pub(super) fn end_call(&mut self, number: (u32, u32), status: Status, out: &mut BytesMut) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        let place = call.place;
        let (delta, done, name, whole) = if call.is_custom {
            (
                "response.custom_tool_call_input.delta",
                "response.custom_tool_call_input.done",
                "input",
                parse_tools::input_of(&call.arguments),
            )
        } else {
            let is_empty = call.arguments.trim().is_empty();
            (
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "arguments",
                if is_empty {
                    "{}".to_owned()
                } else {
                    call.arguments.clone()
                },
            )
        };
        let is_unsaid = call.is_custom || call.arguments.trim().is_empty();
        if is_unsaid && !whole.is_empty() {
            self.item_event(delta, place, out);
            field("delta", &whole, out);
            close(out);
        }
        self.item_event(done, place, out);
        field(name, &whole, out);
        close(out);
        if let Some(made) = self.made(place) {
            made.set_arguments(&call.arguments);
        }
        self.done(place, status, out);
    }
}
