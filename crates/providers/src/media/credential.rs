//! How a caller proves itself to the vendors of pictures and sound: always a key, each in another field.

use bytes::Bytes;
use http::{HeaderName, Request};

use crate::credential::{self, Credential};
use crate::dialect::Refusal;

/// Where a vendor wants its key.
pub(crate) struct Place {
    /// The vendor's name, for a refusal.
    pub(crate) host: &'static str,
    /// The field.
    pub(crate) field: HeaderName,
    /// What stands before the key.
    pub(crate) prefix: &'static str,
}

const fn field(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// <https://platform.stability.ai/docs/api-reference>
pub(crate) const STABILITY: Place = Place {
    host: "Stability",
    field: field("authorization"),
    prefix: "Bearer ",
};
/// <https://docs.bfl.ai/quick_start/generating_images>
pub(crate) const BLACK_FOREST_LABS: Place = Place {
    host: "Black Forest Labs",
    field: field("x-key"),
    prefix: "",
};
/// <https://docs.fal.ai/documentation/model-apis/authentication>
pub(crate) const FAL: Place = Place {
    host: "fal",
    field: field("authorization"),
    prefix: "Key ",
};
/// <https://replicate.com/docs/reference/http#authentication>
pub(crate) const REPLICATE: Place = Place {
    host: "Replicate",
    field: field("authorization"),
    prefix: "Bearer ",
};
/// <https://elevenlabs.io/docs/api-reference/authentication>
pub(crate) const ELEVENLABS: Place = Place {
    host: "ElevenLabs",
    field: field("xi-api-key"),
    prefix: "",
};
/// <https://developers.deepgram.com/reference/authentication>
pub(crate) const DEEPGRAM: Place = Place {
    host: "Deepgram",
    field: field("authorization"),
    prefix: "Token ",
};

/// Writes the key where the vendor wants it.
pub(crate) fn authorize(
    request: &mut Request<Bytes>,
    credential: &Credential,
    place: &Place,
) -> Result<(), Refusal> {
    let Credential::ApiKey(key) = credential else {
        return Err(credential::wrong_kind(place.host, "an API key"));
    };
    let value = credential::field(place.prefix, key)?;
    request.headers_mut().insert(place.field.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::secret::Secret;

    use super::*;

    #[test]
    fn each_vendor_finds_its_key_where_it_looks() {
        let key = Credential::ApiKey(Secret::new("k".to_owned()));
        for (place, field, value) in [
            (&FAL, "authorization", "Key k"),
            (&DEEPGRAM, "authorization", "Token k"),
            (&BLACK_FOREST_LABS, "x-key", "k"),
            (&ELEVENLABS, "xi-api-key", "k"),
        ] {
            let mut request = Request::new(Bytes::new());
            authorize(&mut request, &key, place).unwrap();
            assert_eq!(request.headers()[field], value);
        }
    }

    #[test]
    fn a_credential_of_another_kind_is_refused_by_the_vendors_name() {
        let token = Credential::Token(Secret::new("t".to_owned()));
        let refusal = authorize(&mut Request::new(Bytes::new()), &token, &FAL).unwrap_err();
        assert!(refusal.detail.starts_with("fal takes"));
    }
}
