//! Random text for names and request ids, and the jitter of retries.

/// Lower-case letters and digits: allowed in every name that the builder draws.
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("every supported operating system has a random source");
}

/// `length` characters of `[0-9a-z]`, evenly distributed.
pub fn suffix(length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0u8; 32];
    while text.len() < length {
        fill(&mut bytes);
        // 252 is the largest multiple of 36 in a byte; what lies above would favour the first characters.
        let usable = bytes.iter().filter(|b| **b < 252).map(|b| ALPHABET[usize::from(b % 36)] as char);
        text.extend(usable.take(length - text.len()));
    }
    text
}

/// Evenly distributed in [0, 1).
pub fn fraction() -> f64 {
    let mut bytes = [0u8; 4];
    fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
