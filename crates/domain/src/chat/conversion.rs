//! What a translation did to a request and its answer.

use std::borrow::Cow;

use serde::Serialize;

/// The report of one translated call. Paths are the caller's (`messages[2].content[0].image_url.detail`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Conversion {
    /// What arrived with the same meaning, by path; top-level fields only, so that the list stays short.
    pub carried: Vec<Cow<'static, str>>,
    /// What arrived with another value or in another way.
    pub changed: Vec<Change>,
    /// What the target cannot express and did not get.
    pub dropped: Vec<Loss>,
}

/// Something that arrived differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What, as a path in the caller's format.
    pub field: Cow<'static, str>,
    /// How and why, in a sentence.
    pub reason: Cow<'static, str>,
}

/// Something that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// What, as a path in the caller's format.
    pub field: Cow<'static, str>,
    /// Why, in a sentence.
    pub reason: Cow<'static, str>,
}

impl Conversion {
    /// Notes that a field arrived as it was.
    pub fn carry(&mut self, field: impl Into<Cow<'static, str>>) {
        let field = field.into();
        if !self.carried.contains(&field) {
            self.carried.push(field);
        }
    }

    /// Notes that a field arrived differently.
    pub fn change(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) {
        self.changed.push(Change {
            field: field.into(),
            reason: reason.into(),
        });
    }

    /// Notes that a field did not arrive. A strict route refuses the request for it.
    pub fn drop(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) {
        self.dropped.push(Loss {
            field: field.into(),
            reason: reason.into(),
        });
    }

    /// Says every field in other words, such as the caller's.
    pub fn rename(&mut self, name: impl Fn(&str) -> String) {
        for field in std::mem::take(&mut self.carried) {
            self.carry(name(&field));
        }
        for change in &mut self.changed {
            change.field = Cow::Owned(name(&change.field));
        }
        for loss in &mut self.dropped {
            loss.field = Cow::Owned(name(&loss.field));
        }
    }

    /// Whether nothing was dropped.
    pub fn is_lossless(&self) -> bool {
        self.dropped.is_empty()
    }
}
