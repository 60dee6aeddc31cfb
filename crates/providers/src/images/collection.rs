//! Fetches the pictures that a vendor left at addresses, one after another.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;

use super::answer::{Form, Held, Made, Picture};
use super::request::{Delivery, sniff};
use crate::dialect::DecodeError;
use crate::openai::media::encode_base64;
use crate::outgoing;
use crate::task::{TaskReader, TaskStep};

/// Pictures, some of which are still elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Collection {
    form: Form,
    made: Made,
    waiting: VecDeque<Picture>,
}

impl Collection {
    pub(super) fn new(form: Form, made: Made, pictures: Vec<Picture>) -> Self {
        Self {
            form,
            made,
            waiting: pictures.into(),
        }
    }

    /// Asks for the next picture that is elsewhere, or writes the answer. A caller who wants addresses gets
    /// the vendor's.
    pub(super) fn next(mut self) -> Result<TaskStep, DecodeError> {
        while let Some(picture) = self.waiting.pop_front() {
            match &picture.held {
                Held::Url(url) if self.form.delivery == Delivery::Base64 => {
                    let request = outgoing::get(url, "image/*")?;
                    let reader = Fetched {
                        rest: self,
                        picture,
                    };
                    return Ok(TaskStep::Again {
                        request,
                        after: Duration::ZERO,
                        reader: Box::new(reader),
                    });
                }
                _ => self.made.pictures.push(picture),
            }
        }
        Ok(TaskStep::Done(self.form.answer(&self.made)))
    }
}

/// Reads one picture.
struct Fetched {
    rest: Collection,
    picture: Picture,
}

impl TaskReader for Fetched {
    fn read(&self, _: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let Some(media_type) = sniff(&body) else {
            return Err(DecodeError::Malformed(
                "what stands at the picture's address is no picture".to_owned(),
            ));
        };
        let mut collection = self.rest.clone();
        collection.made.pictures.push(Picture {
            held: Held::Base64(encode_base64(&body).into()),
            media_type: Some(media_type.to_owned()),
            revised_prompt: self.picture.revised_prompt.clone(),
        });
        collection.next()
    }
}
