use std::sync::Arc;

use domain::chat::Message;
use domain::egress::EgressError;
use providers::face::Face as _;
use providers::openai::OpenaiChat;

use super::*;
use crate::testing::{Act, Hand, Script, Step, piece, run};

const URL: &str = "https://example.com/pictures/cat.png?size=1";
const PNG: &str = "\u{89}PNG";

fn request(urls: &[&str]) -> ChatRequest {
    let parts: Vec<_> = urls
        .iter()
        .map(|url| serde_json::json!({"type": "image_url", "image_url": {"url": url}}))
        .collect();
    let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": parts}]});
    OpenaiChat
        .parse(
            &providers::face::Asked::default(),
            body.to_string().as_bytes(),
        )
        .unwrap()
}

fn rules() -> MediaRules {
    MediaRules {
        max_bytes: 10,
        max_files: 2,
        max_redirects: 2,
        ..MediaRules::default()
    }
}

fn fetched(acts: impl IntoIterator<Item = Act>) -> (Arc<Script>, Result<ChatRequest, Refusal>) {
    let script = Script::of(acts);
    let clock = Hand::default();
    let mut request = request(&[URL]);
    let urls = [URL.to_owned()];
    let done = run(
        &clock,
        fetch_into(&mut request, &urls, &rules(), &*script, &clock),
    );
    (script, done.map(|()| request))
}

fn picture() -> Act {
    let bytes = Bytes::from_static(&[0x89, b'P', b'N', b'G', 1]);
    Act::Answer(
        200,
        vec![("content-type", "text/html".to_owned())],
        vec![Step::Piece(bytes)],
    )
}

fn redirect(to: &str) -> Act {
    Act::Answer(302, vec![("location", to.to_owned())], Vec::new())
}

fn source(request: &ChatRequest) -> Option<&Source> {
    request
        .messages
        .iter()
        .flat_map(Message::content)
        .find_map(|part| match part {
            Part::Image(media) => Some(&media.source),
            _ => None,
        })
}

fn visited(script: &Script) -> Vec<String> {
    let sent = script.sent.lock().unwrap();
    sent.iter()
        .map(|outbound| outbound.request.uri().to_string())
        .collect()
}

#[test]
fn a_picture_is_put_in_place_under_the_type_that_its_bytes_say() {
    let (_, request) = fetched([picture()]);
    let inline = Source::Inline {
        media_type: "image/png".to_owned(),
        base64: "iVBORwE=".into(),
    };
    assert_eq!(source(&request.unwrap()), Some(&inline));
}

#[test]
fn a_callers_url_reaches_public_addresses_only_and_so_do_its_redirections() {
    let (script, request) = fetched([redirect("http://169.254.169.254/latest"), picture()]);
    assert!(request.is_ok());
    let sent = script.sent.lock().unwrap();
    assert_eq!(sent.len(), 2);
    for outbound in &*sent {
        assert_eq!(outbound.reach, Reach::Public);
        assert!(
            outbound.request.headers().is_empty(),
            "no credential goes along"
        );
    }
}

#[test]
fn an_address_that_is_refused_is_named() {
    let refused = EgressError::AddressRefused("127.0.0.1".parse().unwrap());
    let (_, request) = fetched([Act::Refuse(refused)]);
    assert!(
        request
            .unwrap_err()
            .detail
            .contains("address 127.0.0.1 is not public")
    );
}

#[test]
fn redirections_are_resolved_as_urls_are() {
    for (location, leads_to) in [
        ("https://other.example/x", "https://other.example/x"),
        ("//other.example/x", "https://other.example/x"),
        (
            "/x?from=https://example.com",
            "https://example.com/x?from=https://example.com",
        ),
        ("dog.png", "https://example.com/pictures/dog.png"),
        ("img/dog.png", "https://example.com/pictures/img/dog.png"),
    ] {
        let (script, request) = fetched([redirect(location), picture()]);
        assert!(request.is_ok(), "{location}: {request:?}");
        assert_eq!(visited(&script), [URL, leads_to]);
    }
}

#[test]
fn redirections_have_a_bound_and_keep_to_the_web() {
    let (script, request) = fetched([redirect("/a"), redirect("/b"), redirect("/c")]);
    assert!(request.unwrap_err().detail.contains("more than 2 times"));
    assert_eq!(script.requests(), 3);
    for location in [
        "file:///etc/passwd",
        "ftp://example.com/x",
        "mailto:a@example.com",
    ] {
        let (script, request) = fetched([redirect(location)]);
        assert!(request.is_err(), "{location}");
        assert_eq!(script.requests(), 1);
    }
    let (_, request) = fetched([Act::Answer(302, Vec::new(), Vec::new())]);
    assert!(request.unwrap_err().detail.contains("what is no URL"));
}

#[test]
fn a_file_that_is_too_large_is_refused_before_and_while_it_is_read() {
    let announced = Act::Answer(
        200,
        vec![("content-length", "11".to_owned())],
        vec![Step::Hang],
    );
    let silent = Act::Answer(
        200,
        Vec::new(),
        vec![piece("123456"), piece("78901"), Step::Hang],
    );
    for act in [announced, silent] {
        let (_, request) = fetched([act]);
        assert!(request.unwrap_err().detail.contains("larger than 10 bytes"));
    }
}

#[test]
fn a_file_that_never_comes_has_its_time() {
    let (_, request) = fetched([Act::Answer(200, Vec::new(), vec![piece(PNG), Step::Hang])]);
    assert!(request.unwrap_err().detail.contains("it took too long"));
}

#[test]
fn what_is_no_media_is_refused() {
    let (_, request) = fetched([Act::whole(200, "<html>")]);
    assert!(request.unwrap_err().detail.contains("neither a PNG"));
    let (_, request) = fetched([Act::whole(404, "")]);
    assert!(request.unwrap_err().detail.contains("it answered 404"));
}

#[test]
fn more_files_than_are_fetched_are_refused_unfetched() {
    let script = Script::of([]);
    let clock = Hand::default();
    let urls = [
        "https://a.example/1",
        "https://a.example/2",
        "https://a.example/3",
    ];
    let mut request = request(&urls);
    let urls = urls.map(str::to_owned);
    let refused = run(
        &clock,
        fetch_into(&mut request, &urls, &rules(), &*script, &clock),
    );
    assert!(refused.unwrap_err().detail.contains("at most 2"));
    assert_eq!(script.requests(), 0);
}
