//! Files that a request refers to are put in their place, so that every provider can read them.

use std::collections::HashMap;
use std::sync::LazyLock;

use domain::caller::Caller;
use memchr::memmem::Finder;
use providers::attached::{AttachedFile, attach, references};
use providers::dialect::Format;
use providers::face::{Envelope, InvalidRequest};
use serde_json::Value;

use crate::chat::{ChatError, Gateway, Inbound};
use crate::media::sniff;
use crate::routes::Plan;

/// What every reference to a file has: the key under which it stands, in every format but Gemini's.
static REFERENCE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"file_id\""));
/// The same in Gemini's, where it ends a URI.
static GEMINI_REFERENCE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("files/file-"));

impl Gateway {
    /// Puts the caller's own files in the place of the references to them, in `inbound`'s body, of which
    /// `envelope` then is. Another's file is as unknown as one that there is not: what is unknown is left for
    /// a target of the caller's own format, which may know it, and refused for any other.
    pub(crate) async fn attach_files(
        &self,
        caller: &Caller,
        inbound: &mut Inbound,
        envelope: &mut Envelope,
        plan: &Plan,
    ) -> Result<(), ChatError> {
        // Almost no request refers to a file, and those that do not are not read for it, nor is there room
        // for it in the story of their call.
        let reference = match inbound.face.format() {
            Format::Gemini => &GEMINI_REFERENCE,
            _ => &REFERENCE,
        };
        if reference.find(&inbound.body).is_none() {
            return Ok(());
        }
        Box::pin(self.attach_found(caller, inbound, envelope, plan)).await
    }

    async fn attach_found(
        &self,
        caller: &Caller,
        inbound: &mut Inbound,
        envelope: &mut Envelope,
        plan: &Plan,
    ) -> Result<(), ChatError> {
        let format = inbound.face.format();
        // What is not JSON is refused by whoever reads it next, and in its own words.
        let Ok(mut body) = serde_json::from_slice::<Value>(&inbound.body) else {
            return Ok(());
        };
        let wanted = references(format, &body);
        let rules = &self.settings.media;
        if wanted.len() > rules.max_files {
            let detail = format!(
                "The request refers to {} files and at most {} are taken.",
                wanted.len(),
                rules.max_files
            );
            return Err(InvalidRequest::of("file_id", detail).into());
        }
        let mut found = HashMap::new();
        for id in wanted {
            match self.files.find(caller.owner(), &id).await? {
                Some(file) => {
                    let content = self.files.read(&file, rules.max_bytes).await?;
                    let media_type = sniff(&content).unwrap_or(file.media_type.essence());
                    let attached = AttachedFile {
                        filename: file.filename.to_string(),
                        media_type: media_type.to_owned(),
                        content,
                    };
                    found.insert(id, attached);
                }
                None if speaks(plan, inbound) => {}
                None => {
                    let detail = format!(
                        "There is no file {id} here. Upload it to /v1/files with the same key first: \
                         identifiers of a provider's own files pass only to a provider that is asked in \
                         the format of the request."
                    );
                    return Err(InvalidRequest::of("file_id", detail).into());
                }
            }
        }
        if !found.is_empty() {
            attach(format, &mut body, &|id| found.get(id))?;
            inbound.body = body.to_string().into();
            *envelope = inbound.face.envelope(&inbound.asked, &inbound.body)?;
        }
        Ok(())
    }
}

/// Whether the target is asked in the caller's own format.
fn speaks(plan: &Plan, inbound: &Inbound) -> bool {
    let format = inbound.face.format();
    plan.target()
        .dialect(format)
        .is_some_and(|dialect| dialect.format() == format)
}
