//! The form in which a corpus holds an answer: a status, header fields, an empty line, a body.

use bff::oauth::answer_text;
use bff::registration::RawAnswer;
use jiff::Timestamp;

/// The answer in `data`. What has no such head is the body of a 200.
pub(crate) fn answer(data: &[u8]) -> RawAnswer {
    let (head, body) = split(data, b"\n\n").unwrap_or((b"200", data));
    let head = String::from_utf8_lossy(head);
    let (status, fields) = head.split_once('\n').unwrap_or((&head, ""));
    let field = |name: &str| {
        let mut fields = fields.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    RawAnswer {
        location: field("Location"),
        challenge: field("WWW-Authenticate"),
        retry_after_s: field("Retry-After").and_then(|value| value.parse().ok()),
        ..RawAnswer::new(
            status.trim().parse().unwrap_or(200),
            body,
            Timestamp::UNIX_EPOCH,
        )
    }
}

/// What an answer says, as it is shown.
pub(crate) fn said(answer: &RawAnswer) -> Option<String> {
    let body = answer.body.expose().as_bytes();
    answer_text(
        answer.status,
        body,
        answer.challenge.as_deref(),
        &answer.sent,
    )
}

/// The part before the first `separator`, and the part behind it.
pub(crate) fn split<'a>(data: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = data
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((&data[..at], &data[at + separator.len()..]))
}
