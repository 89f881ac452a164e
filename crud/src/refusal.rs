//! What a request did wrong, in words for the person who sent it: the text behind the status `400`.

/// Why a request is refused, and what would be allowed instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Refusal {
    /// A refusal with this reason. Characters that would break a one-line status are escaped.
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self(one_line(reason.as_ref()))
    }
}

/// `text` without control characters and cut to a readable length, since parts of it may come from a peer.
pub(crate) fn one_line(text: &str) -> String {
    const SHOWN_MAX: usize = 500;
    let mut line = String::new();
    for character in text.chars() {
        if line.len() >= SHOWN_MAX {
            line.push('…');
            break;
        }
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

/// An address without the name and password that it may carry, for a message that others may read.
pub(crate) fn without_secrets(address: &str) -> String {
    match (address.find("//"), address.rfind('@')) {
        (Some(start), Some(end)) if start < end => {
            let (before, after) = (address.get(..start + 2), address.get(end..));
            format!("{}…{}", before.unwrap_or_default(), after.unwrap_or_default())
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_repeated() {
        assert_eq!(without_secrets("mongodb+srv://me:se@cret@host/db"), "mongodb+srv://…@host/db");
        assert_eq!(without_secrets("redis://host"), "redis://host");
        assert_eq!(without_secrets("sqlite:a@b"), "sqlite:a@b");
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(Refusal::new("a\nb").to_string(), "a\\nb");
        assert!(Refusal::new("x".repeat(100_000)).to_string().len() < 600);
    }
}
