//! IPv4 prefixes: what a network's address space and its subnets are made of, and which address an interface gets.

use std::net::Ipv4Addr;

/// `10.0.0.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    first: u32,
    length: u32,
}

impl Prefix {
    /// None for what is no prefix, or has bits behind it.
    pub fn parse(text: &str) -> Option<Prefix> {
        let (address, length) = text.split_once('/')?;
        let (first, length) = (u32::from(address.parse::<Ipv4Addr>().ok()?), length.parse::<u32>().ok()?);
        let prefix = Prefix { first, length };
        (length <= 32 && u64::from(first) % prefix.size() == 0).then_some(prefix)
    }

    pub fn length(self) -> u32 {
        self.length
    }

    fn size(self) -> u64 {
        1 << (32 - self.length)
    }

    pub fn contains(self, other: Prefix) -> bool {
        let (start, end) = (u64::from(self.first), u64::from(self.first) + self.size());
        (start..end).contains(&u64::from(other.first)) && self.length <= other.length
    }

    pub fn overlaps(self, other: Prefix) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The first address that is not taken. Azure keeps the first four and the last one for itself.
    pub fn free(self, taken: &[String]) -> Option<String> {
        (4..self.size().saturating_sub(1))
            .filter_map(|offset| u32::try_from(u64::from(self.first) + offset).ok())
            .map(|address| Ipv4Addr::from(address).to_string())
            .find(|address| !taken.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_and_compared() {
        let prefix = |text: &str| Prefix::parse(text).unwrap();
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.1/24", "10.0.0/24", "x/8"] {
            assert_eq!(Prefix::parse(bad), None, "{bad}");
        }
        for (a, b, contains, overlaps) in [
            ("10.0.0.0/16", "10.0.3.0/24", true, true),
            ("10.0.3.0/24", "10.0.0.0/16", false, true),
            ("10.0.0.0/16", "10.1.0.0/24", false, false),
            ("0.0.0.0/0", "255.255.255.255/32", true, true),
        ] {
            assert_eq!(prefix(a).contains(prefix(b)), contains, "{a} {b}");
            assert_eq!(prefix(a).overlaps(prefix(b)), overlaps, "{a} {b}");
        }
        let small = prefix("10.0.0.0/29");
        assert_eq!(small.free(&[]).as_deref(), Some("10.0.0.4"));
        assert_eq!(small.free(&["10.0.0.4".into(), "10.0.0.6".into()]).as_deref(), Some("10.0.0.5"));
        assert_eq!(small.free(&["10.0.0.4".into(), "10.0.0.5".into(), "10.0.0.6".into()]), None);
    }
}
