//! What a caller sees of the simulated provider, face by face.

mod anthropic;
mod ask;
mod faults;
mod gemini;
mod openai;
mod sockets;
