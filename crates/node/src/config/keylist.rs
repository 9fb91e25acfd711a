//! `[keylist]` and `[notify]`: what a broker does by itself.

use super::check::{Checked, choose, fault, line_of_text};
use super::tree::table;
use super::write::{list, quote, set, text_or};
use crate::duration::Span;
use ln6_broker::keylist::{Rewritten, Source};
use std::path::PathBuf;
use toml::Spanned;

/// Seconds between two looks, unless told otherwise, and at least.
const EVERY: u64 = 600;
const LEAST: u64 = 30;

/// `[keylist]`: who is in by a Git repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyList {
    /// Where it is.
    pub url: Source,
    /// What the journal calls it.
    pub name: String,
    /// The branch; the repository's own if absent.
    pub branch: Option<String>,
    /// The folder in the repository.
    pub folder: Option<String>,
    /// Seconds between two looks.
    pub every: u64,
    /// OpenSSH's file of allowed signers; a relative path begins where the configuration is.
    pub signed: Option<PathBuf>,
    /// What to do when the history was rewritten.
    pub rewritten: Rewritten,
    /// A private key for `ssh`.
    pub ssh_key: Option<PathBuf>,
}

/// `[notify]`: who is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notify {
    /// A program with its arguments; it gets JSON on its standard input.
    pub command: Vec<String>,
    /// Of new requests.
    pub requests: bool,
    /// Of trouble.
    pub trouble: bool,
}

table! {
    pub(super) struct RawKeyList {
        url: Spanned<String>,
        name: Option<Spanned<String>>,
        branch: Option<Spanned<String>>,
        folder: Option<Spanned<String>>,
        every: Option<Spanned<String>>,
        signed: Option<Spanned<String>>,
        rewritten: Option<Spanned<String>>,
        ssh_key: Option<Spanned<String>>,
    }
}

table! {
    pub(super) struct RawNotify {
        command: Spanned<Vec<Spanned<String>>>,
        on: Option<Vec<Spanned<String>>>,
    }
}

pub(super) fn keylist(raw: &RawKeyList) -> Checked<KeyList> {
    let url = Source::parse(raw.url.get_ref()).map_err(|error| fault(&raw.url, error.to_string()))?;
    let signed = raw.signed.as_ref().map(path).transpose()?;
    if !url.is_authentic() && signed.is_none() {
        let text =
            "anybody on the way can change what git:// brings: add signed = \"…\", or use https:// or ssh://";
        return Err(fault(&raw.url, text));
    }
    let words = [("refuse", Rewritten::Refuse), ("accept", Rewritten::Accept)];
    Ok(KeyList {
        url,
        name: raw.name.as_ref().map(name).transpose()?.unwrap_or_else(|| "git".to_owned()),
        branch: raw.branch.as_ref().map(|text| place(text, "branch")).transpose()?,
        folder: raw.folder.as_ref().map(|text| place(text, "folder")).transpose()?,
        every: raw.every.as_ref().map(every).transpose()?.unwrap_or(EVERY),
        signed,
        rewritten: raw.rewritten.as_ref().map(|word| choose(word, &words)).transpose()?.unwrap_or_default(),
        ssh_key: raw.ssh_key.as_ref().map(path).transpose()?,
    })
}

fn name(text: &Spanned<String>) -> Checked<String> {
    let fits = ln6_registry::valid_name(text.get_ref());
    if fits {
        Ok(text.get_ref().clone())
    } else {
        Err(fault(text, "a name is 1 to 63 of a-z, 0-9, '-' and '.'"))
    }
}

/// A branch or folder: names with `/` between, none of which means something else to git.
fn place(text: &Spanned<String>, what: &str) -> Checked<String> {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
        let edge = |c| c == '.' || c == '-';
        !part.is_empty()
            && part.chars().all(plain)
            && !part.starts_with(edge)
            && !part.contains("..")
            && !part.ends_with(".lock")
    };
    let whole = text.get_ref();
    if whole.len() <= 200 && whole.split('/').all(part) {
        return Ok(whole.clone());
    }
    Err(fault(
        text,
        format!("'{whole}' is no {what}: names of letters, digits, '.', '_', '-' and '+', with '/' between"),
    ))
}

fn every(text: &Spanned<String>) -> Checked<u64> {
    let span: Span =
        text.get_ref().parse().map_err(|error: crate::duration::SpanError| fault(text, error.to_string()))?;
    match span.as_secs() {
        seconds if seconds < LEAST => Err(fault(text, format!("every is at least {LEAST}s"))),
        seconds => Ok(seconds),
    }
}

fn path(text: &Spanned<String>) -> Checked<PathBuf> {
    line_of_text(text, 1024).map(PathBuf::from)
}

