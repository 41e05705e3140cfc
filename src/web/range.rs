//! `Range` headers: which part of a file is asked for.

use std::ops::Range;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: nothing else was said, or nothing that we understand.
    Whole,
    /// These bytes; never none.
    Part(Range<u64>),
    /// Bytes beyond the end.
    Beyond,
}

/// Reads a header for a file of `size` bytes. Several parts at once are answered with the whole file, which is allowed.
pub(super) fn read(header: Option<&str>, size: u64) -> Asked {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Asked::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else { return Asked::Whole };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
    let part = match (first, last) {
        ("", last) => match number(last) {
            Some(0) => return Asked::Beyond,
            Some(length) => size.saturating_sub(length)..size,
            None => return Asked::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => first..size,
            None => return Asked::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Asked::Whole,
        },
    };
    if part.start >= size { Asked::Beyond } else { Asked::Part(part) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_the_standard_says() {
        let of_ten = |text: &str| read(Some(text), 10);
        assert_eq!(of_ten("bytes=0-3"), Asked::Part(0..4));
        assert_eq!(of_ten("bytes=4-"), Asked::Part(4..10));
        assert_eq!(of_ten("bytes=-3"), Asked::Part(7..10));
        assert_eq!(of_ten("bytes=-30"), Asked::Part(0..10));
        assert_eq!(of_ten("bytes=9-99"), Asked::Part(9..10));
        assert_eq!(of_ten("bytes=10-"), Asked::Beyond);
        assert_eq!(of_ten("bytes=-0"), Asked::Beyond);
        assert_eq!(read(Some("bytes=0-"), 0), Asked::Beyond);
        for odd in [
            "bytes=3-1",
            "bytes=a-b",
            "items=0-1",
            "bytes=0-1,3-4",
            "bytes=",
            "bytes=-",
            "bytes=+1-2",
        ] {
            assert_eq!(of_ten(odd), Asked::Whole, "{odd}");
        }
        assert_eq!(read(None, 10), Asked::Whole);
        assert_eq!(of_ten("bytes=0-18446744073709551615"), Asked::Part(0..10));
    }
}
