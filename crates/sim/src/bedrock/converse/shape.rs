//! The shape of a request: which members its structures have, of which type and within which bounds, checked as the service's
//! own model has them, before any rule of meaning.
//! See <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

use serde_json::Value;

use crate::bedrock::invalid;
use crate::media;
use crate::node::{Node, Step};
use crate::vendor::Failure;

/// The type of a member.
pub(super) enum Kind {
    /// A text of so many characters.
    Text(usize, usize),
    /// One of these names.
    Name(&'static [&'static str]),
    /// A text made of these letters beside letters and digits, of 1 to 64 characters.
    Word(&'static [u8], &'static str),
    Bool,
    /// A whole number from this one on.
    Int(i64),
    /// A number between zero and one.
    Share,
    /// Bytes, in base64.
    Blob,
    /// Any JSON.
    Any,
    /// Any JSON object.
    Object,
    Struct(&'static Structure),
    /// A structure that has exactly one member.
    Union(&'static Structure),
    /// A list of so many.
    List(&'static Self, usize, usize),
    /// Texts under keys of the caller's choice.
    Texts,
}

/// A structure's members, each with whether it must be there.
pub(super) struct Structure(pub(super) &'static [(&'static str, Kind, bool)]);

/// What does not fulfil its constraint.
struct Violation {
    value: String,
    place: String,
    constraint: String,
}

/// Refuses a body that is not of the right shape, naming everything that is wrong.
pub(super) fn check(root: &Node<'_, '_>, shape: &'static Structure) -> Result<(), Failure> {
    let mut violations = Vec::new();
    structure(root, shape, &mut violations)?;
    if violations.is_empty() {
        return Ok(());
    }
    let count = violations.len();
    let plural = if count == 1 { "" } else { "s" };
    let told: Vec<String> = violations
        .iter()
        .map(|violation| {
            format!(
                "Value {} at '{}' failed to satisfy constraint: {}",
                violation.value, violation.place, violation.constraint
            )
        })
        .collect();
    Err(invalid(format!(
        "{count} validation error{plural} detected: {}",
        told.join("; ")
    )))
}

fn structure(
    node: &Node<'_, '_>,
    shape: &'static Structure,
    violations: &mut Vec<Violation>,
) -> Result<(), Failure> {
    if !node.value.is_object() {
        return Err(unexpected(node, "a structure"));
    }
    for (key, member) in node.members() {
        let Some((_, kind, _)) = shape.0.iter().find(|(name, ..)| *name == key) else {
            let place = place(node);
            let at = if place.is_empty() {
                "the request"
            } else {
                &place
            };
            return Err(invalid(format!(
                "The member '{key}' of {at} is not known to the service."
            )));
        };
        if !member.value.is_null() {
            value(&member, kind, violations)?;
        }
    }
    for (name, ..) in shape.0.iter().filter(|(.., is_required)| *is_required) {
        if node.present(name).is_none() {
            let at = place(node);
            let place = if at.is_empty() {
                (*name).to_owned()
            } else {
                format!("{at}.member.{name}")
            };
            violations.push(Violation {
                value: "null".to_owned(),
                place,
                constraint: "Member must not be null".to_owned(),
            });
        }
    }
    Ok(())
}

fn value(
    node: &Node<'_, '_>,
    kind: &'static Kind,
    violations: &mut Vec<Violation>,
) -> Result<(), Failure> {
    let constraint = match kind {
        Kind::Any => None,
        Kind::Object if node.value.is_object() => None,
        Kind::Object => return Err(unexpected(node, "a document")),
        Kind::Bool if node.value.is_boolean() => None,
        Kind::Bool => return Err(unexpected(node, "a boolean")),
        Kind::Struct(shape) => return structure(node, shape, violations),
        Kind::Union(shape) => {
            structure(node, shape, violations)?;
            let given = node.members().filter(|(_, member)| !member.value.is_null());
            if given.count() != 1 {
                return Err(invalid(format!(
                    "The value at {} is not valid: exactly one member of the union must be set.",
                    node.dotted()
                )));
            }
            None
        }
        Kind::List(of, least, most) => {
            if !node.value.is_array() {
                return Err(unexpected(node, "a list"));
            }
            for item in node.items() {
                value(&item, of, violations)?;
            }
            length(node.items().count(), *least, *most)
        }
        Kind::Texts => {
            if !node.value.is_object() {
                return Err(unexpected(node, "a map"));
            }
            for (_, member) in node.members() {
                text(&member)?;
            }
            None
        }
        Kind::Int(least) => {
            let number = node.value.as_i64();
            let number = number.ok_or_else(|| unexpected(node, "an integer"))?;
            (number < *least)
                .then(|| format!("Member must have value greater than or equal to {least}"))
        }
        Kind::Share => {
            let number = node.value.as_f64();
            let number = number.ok_or_else(|| unexpected(node, "a number"))?;
            if number < 0.0 {
                Some("Member must have value greater than or equal to 0".to_owned())
            } else if number > 1.0 {
                Some("Member must have value less than or equal to 1".to_owned())
            } else {
                None
            }
        }
        Kind::Blob => {
            let bytes = media::decode_standard(text(node)?);
            let bytes = bytes.ok_or_else(|| unexpected(node, "base64"))?;
            length(bytes.len(), 1, usize::MAX)
        }
        Kind::Text(least, most) => length(text(node)?.chars().count(), *least, *most),
        Kind::Name(names) => (!names.contains(&text(node)?))
            .then(|| format!("Member must satisfy enum value set: [{}]", names.join(", "))),
        Kind::Word(letters, pattern) => {
            let word = text(node)?;
            let is_right = word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || letters.contains(&byte));
            length(word.len(), 1, 64).or_else(|| {
                (!is_right)
                    .then(|| format!("Member must satisfy regular expression pattern: {pattern}"))
            })
        }
    };
    violations.extend(constraint.map(|constraint| Violation {
        value: shown(node.value),
        place: place(node),
        constraint,
    }));
    Ok(())
}

fn text<'v>(node: &Node<'v, '_>) -> Result<&'v str, Failure> {
    node.text().ok_or_else(|| unexpected(node, "a string"))
}

fn length(length: usize, least: usize, most: usize) -> Option<String> {
    if length < least {
        Some(format!(
            "Member must have length greater than or equal to {least}"
        ))
    } else if length > most {
        Some(format!(
            "Member must have length less than or equal to {most}"
        ))
    } else {
        None
    }
}

/// A value of another type than the service's JSON reader expects.
fn unexpected(node: &Node<'_, '_>, expected: &str) -> Failure {
    Failure::new(
        400,
        "SerializationException",
        format!(
            "The value at '{}' is not {expected}: {}",
            place(node),
            shown(node.value)
        ),
    )
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("'{text}'"),
        other => format!("'{other}'"),
    };
    let end = text.floor_char_boundary(200);
    text.get(..end).unwrap_or_default().to_owned()
}

/// `messages.1.member.role`: the way to a value as the service writes it, counting from one.
fn place(node: &Node<'_, '_>) -> String {
    let mut path = String::new();
    for step in node.steps() {
        let (separator, name) = match step {
            Step::Root => continue,
            Step::Key(key) => (".", key.to_owned()),
            Step::Index(index) => (".", (index + 1).to_string()),
        };
        let after_index = path.ends_with(|letter: char| letter.is_ascii_digit());
        if !path.is_empty() {
            path.push_str(separator);
            if after_index {
                path.push_str("member.");
            }
        }
        path.push_str(&name);
    }
    path
}
