//! Languages: OpenAI's verbose transcripts name them in English, other providers by a code.

/// Codes of two letters (ISO 639-1), of three (ISO 639-3), and the name that OpenAI writes.
const LANGUAGES: [(&str, &str, &str); 57] = [
    ("af", "afr", "afrikaans"),
    ("ar", "ara", "arabic"),
    ("hy", "hye", "armenian"),
    ("az", "aze", "azerbaijani"),
    ("be", "bel", "belarusian"),
    ("bs", "bos", "bosnian"),
    ("bg", "bul", "bulgarian"),
    ("ca", "cat", "catalan"),
    ("zh", "zho", "chinese"),
    ("hr", "hrv", "croatian"),
    ("cs", "ces", "czech"),
    ("da", "dan", "danish"),
    ("nl", "nld", "dutch"),
    ("en", "eng", "english"),
    ("et", "est", "estonian"),
    ("fi", "fin", "finnish"),
    ("fr", "fra", "french"),
    ("gl", "glg", "galician"),
    ("de", "deu", "german"),
    ("el", "ell", "greek"),
    ("he", "heb", "hebrew"),
    ("hi", "hin", "hindi"),
    ("hu", "hun", "hungarian"),
    ("is", "isl", "icelandic"),
    ("id", "ind", "indonesian"),
    ("it", "ita", "italian"),
    ("ja", "jpn", "japanese"),
    ("kn", "kan", "kannada"),
    ("kk", "kaz", "kazakh"),
    ("ko", "kor", "korean"),
    ("lv", "lav", "latvian"),
    ("lt", "lit", "lithuanian"),
    ("mk", "mkd", "macedonian"),
    ("ms", "msa", "malay"),
    ("mr", "mar", "marathi"),
    ("mi", "mri", "maori"),
    ("ne", "nep", "nepali"),
    ("no", "nor", "norwegian"),
    ("fa", "fas", "persian"),
    ("pl", "pol", "polish"),
    ("pt", "por", "portuguese"),
    ("ro", "ron", "romanian"),
    ("ru", "rus", "russian"),
    ("sr", "srp", "serbian"),
    ("sk", "slk", "slovak"),
    ("sl", "slv", "slovenian"),
    ("es", "spa", "spanish"),
    ("sw", "swa", "swahili"),
    ("sv", "swe", "swedish"),
    ("tl", "tgl", "tagalog"),
    ("ta", "tam", "tamil"),
    ("th", "tha", "thai"),
    ("tr", "tur", "turkish"),
    ("uk", "ukr", "ukrainian"),
    ("ur", "urd", "urdu"),
    ("vi", "vie", "vietnamese"),
    ("cy", "cym", "welsh"),
];

/// The name of a language whose code a provider wrote; what is no known code is given back as it is.
pub(super) fn name(code: &str) -> &str {
    let primary = code.split(['-', '_']).next().unwrap_or(code);
    LANGUAGES
        .iter()
        .find(|(two, three, _)| {
            primary.eq_ignore_ascii_case(two) || primary.eq_ignore_ascii_case(three)
        })
        .map_or(code, |(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_code_of_any_length_has_one_name() {
        for code in ["en", "eng", "en-US", "EN"] {
            assert_eq!(name(code), "english", "{code}");
        }
        assert_eq!(name("tlh"), "tlh");
    }
}
