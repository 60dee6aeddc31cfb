//! The models of one provider, found by any of their names.

use std::collections::HashMap;

use super::facts::ModelFacts;
use super::pattern::Pattern;

/// The models of one provider and an index of their names.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    models: Vec<ModelFacts>,
    by_name: HashMap<String, usize>,
    patterns: Vec<(Pattern, usize)>,
}

impl Shelf {
    pub(super) fn new(models: Vec<ModelFacts>) -> Self {
        let mut by_name = HashMap::new();
        for (index, model) in models.iter().enumerate() {
            by_name.insert(model.id.to_lowercase(), index);
        }
        let mut patterns = Vec::new();
        for (index, model) in models.iter().enumerate() {
            for pattern in &model.names {
                match pattern.single_name() {
                    Some(name) => {
                        by_name.entry(name.to_owned()).or_insert(index);
                    }
                    None => patterns.push((pattern.clone(), index)),
                }
            }
        }
        Self {
            models,
            by_name,
            patterns,
        }
    }

    /// The model of this name, in lower case: by its id, then an alias, then the most precise
    /// pattern.
    pub(super) fn find(&self, name: &str) -> Option<&ModelFacts> {
        self.find_exactly(name).or_else(|| {
            let index = self
                .patterns
                .iter()
                .filter(|(pattern, _)| pattern.matches(name))
                .max_by_key(|(pattern, _)| pattern.precision())
                .map(|(_, index)| *index)?;
            self.models.get(index)
        })
    }

    /// The model of this id or alias, in lower case.
    pub(super) fn find_exactly(&self, name: &str) -> Option<&ModelFacts> {
        self.models.get(*self.by_name.get(name)?)
    }

    pub(super) fn models(&self) -> &[ModelFacts] {
        &self.models
    }
}
