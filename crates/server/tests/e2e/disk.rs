//! A disk that is full: new work is refused before it is sent, what is there stays, and it goes on when there is
//! room again.

use crate::bench::process::Installation;
use crate::bench::simulated::Simulated;
use crate::bench::wait::eventually;
use crate::bench::{ask, providers};

/// More than a new store takes, and less than some hundred calls do.
const ROOM: u64 = 640 * 1024;
/// Far more calls than there is room for.
const MOST: usize = 3_000;

#[tokio::test]
async fn a_full_disk_refuses_new_calls_before_they_are_sent_until_there_is_room_again() {
    let sim = Simulated::start().await;
    let installation = Installation::new(&providers(sim.address));
    // The store is there before the room is gone.
    installation.start().await.stop().await;
    let trunkline = installation.start_with_little_room(ROOM).await;
    let (app, admin) = (trunkline.app(), trunkline.admin());
    // What a caller says is in no row; its identifier is, and fills the disk.
    let long = "x".repeat(200);
    let mut answered = 0;
    let refused = loop {
        let id = format!("{long}-{answered}");
        let fields = [("x-client-request-id", id.as_str())];
        let answer = app.chat_with(&fields, &ask("openai/gpt", "Hello")).await;
        if answer.status != 200 {
            break answer;
        }
        answered += 1;
        assert!(answered < MOST, "the disk never fills");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(sim.calls().len(), answered, "what was refused was not sent");
    assert_eq!(admin.get("/healthz").await.status, 200);

    trunkline.make_room().await;
    eventually("calls are taken again", async || {
        let answer = app.chat(&ask("openai/gpt", "Hello")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let sent = sim.calls().len();
    let calls = eventually("every call is recorded", async || {
        let calls = admin.logs("").await;
        (calls.len() >= sent).then_some(calls)
    })
    .await;
    assert_eq!(calls.len(), sent);
    assert!(calls.iter().all(|call| call["state"] == "settled"));
    let checked = installation.print(&["ledger", "check", "--json"]).await;
    assert!(checked.contains("\"agrees\": true"), "{checked}");
    trunkline.stop().await;
}
