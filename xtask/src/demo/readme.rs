//! The commands of the README, read from it, so that what it says is what is shown.
//!
//! A block of commands is the first fenced block after a line `<!-- demo:NAME -->`.

use anyhow::{Context, Result, bail, ensure};

/// The commands of one block, each split into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block(pub(crate) Vec<Vec<String>>);

impl Block {
    /// Finds the block `name` in the README's text.
    pub(crate) fn find(readme: &str, name: &str) -> Result<Self> {
        let marker = format!("<!-- demo:{name} -->");
        let mut lines = readme.lines().skip_while(|line| line.trim() != marker);
        lines.next().with_context(|| format!("the README has no {marker}"))?;
        let fence = lines.find(|line| !line.trim().is_empty());
        ensure!(fence.is_some_and(|line| line.starts_with("```")), "no fenced block follows {marker}");
        let body: Vec<&str> = lines.take_while(|line| !line.starts_with("```")).collect();
        let mut commands = Vec::new();
        for line in body.join("\n").replace("\\\n", " ").lines() {
            let words = words(line)?;
            match words.first().map(String::as_str) {
                None => continue,
                Some("ln6d") => commands.push(words),
                Some(other) => bail!("{marker}: the demo runs `ln6d`, not `{other}`"),
            }
        }
        ensure!(!commands.is_empty(), "the block after {marker} has no command");
        Ok(Self(commands))
    }

    /// The same with the value of every `--OPTION VALUE` named here replaced, and nothing else. An option that
    /// the block does not have is an error: the README has changed.
    pub(crate) fn with(mut self, options: &[(&str, &str)]) -> Result<Self> {
        for (option, value) in options {
            let mut found = false;
            for command in &mut self.0 {
                if let Some(at) = command.iter().position(|word| word == option) {
                    let place = command.get_mut(at + 1).with_context(|| format!("{option} has no value"))?;
                    *place = (*value).to_owned();
                    found = true;
                }
            }
            ensure!(found, "the README's block has no {option}");
        }
        Ok(self)
    }

    /// The same with every word `from` replaced.
    pub(crate) fn word(mut self, from: &str, to: &str) -> Self {
        for word in self.0.iter_mut().flatten().filter(|word| *word == from) {
            *word = to.to_owned();
        }
        self
    }
}

/// Splits a line as a shell would: quotes, a comment after `#`, a prompt `# ` or `$ ` is no part of it.
fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.trim().trim_start_matches("$ ").chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, '|' | '>' | '<' | '&' | ';' | '`' | '$') => {
                bail!("`{line}`: the demo is not a shell, write commands without {letter}")
            }
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    ensure!(quote.is_none(), "`{line}`: a quote is not closed");
    words.extend(word);
    Ok(words)
}

/// The invitation in what `ln6d invite` prints: the first word with a scheme.
pub(crate) fn link(printed: &str) -> Result<&str> {
    printed
        .split_whitespace()
        .find(|word| word.contains("://") || word.starts_with("ln6d:"))
        .with_context(|| format!("`ln6d invite` printed no link:\n{printed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
words
<!-- demo:one -->

```sh
# a comment
$ ln6d init --name 'two words' \\
     --size 56   # as wanted

ln6d join LINK
```
<!-- demo:empty -->
```sh
```
<!-- demo:bare -->
no fence
<!-- demo:shell -->
```sh
curl example.net
```
";

    #[test]
    fn a_block_is_read_as_a_shell_would() {
        let block = Block::find(PAGE, "one").unwrap();
        assert_eq!(
            block.0,
            [vec!["ln6d", "init", "--name", "two words", "--size", "56"], vec!["ln6d", "join", "LINK"]]
        );
    }

    #[test]
    fn a_block_that_is_missing_empty_or_foreign_is_an_error() {
        for name in ["two", "empty", "bare", "shell"] {
            assert!(Block::find(PAGE, name).is_err(), "{name}");
        }
        assert!(words("ln6d run &").is_err());
        assert!(words("ln6d init --name 'x").is_err());
    }

    #[test]
    fn only_named_options_and_words_are_replaced() {
        let block =
            Block::find(PAGE, "one").unwrap().with(&[("--size", "48")]).unwrap().word("LINK", "ln6d://x");
        assert_eq!(block.0[0][5], "48");
        assert_eq!(block.0[1][2], "ln6d://x");
        assert!(Block::find(PAGE, "one").unwrap().with(&[("--expires", "1d")]).is_err());
    }

    #[test]
    fn the_readme_has_every_block_the_demo_runs() {
        let path = crate::workspace::root().join("README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        for name in super::super::BLOCKS {
            Block::find(&readme, name).unwrap();
        }
    }

    #[test]
    fn a_link_is_found_among_other_words() {
        assert_eq!(link("Send this:\n  ln6d://abc#def\nvalid 7 days").unwrap(), "ln6d://abc#def");
        assert!(link("no link here").is_err());
    }
}
