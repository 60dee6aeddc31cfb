use super::*;

fn headers(content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
    headers
}

fn form_headers() -> HeaderMap {
    headers("multipart/form-data; charset=utf-8; boundary=\"x y\"")
}

const BODY: &[u8] = b"preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
    --x y \r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\a \\\"b\\\".wav\"\r\ncontent-type: audio/wav\r\n\r\n\
    RIFF\r\n--x yes, this is data\r\n\0\xff\r\n--x y\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n--x y--\r\nepilogue";

#[test]
fn parts_are_found_where_they_stand() {
    let headers = form_headers();
    let form = Form::read(&headers, BODY).unwrap();
    let names: Vec<&str> = form.parts().iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["model", "file", "empty"]);
    assert_eq!(form.text("model"), Ok(Some("whisper-1")));
    assert_eq!(form.text("empty"), Ok(Some("")));
    let file = form.one("file").unwrap().unwrap();
    assert_eq!(file.file_name.as_deref(), Some("C:\\a \"b\".wav"));
    assert_eq!(file.content_type.as_deref(), Some("audio/wav"));
    assert_eq!(
        form.content(file),
        b"RIFF\r\n--x yes, this is data\r\n\0\xff"
    );
}

#[test]
fn one_part_is_replaced_and_nothing_else() {
    let headers = form_headers();
    let span = Form::read(&headers, BODY)
        .unwrap()
        .one("model")
        .unwrap()
        .unwrap()
        .span
        .clone();
    let spliced = splice(BODY, span, b"gpt-4o-transcribe");
    let form = Form::read(&headers, &spliced).unwrap();
    assert_eq!(form.text("model"), Ok(Some("gpt-4o-transcribe")));
    assert_eq!(
        spliced.len(),
        BODY.len() - "whisper-1".len() + "gpt-4o-transcribe".len()
    );
}

#[test]
fn a_list_is_found_under_each_of_its_spellings() {
    let (content_type, body) = NewForm::default()
        .text("include", "a")
        .text("include[]", "b")
        .text("include[1]", "c")
        .text("include_other", "d")
        .text("include[x]", "e")
        .finish();
    let headers = headers(content_type.to_str().unwrap());
    let form = Form::read(&headers, &body).unwrap();
    let texts: Vec<&str> = form
        .list("include")
        .map(|part| form.text_of(part).unwrap())
        .collect();
    assert_eq!(texts, ["a", "b", "c"]);
}

#[test]
fn what_is_no_form_is_refused_with_a_reason() {
    for (content_type, body, reason) in [
        ("application/json", &b"{}"[..], "must be a form"),
        ("multipart/form-data", b"", "must be a form"),
        (
            "multipart/form-data; boundary=",
            b"",
            "must have 1 to 70 bytes",
        ),
        (
            "multipart/form-data; boundary=a",
            b"nothing",
            "nowhere in the body",
        ),
        (
            "multipart/form-data; boundary=a",
            b"--a\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nwithout end",
            "last boundary is missing",
        ),
        (
            "multipart/form-data; boundary=a",
            b"--a\r\nContent-Type: text/plain\r\n\r\nx\r\n--a--",
            "no name",
        ),
        (
            "multipart/form-data; boundary=a",
            b"--a\r\nContent-Disposition: form-data; name=\"x\"\r\nno end of fields",
            "fields do not end",
        ),
        (
            "multipart/form-data; boundary=a",
            b"--a\r\nContent-Disposition: attachment; name=\"x\"\r\n\r\nx\r\n--a--",
            "not form-data",
        ),
    ] {
        let refusal = Form::read(&headers(content_type), body).unwrap_err();
        assert!(
            refusal.detail.contains(reason),
            "{content_type}: {}",
            refusal.detail
        );
    }
}

#[test]
fn a_field_that_is_there_twice_is_refused_by_name() {
    let (content_type, body) = NewForm::default()
        .text("model", "a")
        .text("model", "b")
        .finish();
    let headers = headers(content_type.to_str().unwrap());
    let refusal = Form::read(&headers, &body)
        .unwrap()
        .text("model")
        .unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("model"));
}

#[test]
fn more_parts_than_any_form_has_are_refused() {
    let form = (0..=MAX_PARTS).fold(NewForm::default(), |form, _| form.text("x", ""));
    let (content_type, body) = form.finish();
    let refusal = Form::read(&headers(content_type.to_str().unwrap()), &body).unwrap_err();
    assert!(refusal.detail.contains("more than 128 parts"));
}

#[test]
fn a_new_form_reads_back_whatever_its_contents_hold() {
    let content = b"--trunkline-form\r\ntrunkline-form-1\r\n";
    let (content_type, body) = NewForm::default()
        .text("a\"b\n", "trunkline-form-2")
        .file("file", "a\"\r\n.bin", "audio/wav\r\nX-Y: z", content)
        .finish();
    let headers = headers(content_type.to_str().unwrap());
    let form = Form::read(&headers, &body).unwrap();
    let file = form.one("file").unwrap().unwrap();
    assert_eq!(form.content(file), content);
    assert_eq!(file.file_name.as_deref(), Some("a%22%0D%0A.bin"));
    assert_eq!(file.content_type.as_deref(), Some("audio/wavX-Y: z"));
    assert_eq!(form.text("a%22b%0A"), Ok(Some("trunkline-form-2")));
}

#[test]
fn arbitrary_bytes_never_break_the_reader() {
    bolero::check!()
        .with_max_len(512)
        .with_test_time(std::time::Duration::from_secs(2))
        .for_each(|bytes: &[u8]| {
            if let Ok(form) = Form::read(&headers("multipart/form-data; boundary=a"), bytes) {
                for part in form.parts() {
                    assert!(part.span.start <= part.span.end && part.span.end <= bytes.len());
                }
            }
        });
}
