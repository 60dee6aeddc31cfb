//! What is said, in whichever format. None of it needs an escape in JSON.

/// The instructions.
pub const SYSTEM: &str = "You are the support assistant of a mid-sized logistics company. Answer in at most \
    three sentences, in the customer's language, and never promise a delivery date that the tracking \
    data does not show. If the customer is upset, acknowledge it once and move on to what can be done.";
/// What the customer said first.
pub const EARLIER: &str = "Hello, my parcel 0048-2210-77 was due on Tuesday and the page still says that it \
    is in transit. I have already called twice and nobody could tell me where it is.";
/// What was answered.
pub const REPLY: &str = "I am sorry about the wait. The parcel left the Rotterdam hub this morning at \
    06:40 and the carrier shows it on the van for your area, so I will keep an eye on it and write to \
    you as soon as it is scanned again.";
/// What the customer asks now.
pub const QUESTION: &str = "Thank you. If nobody is at home, can the driver leave it with the bakery next \
    door? They are open until six and they know me.";

/// The answer, when it comes whole.
pub const ANSWER: &str = "Yes, that is possible. I have added a note for the driver to leave parcel \
    0048-2210-77 with the bakery next door if nobody answers, and you will get a message with \
    the name of the person who signed for it. If the bakery is closed by then, the driver takes \
    it to the collection point in Station Street, where it waits for you for seven days.";

/// Pieces of a streamed answer. OpenAI says each in a chunk of its own, and the role and the end in one more
/// each, which makes fifty chunks.
pub const PIECES: usize = 48;

/// The pieces of a streamed answer.
pub fn pieces() -> impl Iterator<Item = &'static str> {
    let words = [
        "Yes",
        ",",
        " that",
        " is",
        " possible",
        ".",
        " The",
        " driver",
        " will",
        " call",
    ];
    words.into_iter().cycle().take(PIECES)
}
