//! What goes between a broker and the root as text: a request, and what the root signed.

use crate::input::Input;
use crate::membership;
use crate::statement::envelope;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::net::Ipv6Addr;
use ln6_crypto::{Certificate, Revocation, SigningKey, Statement};
use ln6_node::files::certificate::{self, Papers};
use ln6_node::files::request::Request;
use ln6_types::{Fingerprint, Prefix, PublicKey, UnixTime};

/// The first octet chooses: a text, a request's lines that are signed here, a genuine request with a changed character, papers,
/// and papers whose statements are signed here.
pub fn root_papers(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    match first % 5 {
        0 => drop(request(&String::from_utf8_lossy(rest))),
        1 => drop(request(&signed(&String::from_utf8_lossy(rest)))),
        2 => changed(rest),
        3 => papers(&String::from_utf8_lossy(rest)),
        _ => papers(&statements(rest)),
    }
}

/// The root, who is the asking broker too: only a key that signed may be named.
fn key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

/// A request that is taken is one that its key signed, line by line as it is written.
fn request(text: &str) -> Option<Request> {
    let request = Request::read(text).ok()?;
    assert!(Certificate::is_name(&request.name) && request.pools.len() <= 64 && request.holds.len() <= 64);
    if request.sign == key().verify_key() {
        assert_eq!(Request::read(&request.render(&key())).as_ref(), Ok(&request));
    }
    assert!(
        Request::read(&request.render(&SigningKey::from_seed([9; 32]))).is_err(),
        "signed by somebody else"
    );
    Some(request)
}

fn signed(body: &str) -> String {
    let proof = STANDARD.encode(key().sign("ln6d broker request v1", body.as_bytes()));
    format!("-----BEGIN LN6D REQUEST-----\n{body}proof: {proof}\n-----END LN6D REQUEST-----\n")
}

/// A request that any broker could make.
pub(crate) fn genuine(input: &mut Input<'_>) -> Request {
    let mut prefixes = |most: u8| -> Vec<Prefix> {
        let count = input.octet() % (most + 1);
        let prefix = |_| {
            let net = Ipv6Addr::new(0x2001, 0xdb8, input.word(), input.word(), 0, 0, 0, 0);
            Prefix::new(net, 32 + input.octet() % 33)
        };
        (0..count).map(prefix).collect()
    };
    let (pools, holds) = (prefixes(3), prefixes(3));
    Request {
        network: membership::network(),
        key: PublicKey([input.octet(); 32]),
        sign: key().verify_key(),
        name: format!("vm{}", input.octet()),
        pools,
        holds,
        exit: input.octet() & 1 == 0,
        serial: u64::from(input.long()),
        at: UnixTime::from_secs(u64::from(input.long())),
    }
}

/// Whatever is changed in it: it says the same, or is refused.
fn changed(data: &[u8]) {
    let mut input = Input::new(data);
    let request = genuine(&mut input);
    let mut text = request.render(&key());
    assert_eq!(Request::read(&text).as_ref(), Ok(&request));
    while !input.is_empty() {
        let at = usize::from(input.word()) % text.len();
        let to = usize::from(input.octet() & 3).min(text.len() - at);
        if text.is_char_boundary(at) && text.is_char_boundary(at + to) {
            text.replace_range(at..at + to, &String::from_utf8_lossy(input.chunk(8)));
        }
        if text.is_empty() {
            return;
        }
    }
    if let Ok(read) = Request::read(&text) {
        assert_eq!(read, request, "{text}");
    }
}

/// What was read is this network's and signed by its root, and reads the same when it is written.
fn papers(text: &str) {
    let network = membership::network();
    let Ok((certificate, revocations)) = certificate::read(text, &network) else { return };
    assert!(revocations.len() <= 16);
    assert!(
        revocations.iter().all(|signed| signed.network == network && signed.issuer == key().verify_key())
    );
    let Some(certificate) = certificate else { return };
    assert!(certificate.network == network && certificate.issuer == key().verify_key());
    assert!(certificate::read(text, &Fingerprint([9; 32])).is_err(), "another network's");
    let papers = Papers { certificate, revocations };
    let written = certificate::render(Some(&papers.certificate), &papers.revocations);
    let (again, more) = certificate::read(&written, &network).expect("what was read can be written");
    assert_eq!(again.map(|signed| signed.bytes().to_vec()), Some(papers.certificate.bytes().to_vec()));
    let bytes = |list: &[ln6_crypto::Signed<Revocation>]| -> Vec<Vec<u8>> {
        list.iter().map(|signed| signed.bytes().to_vec()).collect()
    };
    assert_eq!(bytes(&more), bytes(&papers.revocations));
}

/// Bodies of the input's, signed by the root, and statements as they come, between their marks.
fn statements(data: &[u8]) -> String {
    let mut input = Input::new(data);
    let mut text = String::new();
    while !input.is_empty() {
        let how = input.octet();
        let (kind, context) = match how & 1 {
            0 => ("CERTIFICATE", Certificate::CONTEXT),
            _ => ("REVOCATION", Revocation::CONTEXT),
        };
        let body = input.chunk(600);
        let bytes = if how & 2 == 0 { envelope(body, &key().sign(context, body)) } else { body.to_vec() };
        text += &between(kind, &bytes);
    }
    text
}

pub(crate) fn between(kind: &str, bytes: &[u8]) -> String {
    format!("-----BEGIN LN6D {kind}-----\n{}\n-----END LN6D {kind}-----\n", STANDARD.encode(bytes))
}
