//! How the parser's tree becomes the structs of `raw`. By hand, since `serde` would make a reader of its own for each type:
//! a hundred kilobytes of program for a router.

use super::check::{Checked, Fault};
use super::locate::meant;
use crate::error::Trouble;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something that can stand behind a key.
pub(super) trait Read: Sized {
    /// Reads what stands behind `key`, or in a list behind it.
    fn read(key: &str, value: Spanned<DeValue<'_>>) -> Checked<Self>;

    /// What holds if the key is not there; `None` if it must be.
    fn absent() -> Option<Self> {
        None
    }
}

fn fault_at(at: Range<usize>, message: String) -> Fault {
    Fault { trouble: Trouble::ConfigInvalid, message, hint: None, at: Some(at) }
}

fn misfit(key: &str, wanted: &str, value: &Spanned<DeValue<'_>>) -> Fault {
    let found = match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    fault_at(value.span(), format!("{key}: {wanted} belongs here, not {found}"))
}

/// A value together with its place.
impl<T: Read> Read for Spanned<T> {
    fn read(key: &str, value: Spanned<DeValue<'_>>) -> Checked<Self> {
        let at = value.span();
        T::read(key, value).map(|read| Spanned::new(at, read))
    }
}

impl<T: Read> Read for Option<T> {
    fn read(key: &str, value: Spanned<DeValue<'_>>) -> Checked<Self> {
        T::read(key, value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(key: &str, value: Spanned<DeValue<'_>>) -> Checked<Self> {
        if !value.get_ref().is_array() {
            return Err(misfit(key, "a list", &value));
        }
        let DeValue::Array(items) = value.into_inner() else { return Ok(Vec::new()) };
        items.into_iter().map(|item| T::read(key, item)).collect()
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

impl Read for String {
    fn read(key: &str, value: Spanned<DeValue<'_>>) -> Checked<Self> {
        value.get_ref().as_str().map(str::to_owned).ok_or_else(|| misfit(key, "a string", &value))
    }
}

impl Read for bool {
    fn read(key: &str, value: Spanned<DeValue<'_>>) -> Checked<Self> {
        value.get_ref().as_bool().ok_or_else(|| misfit(key, "true or false", &value))
    }
}

impl Read for i64 {
    fn read(key: &str, value: Spanned<DeValue<'_>>) -> Checked<Self> {
        let written = value.get_ref().as_integer().ok_or_else(|| misfit(key, "an integer", &value))?;
        i64::from_str_radix(written.as_str(), written.radix())
            .map_err(|_| fault_at(value.span(), format!("{key}: this number is too large")))
    }
}

/// A number, or a word that stands for one.
pub(super) enum Loose {
    Number(i64),
    Text(String),
}

impl Read for Loose {
    fn read(key: &str, value: Spanned<DeValue<'_>>) -> Checked<Self> {
        match value.get_ref() {
            DeValue::String(text) => Ok(Loose::Text(text.as_ref().to_owned())),
            DeValue::Integer(_) => i64::read(key, value).map(Loose::Number),
            _ => Err(misfit(key, "a number or a string", &value)),
        }
    }
}

/// A table whose keys are taken one by one.
pub(super) struct Table<'a> {
    at: Range<usize>,
    entries: DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The table behind `key`; a key in it that is not among `known` is a fault.
    pub(super) fn open(key: &str, value: Spanned<DeValue<'a>>, known: &[&str]) -> Checked<Self> {
        if !value.get_ref().is_table() {
            return Err(misfit(key, "a table", &value));
        }
        let at = value.span();
        let DeValue::Table(entries) = value.into_inner() else {
            return Ok(Table { at, entries: DeTable::new() });
        };
        match entries.keys().find(|key| !known.contains(&key.get_ref().as_ref())) {
            Some(key) => Err(unknown(key.get_ref(), key.span(), known)),
            None => Ok(Table { at, entries }),
        }
    }

    /// Takes what stands behind a key.
    pub(super) fn take<T: Read>(&mut self, key: &str) -> Checked<T> {
        match self.entries.remove(key) {
            Some(value) => T::read(key, value),
            None => T::absent().ok_or_else(|| fault_at(self.at.clone(), format!("'{key}' is missing here"))),
        }
    }
}

fn unknown(key: &str, at: Range<usize>, known: &[&str]) -> Fault {
    let hint = match meant(key, known) {
        Some(word) => format!("did you mean '{word}'?"),
        None => format!("the keys here are {}", known.join(", ")),
    };
    Fault {
        trouble: Trouble::ConfigUnknownKey,
        message: format!("there is no key '{key}' here"),
        hint: Some(hint),
        at: Some(at),
    }
}

/// A struct for a table of the file, and its reader: a field for each key that may be there.
macro_rules! table {
    ($see:vis struct $name:ident { $($(#[$only:meta])* $seen:vis $key:ident: $kind:ty,)* }) => {
        $see struct $name { $($(#[$only])* $seen $key: $kind,)* }

        impl $crate::config::tree::Read for $name {
            fn read(
                key: &str,
                value: toml::Spanned<toml::de::DeValue<'_>>,
            ) -> $crate::config::check::Checked<Self> {
                let known = [$($(#[$only])* stringify!($key),)*];
                let mut table = $crate::config::tree::Table::open(key, value, &known)?;
                Ok($name { $($(#[$only])* $key: table.take(stringify!($key))?,)* })
            }
        }
    };
}
pub(super) use table;
