//! What is kept of a turn: its thoughts, and what is signed, in their places among the calls.

use domain::chat::{Part, Reasoning};
use domain::custody::Place;
use serde::{Deserialize, Serialize};

use super::issuer::Issuer;
use super::seal::Keys;

/// The reasoning state of one turn that called tools.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Turn {
    pub(super) issuer: Issuer,
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Piece {
    Thought {
        text: Option<String>,
        signature: Option<String>,
        redacted: Option<String>,
    },
    /// A text, of which nothing is kept but the signature over it.
    Words { signature: Option<String> },
    Call {
        id: String,
        name: String,
        signature: Option<String>,
    },
}

/// Whether an answer or a message brings reasoning state of its own. Thoughts in mere words are none: no
/// provider takes them for its own.
pub(super) fn has_state(content: &[Part]) -> bool {
    content.iter().any(|part| match part {
        Part::Reasoning(thought) => thought.signature.is_some() || thought.redacted.is_some(),
        Part::ToolCall(call) => call.signature.is_some(),
        Part::Text(text) => text.signature.is_some(),
        Part::Image(_)
        | Part::Document(_)
        | Part::Audio(_)
        | Part::Refusal(_)
        | Part::Unknown { .. } => false,
    })
}

/// The ids of the calls of an answer or a message, but for those that say nothing.
pub(super) fn call_ids(content: &[Part]) -> impl Iterator<Item = &str> {
    content.iter().filter_map(|part| match part {
        Part::ToolCall(call) if !call.id.is_empty() => Some(call.id.as_str()),
        _ => None,
    })
}

impl Turn {
    /// The state of an answer that `issuer` made.
    pub(super) fn of(content: &[Part], issuer: Issuer) -> Self {
        let is_sealed = |part: &Part| match part {
            Part::Reasoning(thought) => thought.signature.is_some() || thought.redacted.is_some(),
            _ => false,
        };
        // Where only calls are signed, nobody wants the words of the thoughts back.
        let wants_thoughts = content.iter().any(is_sealed);
        let pieces = content.iter().filter_map(piece);
        let pieces =
            pieces.filter(|piece| wants_thoughts || !matches!(piece, Piece::Thought { .. }));
        Self {
            issuer,
            pieces: pieces.collect(),
        }
    }

    /// Where it is found under the keys of its owner: once for each of its calls.
    pub(super) fn places(&self, keys: &Keys) -> Vec<Place> {
        let ids = self.calls().map(|(id, _)| id);
        ids.filter(|id| !id.is_empty())
            .map(|id| keys.place(id))
            .collect()
    }

    /// Whether it made the call of this id.
    pub(super) fn has_called(&self, id: &str) -> bool {
        self.calls().any(|(known, _)| known == id)
    }

    /// Whether a message that has state of its own, and the calls `ids`, has this turn's, but not as it was
    /// given: a seal with other words under it, or a thought too few. A seal that is not of this turn is the
    /// caller's own affair.
    pub(super) fn came_in_pieces(&self, ids: &[String], content: &[Part]) -> bool {
        let brought = || content.iter().filter_map(piece);
        let is_known = |seal: &str| self.pieces.iter().any(|piece| piece.seal() == Some(seal));
        if !brought().all(|piece| piece.seal().is_none_or(is_known)) {
            return false;
        }
        let thoughts = |piece: &Piece| matches!(piece, Piece::Thought { .. });
        let kept: Vec<&Piece> = self.pieces.iter().filter(|piece| thoughts(piece)).collect();
        let mut sealed = brought().filter(|piece| thoughts(piece) && piece.seal().is_some());
        let is_altered = sealed.any(|piece| !kept.contains(&&piece));
        let is_whole_turn = self
            .calls()
            .all(|(id, _)| ids.iter().any(|here| here == id));
        is_altered || (is_whole_turn && brought().filter(thoughts).count() < kept.len())
    }

    /// Puts the state back among the parts of a message that brings the calls `ids` without it, and says
    /// whether there was anything to put. A client may have split the turn into several messages: each gets
    /// what stood before its own calls.
    pub(super) fn put_back(self, ids: &[String], content: &mut Vec<Part>) -> bool {
        let here: Vec<&Piece> = self
            .pieces
            .iter()
            .filter(|piece| match piece {
                Piece::Call { id, name, .. } => {
                    ids.contains(id) && place_of(content, id, name).is_some()
                }
                Piece::Thought { .. } | Piece::Words { .. } => false,
            })
            .collect();
        let Some(first) = self.calls().next() else {
            return false;
        };
        let begins_here = here.first().is_some_and(|piece| piece.is_call(first.0));
        let signs_words = begins_here && self.sign_words(content);
        let signs_calls = sign_calls(&here, content);
        let inserts = self.inserts(&here, begins_here);
        let has_thoughts = !inserts.is_empty();
        if has_thoughts {
            // The caller has the words of the thoughts at most: the thoughts themselves take their place.
            content.retain(|part| !matches!(part, Part::Reasoning(_)));
        }
        for (at, thoughts) in inserts {
            let place = match at {
                At::Front => 0,
                At::Before(id, name) => place_of(content, id, name).unwrap_or(0),
                At::After(id, name) => {
                    place_of(content, id, name).map_or(content.len(), |at| at + 1)
                }
            };
            content.splice(place..place, thoughts);
        }
        signs_words || signs_calls || has_thoughts
    }

