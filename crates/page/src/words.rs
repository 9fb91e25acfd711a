//! The catalogue: every sentence of the page in English, Spanish and Portuguese, side by side in `words/*.txt`.
//!
//! A file has entries of four lines: the key, then the three languages, indented. `{name}` stands for a value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A language of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Lang {
    /// English, the source.
    #[default]
    En,
    /// Spanish.
    Es,
    /// Portuguese.
    Pt,
}

impl Lang {
    /// All, in the order of the catalogue.
    pub(crate) const ALL: [Lang; 3] = [Lang::En, Lang::Es, Lang::Pt];

    /// As in `<html lang>`.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Es => "es",
            Lang::Pt => "pt",
        }
    }

    /// What it calls itself.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Lang::En => "English",
            Lang::Es => "Español",
            Lang::Pt => "Português",
        }
    }

    /// From a code such as `pt` or `pt-BR`.
    pub(crate) fn of_code(code: &str) -> Option<Lang> {
        let primary = code.trim().split('-').next().unwrap_or_default();
        Lang::ALL.into_iter().find(|lang| lang.code().eq_ignore_ascii_case(primary))
    }

    /// The best of an `Accept-Language` header; English if none fits.
    pub(crate) fn of_header(header: &str) -> Lang {
        let mut best = (Lang::En, 0.0_f32);
        for part in header.split(',').take(16) {
            let (code, rest) = part.split_once(';').unwrap_or((part, ""));
            let weight = rest.trim().strip_prefix("q=").map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if let Some(lang) = Lang::of_code(code)
                && weight > best.1
            {
                best = (lang, weight);
            }
        }
        best.0
    }
}

const FILES: &[&str] = &[
    include_str!("../words/frame.txt"),
    include_str!("../words/login.txt"),
    include_str!("../words/node.txt"),
    include_str!("../words/pages.txt"),
    include_str!("../words/holders.txt"),
    include_str!("../words/settings.txt"),
];

type Catalogue = BTreeMap<&'static str, [&'static str; 3]>;

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| FILES.iter().flat_map(|file| entries(file)).collect());

fn entries(file: &'static str) -> Vec<(&'static str, [&'static str; 3])> {
    let lines: Vec<&str> =
        file.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
    let entry = |four: &[&'static str]| (four[0].trim(), [four[1].trim(), four[2].trim(), four[3].trim()]);
    lines.chunks_exact(4).map(entry).collect()
}

/// The sentence for `key`; the key itself if there is none, which a test forbids.
pub(crate) fn say(lang: Lang, key: &str) -> Cow<'static, str> {
    match CATALOGUE.get(key) {
        Some(row) => Cow::Borrowed(row[lang as usize]),
        None => Cow::Owned(key.to_owned()),
    }
}

/// The sentence for `key`, if the catalogue has it.
pub(crate) fn known(lang: Lang, key: &str) -> Option<&'static str> {
    CATALOGUE.get(key).map(|row| row[lang as usize])
}

/// The sentence for `key`, with `{name}` replaced.
pub(crate) fn fill(lang: Lang, key: &str, values: &[(&str, &str)]) -> String {
    let text = say(lang, key);
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest: &str = &text;
    while let Some(open) = rest.find('{') {
        let tail = &rest[open + 1..];
        let Some(close) = tail.find('}') else { break };
        out.push_str(&rest[..open]);
        match values.iter().find(|(name, _)| *name == &tail[..close]) {
            Some((_, value)) => out.push_str(value),
            None => out.push_str(&rest[open..open + close + 2]),
        }
        rest = &tail[close + 1..];
    }
    out.push_str(rest);
    out
}

/// `key.one` or `key.other`, with `{n}` replaced.
pub(crate) fn count(lang: Lang, key: &str, n: u64) -> String {
    let form = if n == 1 { "one" } else { "other" };
    fill(lang, &format!("{key}.{form}"), &[("n", &crate::units::whole(lang, n))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn blanks(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|part| part.split('}').next()).collect()
    }

    #[test]
    fn every_entry_has_three_languages_with_the_same_blanks() {
        for file in FILES {
            let lines: Vec<&str> =
                file.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
            for four in lines.chunks(4) {
                assert_eq!(four.len(), 4, "an entry is cut short: {four:?}");
                assert!(!four[0].starts_with(' '), "a key is not indented: {four:?}");
                for line in &four[1..] {
                    assert!(line.starts_with("  "), "{}: a language is missing: {line}", four[0]);
                    assert_eq!(blanks(line), blanks(four[1]), "{}: {line}", four[0]);
                }
            }
        }
        let total: usize = FILES.iter().map(|file| entries(file).len()).sum();
        assert_eq!(total, CATALOGUE.len(), "a key is there twice");
    }

    fn sources() -> String {
        let mut text = String::new();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut open = vec![here.join("src"), here.join("templates")];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).expect("dir") {
                let path = entry.expect("entry").path();
                if path.is_dir() {
                    open.push(path);
                } else if path.file_name().is_some_and(|name| name != "words.rs" && name != "tests") {
                    text.push_str(&std::fs::read_to_string(path).expect("text"));
                }
            }
        }
        text
    }

    #[test]
    fn what_templates_and_code_say_is_in_the_catalogue_and_nothing_else_is() {
        let text = sources();
        let mut used = BTreeSet::new();
        for opener in [".t(\"", ".tf1(\"", ".tn(\"", "key: \"", "words::say(lang, \"", "fill(lang, \""] {
            for part in text.split(opener).skip(1) {
                let key = part.split('"').next().unwrap_or_default();
                if opener == ".tn(\"" {
                    used.insert(format!("{key}.one"));
                    used.insert(format!("{key}.other"));
                } else {
                    used.insert(key.to_owned());
                }
            }
        }
        used.extend(crate::act::WORDS.iter().flat_map(|word| word.fields).map(|field| field.key.to_owned()));
        used.extend(crate::act::WORDS.iter().map(|word| format!("action.{}", word.word)));
        let missing: Vec<_> = used.iter().filter(|key| !CATALOGUE.contains_key(key.as_str())).collect();
        assert!(missing.is_empty(), "not in the catalogue: {missing:#?}");
        // Keys that are put together at run time begin so.
        let composed = [
            "state.",
            "done.",
            "traffic.span.",
            "severity.",
            "role.",
            "scope.",
            "action.",
            "node.line.",
            "node.next.",
            "node.step.",
            "node.progress.",
            "node.kind.",
        ];
        let literal = |key: &str| {
            ["", ".one", ".other"]
                .iter()
                .any(|end| key.strip_suffix(end).is_some_and(|key| text.contains(&format!("\"{key}\""))))
        };
        let idle: Vec<_> = CATALOGUE
            .keys()
            .filter(|key| !literal(key) && !composed.iter().any(|start| key.starts_with(start)))
            .collect();
        assert!(idle.is_empty(), "in the catalogue, but never said: {idle:#?}");
    }

    #[test]
    fn the_best_language_of_a_header_is_taken() {
        assert_eq!(Lang::of_header("pt-BR,pt;q=0.9,en;q=0.8"), Lang::Pt);
        assert_eq!(Lang::of_header("de, es-AR;q=0.7, en;q=0.3"), Lang::Es);
        assert_eq!(Lang::of_header("de"), Lang::En);
        assert_eq!(Lang::of_header(&"x,".repeat(100_000)), Lang::En);
    }

    #[test]
    fn blanks_are_filled_once_and_only_by_their_name() {
        assert_eq!(fill(Lang::En, "{a} and {b} {", &[("a", "{b}"), ("b", "2")]), "{b} and 2 {");
    }
}
