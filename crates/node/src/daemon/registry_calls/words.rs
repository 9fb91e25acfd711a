//! What has happened, or would happen, in a sentence.

use ln6_registry::What;
use ln6_types::{Prefix, UnixTime};

/// Octets of a reason, as the registry allows them.
const REASON: usize = 200;

/// The day of a moment.
pub(super) fn day(time: UnixTime) -> String {
    crate::schema::Time(time).to_string().chars().take(10).collect()
}

fn list(prefixes: &[Prefix]) -> String {
    let all: Vec<String> = prefixes.iter().map(Prefix::to_string).collect();
    all.join(", ")
}

/// A reason that says who asked first, and as much of the other as fits a line of the journal.
pub(super) fn clipped(first: &str, more: Option<&str>) -> String {
    let mut out = first.to_owned();
    if let Some(more) = more.filter(|more| !more.is_empty()) {
        out.push_str(": ");
        for letter in more.chars() {
            if out.len() + letter.len_utf8() > REASON {
                break;
            }
            out.push(letter);
        }
    }
    out
}

/// An event in words: `name` is the holder it is about, `prefixes` are those it touches.
pub(super) fn sentence(what: &What, name: Option<&str>, prefixes: &[Prefix]) -> String {
    let who = name.unwrap_or("somebody");
    let held = || if prefixes.is_empty() { who.to_owned() } else { format!("{who} ({})", list(prefixes)) };
    match what {
        What::Epoch { epoch } => {
            format!("the registry heard from the members what it had not known: epoch {epoch}")
        }
        What::Succeeded { broker } => {
            format!("took over what the broker with the key {broker} had delegated")
        }
        What::PoolSet(pool) if pool.open => {
            format!(
                "pool {}: gives /{} to /{}, usually /{}",
                pool.prefix, pool.largest, pool.smallest, pool.default_len
            )
        }
        What::PoolSet(pool) => format!("pool {} gives nothing new", pool.prefix),
        What::PolicySet(_) => "spans and caps were set".to_owned(),
        What::RolesSet { roles, .. } => match super::lists::roles(*roles).as_slice() {
            [] => format!("{who} is a plain node"),
            words => format!("{who} may be {}", words.join(", ")),
        },
        What::Reserved(kept) => match &kept.name {
            Some(name) => format!("{} is kept for {name}", kept.prefix),
            None => format!("{} is kept", kept.prefix),
        },
        What::Unreserved { prefix } => format!("{prefix} is not kept any more"),
        What::Invited(invitation) => format!("invitation {} was made", invitation.id),
        What::InvitationWithdrawn { id } => format!("invitation {id} was withdrawn"),
        What::InvitationUsed { id, key } => format!("{key} used invitation {id}"),
        What::Requested(request) => format!("{} asks to be let in (request {})", request.name, request.id),
        What::Approved { id } => format!("request {id} was approved"),
        What::Denied { id, .. } => format!("request {id} was denied"),
        What::RequestExpired { id } => format!("nobody decided on request {id} in time"),
        What::HolderAdded { name, .. } => format!("{name} is a holder"),
        What::KeyAdded { key, name, .. } => format!("the key {key} of {name} speaks for {who}"),
        What::KeyRevoked { key, until: Some(until), .. } => {
            format!("the certificates of {key} are revoked; it can be undone until {}", day(*until))
        }
        What::KeyRevoked { key, until: None, .. } => format!("{key} is not trusted any more, for ever"),
        What::KeyRestored { key } => format!("the revocation of {key} was undone"),
        What::Restored { .. } => format!("the revocation of {} was undone", held()),
        What::KeyLeft { key } => format!("{key} has left"),
        What::KeyLapsed { key } => format!("the last certificate of {key} has ended"),
        What::Granted { prefix, .. } => format!("{prefix} was given to {who}"),
        What::Resized { prefix, .. } => format!("the prefix of {who} is {prefix} now"),
        What::Kept { prefix, until, .. } => {
            format!("what {who} let go of {prefix} is given to nobody until {}", day(*until))
        }
        What::Retiring { until, .. } => {
            format!("{} of {who} is valid beside its successor until {}", list(prefixes), day(*until))
        }
        What::Suspended { .. } => format!("{} is suspended", held()),
        What::Resumed { .. } => format!("{} is itself again", held()),
        What::HolderRevoked { until, .. } => {
            format!("{} has no key left; its prefix waits for a replacement until {}", held(), day(*until))
        }
        What::Quarantined { until, returns, .. } => {
            let kept = if *returns { ", but kept for it" } else { "" };
            format!("{} of {who} is given to nobody until {}{kept}", list(prefixes), day(*until))
        }
        What::Renamed { name, .. } => format!("{} is called {name} now", held()),
        What::ContactChanged { .. } => format!("the contact of {who} was changed"),
        What::NoteChanged { .. } => format!("the note on {who} was changed"),
        What::Freed { .. } => format!("{} is free", list(prefixes)),
        What::Issued(issue) => {
            format!("certificate {} for {}, until {}", issue.serial, issue.name, day(issue.not_after))
        }
        What::Revocation(revocation) => format!("revocation {} was signed", revocation.number),
        What::LeafAdded(leaf) => format!("the client {} has {} of {who}", leaf.name, leaf.prefix),
        What::LeafRemoved { key } => format!("the client {key} of {who} was forgotten"),
        // A kind that is newer than this list still has its word.
        #[allow(unreachable_patterns)]
        other => other.kind().replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_clipped_at_a_letter() {
        assert_eq!(clipped("asked for by admin:ana", None), "asked for by admin:ana");
        assert_eq!(clipped("a", Some("moved")), "a: moved");
        let long = clipped("a", Some(&"ñ".repeat(300)));
        assert!((199..=200).contains(&long.len()), "{}", long.len());
    }
}