    /// Which thoughts stood where among the calls that are `here`.
    fn inserts(&self, here: &[&Piece], begins_here: bool) -> Vec<(At<'_>, Vec<Part>)> {
        let mut inserts = Vec::new();
        let mut waiting = Vec::new();
        let mut at_front = begins_here;
        let mut last_call = None;
        for piece in &self.pieces {
            match piece {
                Piece::Thought { .. } => waiting.extend(piece.thought()),
                Piece::Words { .. } => {
                    if at_front {
                        inserts.push((At::Front, std::mem::take(&mut waiting)));
                        at_front = false;
                    }
                }
                Piece::Call { id, name, .. } => {
                    let thoughts = std::mem::take(&mut waiting);
                    let is_here = here.iter().any(|piece| piece.is_call(id));
                    last_call = is_here.then_some(At::After(id, name));
                    if is_here {
                        let at = if at_front {
                            At::Front
                        } else {
                            At::Before(id, name)
                        };
                        inserts.push((at, thoughts));
                    }
                    at_front = false;
                }
            }
        }
        inserts.extend(last_call.map(|at| (at, waiting)));
        inserts.retain(|(_, thoughts)| !thoughts.is_empty());
        inserts
    }

    /// The ids and names of the calls, in order.
    fn calls(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Call { id, name, .. } => Some((id.as_str(), name.as_str())),
            Piece::Thought { .. } | Piece::Words { .. } => None,
        })
    }

    /// Signs the texts of a message that has as many of them as the turn had.
    fn sign_words(&self, content: &mut [Part]) -> bool {
        let signatures = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Words { signature } => Some(signature),
            Piece::Thought { .. } | Piece::Call { .. } => None,
        });
        let texts = content.iter_mut().filter_map(|part| match part {
            Part::Text(text) => Some(text),
            _ => None,
        });
        let texts: Vec<_> = texts.collect();
        if texts.len() != signatures.clone().count() {
            return false;
        }
        let mut is_changed = false;
        for (text, signature) in texts.into_iter().zip(signatures) {
            if signature.is_some() {
                text.signature.clone_from(signature);
                is_changed = true;
            }
        }
        is_changed
    }
}

impl Piece {
    /// What the provider knows it by.
    fn seal(&self) -> Option<&str> {
        match self {
            Self::Thought {
                signature,
                redacted,
                ..
            } => signature.as_deref().or(redacted.as_deref()),
            Self::Words { signature } | Self::Call { signature, .. } => signature.as_deref(),
        }
    }

    fn is_call(&self, wanted: &str) -> bool {
        matches!(self, Self::Call { id, .. } if id == wanted)
    }

    fn thought(&self) -> Option<Part> {
        match self {
            Self::Thought {
                text,
                signature,
                redacted,
            } => Some(Part::Reasoning(Reasoning {
                text: text.clone(),
                signature: signature.clone(),
                redacted: redacted.clone(),
            })),
            Self::Words { .. } | Self::Call { .. } => None,
        }
    }
}

/// Where thoughts stood: ids and names are those of a call.
enum At<'a> {
    Front,
    Before(&'a str, &'a str),
    After(&'a str, &'a str),
}

fn place_of(content: &[Part], id: &str, name: &str) -> Option<usize> {
    let mut parts = content.iter();
    parts
        .position(|part| matches!(part, Part::ToolCall(call) if call.id == id && call.name == name))
}

fn sign_calls(here: &[&Piece], content: &mut [Part]) -> bool {
    let mut is_changed = false;
    for piece in here {
        if let Piece::Call {
            id,
            name,
            signature: Some(signature),
        } = piece
            && let Some(Part::ToolCall(call)) =
                place_of(content, id, name).and_then(|place| content.get_mut(place))
        {
            call.signature = Some(signature.clone());
            is_changed = true;
        }
    }
    is_changed
}

fn piece(part: &Part) -> Option<Piece> {
    match part {
        Part::Reasoning(thought) => Some(Piece::Thought {
            text: thought.text.clone(),
            signature: thought.signature.clone(),
            redacted: thought.redacted.clone(),
        }),
        Part::Text(text) => Some(Piece::Words {
            signature: text.signature.clone(),
        }),
        Part::ToolCall(call) => Some(Piece::Call {
            id: call.id.clone(),
            name: call.name.clone(),
            signature: call.signature.clone(),
        }),
        Part::Image(_)
        | Part::Document(_)
        | Part::Audio(_)
        | Part::Refusal(_)
        | Part::Unknown { .. } => None,
    }
}