pub(super) fn notify(raw: &RawNotify) -> Checked<Notify> {
    let command: Vec<String> =
        raw.command.get_ref().iter().map(|word| line_of_text(word, 1024)).collect::<Checked<_>>()?;
    match command.first() {
        Some(program) if program.starts_with('/') => {}
        _ => {
            return Err(fault(
                &raw.command,
                "command is a list that begins with the program's path from the root",
            ));
        }
    }
    let words = [("request", 0u8), ("trouble", 1)];
    let on: Option<Vec<u8>> =
        raw.on.as_ref().map(|on| on.iter().map(|word| choose(word, &words)).collect()).transpose()?;
    let has = |number| on.as_ref().is_none_or(|on| on.contains(&number));
    Ok(Notify { requests: has(0), trouble: has(1), command })
}

pub(super) fn write(out: &mut String, keylist: Option<&KeyList>, notify: Option<&Notify>) {
    if let Some(keylist) = keylist {
        write_keylist(out, keylist);
    }
    if let Some(notify) = notify {
        out.push_str("\n# A program that is told of new requests and trouble, as JSON on its standard input.\n[notify]\n");
        set(out, "command", list(&notify.command), false);
        let on: Vec<&str> = [("request", notify.requests), ("trouble", notify.trouble)]
            .iter()
            .filter(|(_, is)| *is)
            .map(|(word, _)| *word)
            .collect();
        set(out, "on", list(&on), notify.requests && notify.trouble);
    }
}

fn write_keylist(out: &mut String, keylist: &KeyList) {
    out.push_str("\n# Who is in by a Git repository: one file a node. 'ln6d keylist status' says how it stands.\n[keylist]\n");
    set(out, "url", quote(keylist.url.expose()), false);
    set(out, "name", quote(&keylist.name), keylist.name == "git");
    text_or(out, "branch", keylist.branch.as_deref(), "main");
    text_or(out, "folder", keylist.folder.as_deref(), "nodes");
    set(out, "every", quote(&format!("{}s", keylist.every)), keylist.every == EVERY);
    out.push_str("# Only commits that are signed by one of OpenSSH's allowed signers in this file count.\n");
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    text_or(out, "signed", shown(&keylist.signed).as_deref(), "allowed_signers");
    out.push_str("# Another history than before: \"refuse\" (until 'ln6d keylist confirm') or \"accept\".\n");
    let word = if keylist.rewritten == Rewritten::Refuse { "refuse" } else { "accept" };
    set(out, "rewritten", quote(word), keylist.rewritten == Rewritten::Refuse);
    text_or(out, "ssh_key", shown(&keylist.ssh_key).as_deref(), "/var/lib/ln6d/keylist.key");
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, NodeName, render};
    use crate::error::CliError;
    use std::path::Path;

    fn read(text: &str) -> Result<Config, CliError> {
        Config::parse(&format!("[node]\nname = \"vm\"\n{text}"), Path::new("F"))
    }

    const FULL: &str = "[keylist]\nurl = \"git@example.net:keys.git\"\nname = \"altermundi\"\nbranch = \"keys/v2\"\n\
        folder = \"nodes\"\nevery = \"5m\"\nsigned = \"allowed_signers\"\nrewritten = \"accept\"\nssh_key = \"/k\"\n\
        [notify]\ncommand = [\"/usr/lib/ln6d/notify-mail\", \"ops@example.net\"]\non = [\"request\"]\n";

    #[test]
    fn a_key_list_is_written_as_it_was_read() {
        let config = read(FULL).unwrap_or_else(|error| panic!("{error}"));
        let list = config.keylist.clone().expect("a key list");
        assert_eq!(
            (list.name.as_str(), list.every, list.branch.as_deref()),
            ("altermundi", 300, Some("keys/v2"))
        );
        let notify = config.notify.clone().expect("notify");
        assert!(notify.requests && !notify.trouble);
        let again = Config::parse(&render(&config), Path::new("F")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again, config);
        let least = read("[keylist]\nurl = \"/srv/keys\"\n").expect("least");
        assert_eq!(Config::parse(&render(&least), Path::new("F")).expect("reads"), least);
        assert_eq!(Config::new(NodeName::near("a")).keylist, None);
    }

    #[test]
    fn each_wrong_value_is_named_with_its_line() {
        let said = |text: &str| read(text).expect_err("refused").message;
        assert!(said("[keylist]\nurl = \"ext::sh -c id\"").starts_with("F:4: this is no address"));
        assert!(said("[keylist]\nurl = \"http://a/b\"").starts_with("F:4: a repository is reached by"));
        assert!(said("[keylist]\nurl = \"git://a/b\"").contains("signed = "));
        assert!(read("[keylist]\nurl = \"git://a/b\"\nsigned = \"s\"").is_ok());
        assert!(said("[keylist]\nurl = \"/a\"\nevery = \"5s\"").starts_with("F:5: every is at least 30s"));
        for bad in ["-x", "a..b", "/a", "a/", "a b", "a:b", ".git", "x.lock", "a~1", "a^", "@{u}"] {
            assert!(
                said(&format!("[keylist]\nurl = \"/a\"\nbranch = \"{bad}\"")).contains("is no branch"),
                "{bad}"
            );
        }
        assert!(said("[notify]\ncommand = [\"mail\"]").contains("path from the root"));
        assert!(said("[notify]\ncommand = [\"/x\"]\non = [\"requets\"]").contains("did you mean 'request'?"));
    }
}
