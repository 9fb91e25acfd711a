//! Random secrets, what is kept of them, and codes that change with time.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

/// 256 random bits.
pub fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Without the kernel's randomness nothing here can be safe; a panic ends the request.
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    bytes
}

/// 256 random bits as text for links and cookies.
pub fn random_text() -> String {
    text(&random())
}

/// Octets as text for links and cookies.
pub fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What [`text`] made.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    (text.len() <= 256).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()
}

/// What is kept of a random secret: its SHA-256. It has 256 bits, so nothing slower is needed.
pub fn kept(secret: &str) -> String {
    text(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref())
}

/// Equality that takes the same time wherever the difference is.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// HMAC-SHA256 over words that cannot run into each other.
pub fn mac(key: &[u8], words: &[&str]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for word in words {
        context.update(&(word.len() as u64).to_be_bytes());
        context.update(word.as_bytes());
    }
    context.sign().as_ref().to_vec()
}

/// How dear a guess of a password is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes.
    pub passes: u32,
}

impl Cost {
    /// 19 MiB, two passes.
    pub const USUAL: Cost = Cost { memory: 19 * 1024, passes: 2 };
}

/// A password as it is kept: Argon2id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Password {
    cost: Cost,
    salt: String,
    hash: String,
}

impl Password {
    /// Takes a fraction of a second and the memory of its cost.
    pub fn new(password: &str, cost: Cost) -> Password {
        let salt = text(&random()[..16]);
        let hash = text(&stretch(password, &salt, cost));
        Password { cost, salt, hash }
    }

    /// Whether `password` is it. Takes as long as making it.
    pub fn is(&self, password: &str) -> bool {
        same(text(&stretch(password, &self.salt, self.cost)).as_bytes(), self.hash.as_bytes())
    }
}

fn stretch(password: &str, salt: &str, cost: Cost) -> [u8; 32] {
    let mut out = [0; 32];
    // A damaged file may ask for anything.
    let params = Params::new(cost.memory.clamp(8, 256 * 1024), cost.passes.clamp(1, 16), 1, Some(32));
    if let Ok(params) = params {
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        if argon.hash_password_into(password.as_bytes(), salt.as_bytes(), &mut out).is_ok() {
            return out;
        }
    }
    random()
}

/// Length of a time step of a one-time code, seconds.
const STEP: u64 = 30;

/// A new secret for one-time codes, as authenticators take it (RFC 6238): 160 bits in base32.
pub fn authenticator_secret() -> String {
    base32(&random()[..20])
}

/// The step in which `code` is right for `secret` at `now`, one step of clock error allowed; `None` if it is wrong.
pub fn code_step(secret: &str, code: &str, now: u64) -> Option<u64> {
    let key = from_base32(secret)?;
    let step = now / STEP;
    let mut found = None;
    for candidate in [step.saturating_sub(1), step, step + 1] {
        if same(code_at(&key, candidate).as_bytes(), code.trim().as_bytes()) {
            found = Some(candidate);
        }
    }
    found
}

/// RFC 4226 5.3 with six digits.
fn code_at(key: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes([tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]]);
    format!("{:06}", number % 1_000_000)
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut word = [0; 8];
        word[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(word);
        for index in 0..(chunk.len() * 8).div_ceil(5) {
            out.push(char::from(BASE32[(bits >> (35 - 5 * index) & 31) as usize]));
        }
    }
    out
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    if text.len() > 128 {
        return None;
    }
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for c in text.bytes() {
        let value = BASE32.iter().position(|known| *known == c.to_ascii_uppercase())?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 255) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, last six digits.
        let secret = base32(b"12345678901234567890");
        assert_eq!(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(code_step(&secret, code, time), Some(time / 30));
            assert_eq!(code_step(&secret, code, time + 90), None);
        }
        assert_eq!(code_step("not base 32!", "287082", 59), None);
    }

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let cost = Cost { memory: 8, passes: 1 };
        let kept = Password::new("correct horse", cost);
        assert!(kept.is("correct horse"));
        assert!(!kept.is("correct hors"));
        assert_ne!(kept, Password::new("correct horse", cost), "salted");
    }

    #[test]
    fn words_of_a_mac_cannot_run_into_each_other() {
        assert_ne!(mac(b"k", &["ab", "c"]), mac(b"k", &["a", "bc"]));
    }
}
