//! What a broker asks the root for: a few lines that a person can read, signed by the key that they name.

use super::armour;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ln6_crypto::{Certificate, SigningKey, verify};
use ln6_types::{Fingerprint, Prefix, PublicKey, UnixTime, VerifyKey};
use std::fmt::Write as _;
use std::str::FromStr;

const KIND: &str = "REQUEST";
const CONTEXT: &str = "ln6d broker request v1";
/// As in a certificate.
const PREFIXES: usize = 64;

/// The request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Of which network's root.
    pub network: Fingerprint,
    /// The broker's X25519 key.
    pub key: PublicKey,
    /// Its Ed25519 key.
    pub sign: VerifyKey,
    /// Its name.
    pub name: String,
    /// The pools it would like to delegate of.
    pub pools: Vec<Prefix>,
    /// What it holds itself within them.
    pub holds: Vec<Prefix>,
    /// Whether it leads to the Internet.
    pub exit: bool,
    /// The serial of the certificate it has; 0 if none.
    pub serial: u64,
    /// When it asks, by its own clock.
    pub at: UnixTime,
}

impl Request {
    /// As text, signed.
    pub fn render(&self, signing: &SigningKey) -> String {
        let body = self.body();
        let proof = STANDARD.encode(signing.sign(CONTEXT, body.as_bytes()));
        format!("-----BEGIN LN6D {KIND}-----\n{body}proof: {proof}\n-----END LN6D {KIND}-----\n")
    }

    fn body(&self) -> String {
        let mut body = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(body, "{name}: {value}");
        };
        line("network", &self.network);
        line("key", &self.key);
        line("sign", &self.sign);
        line("name", &self.name);
        self.pools.iter().for_each(|pool| line("pool", pool));
        self.holds.iter().for_each(|prefix| line("holds", prefix));
        line("exit", if self.exit { &"yes" } else { &"no" });
        line("serial", &self.serial);
        line("at", &self.at.as_secs());
        body
    }

    /// Reads a request and checks that the key it names has signed it. The reason why it is none, in words.
    pub fn read(text: &str) -> Result<Request, String> {
        let mut blocks = armour::blocks(text, KIND)?.into_iter().filter(|(kind, _)| kind == KIND);
        let (Some((_, lines)), None) = (blocks.next(), blocks.next()) else {
            return Err("there is not exactly one request in it".into());
        };
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for line in lines {
            pairs.push(line.split_once(": ").ok_or_else(|| format!("'{line}' has no colon"))?);
        }
        let all = |name: &str| {
            let values = pairs.iter().filter(|(key, _)| *key == name).map(|(_, value)| *value);
            values.collect::<Vec<&str>>()
        };
        let request = Request {
            network: one(&all("network"), "network")?,
            key: one(&all("key"), "key")?,
            sign: one(&all("sign"), "sign")?,
            name: one(&all("name"), "name")?,
            pools: prefixes(&all("pool"))?,
            holds: prefixes(&all("holds"))?,
            exit: one::<String>(&all("exit"), "exit")? == "yes",
            serial: one(&all("serial"), "serial")?,
            at: UnixTime::from_secs(one(&all("at"), "at")?),
        };
        if !Certificate::is_name(&request.name) {
            return Err(format!("'{}' is not a name", request.name));
        }
        let proof = one::<String>(&all("proof"), "proof")?;
        let proof = STANDARD.decode(proof).map_err(|_| "its proof is not base64".to_owned())?;
        // Whoever added or changed a line changed what was signed.
        let unknown = pairs.len() != request.body().lines().count() + 1;
        if unknown || !verify(CONTEXT, &request.sign, request.body().as_bytes(), &proof) {
            return Err("it was changed after it was signed".into());
        }
        Ok(request)
    }
}

fn one<T: FromStr>(values: &[&str], name: &str) -> Result<T, String> {
    match values {
        [value] => value.parse().map_err(|_| format!("its {name} cannot be right: {value}")),
        [] => Err(format!("it does not say its {name}")),
        _ => Err(format!("it says its {name} twice")),
    }
}

fn prefixes(values: &[&str]) -> Result<Vec<Prefix>, String> {
    if values.len() > PREFIXES {
        return Err("it names too many prefixes".into());
    }
    values.iter().map(|value| value.parse().map_err(|_| format!("{value} is not a prefix"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> (Request, SigningKey) {
        let signing = SigningKey::from_seed([5; 32]);
        let p = |text: &str| text.parse().expect("prefix");
        let request = Request {
            network: Fingerprint([1; 32]),
            key: PublicKey([2; 32]),
            sign: signing.verify_key(),
            name: "vm2".into(),
            pools: vec![p("2001:db8:4900::/40"), p("2001:db8:5000::/40")],
            holds: vec![p("2001:db8:4900::/48")],
            exit: true,
            serial: 7,
            at: UnixTime::from_secs(1_790_000_000),
        };
        (request, signing)
    }

    #[test]
    fn a_request_reads_back_out_of_a_letter() {
        let (request, signing) = request();
        let text = format!("Please sign this:\n\n{}\nThanks\n", request.render(&signing));
        assert_eq!(Request::read(&text), Ok(request));
    }

    #[test]
    fn each_changed_line_is_noticed() {
        let (request, signing) = request();
        let text = request.render(&signing);
        let count = text.lines().count();
        for at in 1..count - 1 {
            let without: String =
                text.lines().enumerate().filter(|(n, _)| *n != at).map(|(_, l)| format!("{l}\n")).collect();
            assert!(Request::read(&without).is_err(), "{without}");
        }
        for (from, to) in [("exit: yes", "exit: no"), ("4900::/40", "4a00::/40"), ("serial: 7", "serial: 8")]
        {
            assert_eq!(
                Request::read(&text.replace(from, to)),
                Err("it was changed after it was signed".into())
            );
        }
        let more = text.replace("exit: yes", "exit: yes\nroot: yes");
        assert_eq!(Request::read(&more), Err("it was changed after it was signed".into()));
        let other = request.render(&SigningKey::from_seed([6; 32]));
        assert!(Request::read(&other).is_err(), "signed by somebody else");
    }

    proptest! {
        #[test]
        fn nothing_pasted_panics(at in 0usize..700, to in any::<char>(), noise in "\\PC{0,300}") {
            let (request, signing) = request();
            let mut text: Vec<char> = request.render(&signing).chars().collect();
            let at = at % text.len();
            text[at] = to;
            let _ = Request::read(&text.into_iter().collect::<String>());
            let _ = Request::read(&noise);
        }
    }
}
