//! Reads vectors and code out of docs/rfc/MDP-0.3.md, so that text and tests are one.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::Frames;

const DOCUMENT: &str = include_str!("../../../docs/rfc/MDP-0.3.md");

/// The test vectors of the document by their names.
pub(crate) fn vectors() -> BTreeMap<&'static str, Frames> {
    let mut vectors = BTreeMap::new();
    for (title, text) in blocks() {
        if let Some(name) = title.strip_prefix("vector ") {
            assert!(vectors.insert(name, frames(text)).is_none(), "two vectors named {name}");
        }
    }
    vectors
}

/// One of them.
pub(crate) fn vector(name: &str) -> Frames {
    vectors().remove(name).unwrap_or_else(|| panic!("the document has no vector {name}"))
}

/// The peer of appendix B.
pub(crate) fn python() -> &'static str {
    let (_, text) = blocks().into_iter().find(|(title, _)| *title == "python").expect("appendix B has a python block");
    text
}

/// Code blocks: what stands behind the opening fence, and the text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = DOCUMENT.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a block has lines")).collect()
}

/// Lines of hexadecimal digits; `#` begins a comment, `--` ends a frame.
fn frames(text: &str) -> Frames {
    let frames = text.split("\n--\n");
    frames.map(|frame| frame.lines().flat_map(octets).collect::<Vec<u8>>()).map(Bytes::from).collect()
}

fn octets(line: &str) -> Vec<u8> {
    let digits = line.split('#').next().unwrap_or_default().replace(' ', "");
    assert!(digits.len().is_multiple_of(2), "half an octet in {line:?}");
    let octet = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16);
    (0..digits.len()).step_by(2).map(|at| octet(at).unwrap_or_else(|_| panic!("not hexadecimal: {line:?}"))).collect()
}
