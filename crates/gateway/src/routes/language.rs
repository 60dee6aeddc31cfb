//! Which language a text is written in.

use whatlang::Lang;

/// The language of a text by its two letters (ISO 639-1). `None`
/// where it is too short or too mixed to tell.
pub(super) fn of(text: &str) -> Option<&'static str> {
    let found = whatlang::detect(text)?;
    found.is_reliable().then(|| code(found.lang()))
}

/// Its two letters (<https://www.loc.gov/standards/iso639-2/php/code_list.php>).
fn code(language: Lang) -> &'static str {
    match language {
        Lang::Epo => "eo",
        Lang::Eng => "en",
        Lang::Rus => "ru",
        Lang::Cmn => "zh",
        Lang::Spa => "es",
        Lang::Por => "pt",
        Lang::Ita => "it",
        Lang::Ben => "bn",
        Lang::Fra => "fr",
        Lang::Deu => "de",
        Lang::Ukr => "uk",
        Lang::Kat => "ka",
        Lang::Ara => "ar",
        Lang::Hin => "hi",
        Lang::Jpn => "ja",
        Lang::Heb => "he",
        Lang::Yid => "yi",
        Lang::Pol => "pl",
        Lang::Amh => "am",
        Lang::Jav => "jv",
        Lang::Kor => "ko",
        Lang::Nob => "nb",
        Lang::Dan => "da",
        Lang::Swe => "sv",
        Lang::Fin => "fi",
        Lang::Tur => "tr",
        Lang::Nld => "nl",
        Lang::Hun => "hu",
        Lang::Ces => "cs",
        Lang::Ell => "el",
        Lang::Bul => "bg",
        Lang::Bel => "be",
        Lang::Mar => "mr",
        Lang::Kan => "kn",
        Lang::Ron => "ro",
        Lang::Slv => "sl",
        Lang::Hrv => "hr",
        Lang::Srp => "sr",
        Lang::Mkd => "mk",
        Lang::Lit => "lt",
        Lang::Lav => "lv",
        Lang::Est => "et",
        Lang::Tam => "ta",
        Lang::Vie => "vi",
        Lang::Urd => "ur",
        Lang::Tha => "th",
        Lang::Guj => "gu",
        Lang::Uzb => "uz",
        Lang::Pan => "pa",
        Lang::Aze => "az",
        Lang::Ind => "id",
        Lang::Tel => "te",
        Lang::Pes => "fa",
        Lang::Mal => "ml",
        Lang::Ori => "or",
        Lang::Mya => "my",
        Lang::Nep => "ne",
        Lang::Sin => "si",
        Lang::Khm => "km",
        Lang::Tuk => "tk",
        Lang::Aka => "ak",
        Lang::Zul => "zu",
        Lang::Sna => "sn",
        Lang::Afr => "af",
        Lang::Lat => "la",
        Lang::Slk => "sk",
        Lang::Cat => "ca",
        Lang::Tgl => "tl",
        Lang::Hye => "hy",
        Lang::Cym => "cy",
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_text_has_a_language() {
        for (text, expected) in [
            (
                "Where can I find the nearest train station, please?",
                Some("en"),
            ),
            (
                "Ich möchte morgen früh mit dem Zug nach Hamburg fahren und suche noch eine günstige Verbindung.",
                Some("de"),
            ),
            (
                "Je voudrais partir demain matin en train pour Lyon, mais je n'ai pas encore de billet : pourriez-vous m'aider ?",
                Some("fr"),
            ),
            ("最寄りの駅はどこですか。教えてください。", Some("ja")),
            (
                "Завтра утром я хотел бы поехать на поезде в Москву, но у меня ещё нет билета. Вы можете мне помочь?",
                Some("ru"),
            ),
            ("42", None),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
