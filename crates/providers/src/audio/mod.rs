//! Sound: text read aloud ([`speech`]) and recordings written down ([`transcription`]).

mod duration;
pub mod speech;
pub mod transcription;
mod wav;

pub use speech::OpenaiSpeech;
pub use transcription::OpenaiTranscripts;
