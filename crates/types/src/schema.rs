//! How these words look in JSON, for the description of the API.

use crate::{Fingerprint, Prefix, PublicKey, RouterId, VerifyKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

macro_rules! texts {
    ($($name:ident = $words:literal, $pattern:literal;)*) => {
        $(impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $words, "pattern": $pattern })
            }
        })*
    };
}

texts! {
    Prefix = "An IPv6 prefix in its shortest form, such as 2001:db8:4800::/40.", "^[0-9a-f:.]{2,45}/[0-9]{1,3}$";
    PublicKey = "A WireGuard key: base64 of 32 octets.", "^[A-Za-z0-9+/]{43}=$";
    VerifyKey = "A key that signs: base64 of 32 octets.", "^[A-Za-z0-9+/]{43}=$";
    RouterId = "A router-id, as 0101:0101:0101:0101.", "^([0-9a-f]{4}:){3}[0-9a-f]{4}$";
    Fingerprint = "A network's fingerprint: base64url of 32 octets.", "^[A-Za-z0-9_-]{43}$";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pattern` is only made of sets, counts, literals and one group: enough to be compared by hand.
    #[test]
    fn what_is_written_has_the_length_that_the_pattern_says() {
        let texts = [
            (PublicKey([1; 32]).to_string().len(), 44),
            (VerifyKey([1; 32]).to_string().len(), 44),
            (RouterId([1; 8]).to_string().len(), 19),
            (Fingerprint([1; 32]).to_string().len(), 43),
        ];
        for (is, says) in texts {
            assert_eq!(is, says);
        }
    }
}
