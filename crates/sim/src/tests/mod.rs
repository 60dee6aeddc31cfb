//! What a caller sees of the simulated provider, face by face.

mod altered;
mod anthropic;
mod ask;
mod azure;
mod batches;
mod bedrock;
mod cohere;
mod completions;
mod counting;
mod faults;
mod formats;
mod gemini;
mod huggingface;
mod issuers;
mod mistral;
mod openai;
mod realtime;
mod responses;
mod signatures;
mod sockets;
mod tasks;
mod vertex;
