//! The catalog's data files: one per provider, one model per line, so that a change of one price
//! is a change of one line.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::{ImplausibleFacts, ModelFacts};

/// All data files together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CatalogFile {
    /// One file per provider.
    pub providers: Vec<ProviderFile>,
}

/// The models of one provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderFile {
    /// The provider's name in the catalog.
    pub provider: String,
    /// The day of the last refresh.
    pub refreshed: Date,
    /// The vendor's own pages, for whoever wants to check.
    pub pricing_urls: Vec<String>,
    /// The models, in order of their ids.
    pub models: Vec<ModelFacts>,
}

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCatalogFile {
    /// It is not JSON of the right shape.
    #[error("the catalog file is malformed")]
    Malformed(#[from] serde_json::Error),
    /// Two files, or the same file twice, for one provider.
    #[error("there are two catalog files for provider {0}")]
    Twice(String),
    /// A model cannot be what the file says.
    #[error("model {provider}/{model} is implausible")]
    Implausible {
        /// The provider's name.
        provider: String,
        /// The model's id.
        model: String,
        /// What is wrong.
        #[source]
        source: ImplausibleFacts,
    },
}

impl CatalogFile {
    /// Reads data files; every model is checked, and one implausible model refuses the whole.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, BadCatalogFile> {
        let mut providers: Vec<ProviderFile> = Vec::new();
        for text in texts {
            let file = ProviderFile::parse(text)?;
            if providers
                .iter()
                .any(|other| other.provider == file.provider)
            {
                return Err(BadCatalogFile::Twice(file.provider));
            }
            providers.push(file);
        }
        Ok(Self { providers })
    }

    /// The file of one provider.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&ProviderFile> {
        self.providers.iter().find(|file| file.provider == name)
    }
}

impl ProviderFile {
    /// Reads one file and checks its models.
    pub fn parse(text: &str) -> Result<Self, BadCatalogFile> {
        let file: Self = serde_json::from_str(text)?;
        for model in &file.models {
            model
                .check()
                .map_err(|source| BadCatalogFile::Implausible {
                    provider: file.provider.clone(),
                    model: model.id.clone(),
                    source,
                })?;
        }
        Ok(file)
    }

    /// The file's name, `openai.json`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.json", self.provider)
    }

    /// The file's text. Reading it back gives the same file.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let models = self
            .models
            .iter()
            .map(|model| Ok(format!("  {}", known_only(serde_json::to_value(model)?))))
            .collect::<Result<Vec<_>, serde_json::Error>>()?;
        Ok(format!(
            "{{\n\"provider\": {},\n\"refreshed\": {},\n\"pricing_urls\": {},\n\"models\": [\n{}\n]\n}}\n",
            serde_json::to_string(&self.provider)?,
            serde_json::to_string(&self.refreshed)?,
            serde_json::to_string(&self.pricing_urls)?,
            models.join(",\n"),
        ))
    }
}

/// Leaves out what is not known: `null` members, and objects that are empty without them.
fn known_only(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, member)| (name, known_only(member)))
                .filter(|(name, member)| match member {
                    Value::Null => false,
                    Value::Object(members) => !(members.is_empty() && name == "capabilities"),
                    _ => true,
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(known_only).collect()),
        other => other,
    }
}
