//! A file for `wg-quick` and for the WireGuard apps.

use crate::schema::WireguardReply;
use ln6_types::Prefix;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// The file. `private_key` in base64; without one a placeholder stands in its place.
pub fn file(reply: &WireguardReply, private_key: Option<&str>) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(1024)); // never grows, so no copy of the key stays behind
    let length = reply.prefix.len();
    let _ = writeln!(out, "# {}: {} · made by ln6d; keep it secret.", reply.name, reply.prefix);
    out.push_str("[Interface]\nPrivateKey = ");
    out.push_str(private_key.unwrap_or("(the private key of this device)"));
    let _ = writeln!(out, "\nAddress = {}/{length}\nMTU = {}", reply.address, reply.mtu);
    if !reply.resolvers.is_empty() {
        let _ = writeln!(out, "DNS = {}", joined(&reply.resolvers));
    }
    let _ = writeln!(out, "\n[Peer]\nPublicKey = {}", reply.server_key);
    if let Some(psk) = &reply.psk {
        out.push_str("PresharedKey = ");
        out.push_str(psk);
        out.push('\n');
    }
    if let Some(endpoint) = reply.endpoints.first() {
        let _ = writeln!(out, "Endpoint = {endpoint}");
    }
    for other in reply.endpoints.iter().skip(1) {
        let _ = writeln!(out, "# Endpoint = {other}");
    }
    let allowed = if reply.allowed.is_empty() { vec![Prefix::ALL] } else { reply.allowed.clone() };
    let _ = writeln!(out, "AllowedIPs = {}\nPersistentKeepalive = 25", joined(&allowed));
    out
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ln6_types::PublicKey;

    fn reply() -> WireguardReply {
        WireguardReply {
            name: "phone".into(),
            prefix: "2001:db8:4812:f::7/128".parse().expect("prefix"),
            address: "2001:db8:4812:f::7".parse().expect("address"),
            server_key: PublicKey([9; 32]),
            endpoints: vec!["vm.example.net:6695".into(), "[2001:db8::1]:6695".into()],
            psk: Some("PSK=".into()),
            mtu: 1420,
            allowed: vec![Prefix::ALL],
            resolvers: vec!["2001:db8::53".parse().expect("address")],
        }
    }

    #[test]
    fn the_file_is_golden() {
        let expected = "\
# phone: 2001:db8:4812:f::7/128 · made by ln6d; keep it secret.
[Interface]
PrivateKey = SECRET=
Address = 2001:db8:4812:f::7/128
MTU = 1420
DNS = 2001:db8::53

[Peer]
PublicKey = CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=
PresharedKey = PSK=
Endpoint = vm.example.net:6695
# Endpoint = [2001:db8::1]:6695
AllowedIPs = ::/0
PersistentKeepalive = 25
";
        assert_eq!(file(&reply(), Some("SECRET=")).as_str(), expected);
    }

    #[test]
    fn without_a_private_key_there_is_a_placeholder() {
        let mut reply = reply();
        reply.prefix = "2001:db8:4812:f::/64".parse().expect("prefix");
        let text = file(&reply, None);
        assert!(text.contains("PrivateKey = (the private key of this device)\n"));
        assert!(text.contains("Address = 2001:db8:4812:f::7/64\n"));
        reply.prefix = "2001:db8:4812:c::/62".parse().expect("prefix");
        reply.address = "2001:db8:4812:c::1".parse().expect("address");
        assert!(file(&reply, None).contains("Address = 2001:db8:4812:c::1/62\n"));
    }
}
