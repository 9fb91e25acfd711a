//! For people: one screen of status, aligned tables, units and ages. Colour only on a terminal without `NO_COLOR`.

#[cfg(feature = "broker")]
mod books;
#[cfg(feature = "broker")]
mod flow;
#[cfg(feature = "broker")]
mod keylist;
mod lists;
mod paint;
#[cfg(feature = "broker")]
mod registry;
mod reply;
mod status;
mod table;
mod units;

pub use paint::Paint;
pub use units::{age, ago, bytes, in_span, round_trip, span};

use crate::schema::Time;

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Colours, or none.
    pub paint: Paint,
    /// The present, to tell ages from.
    pub now: Time,
}

impl Style {
    /// For standard output as it is.
    pub fn of_stdout() -> Self {
        Style { paint: Paint::of_stdout(), now: Time::now() }
    }

    /// Without colours.
    pub const fn plain(now: Time) -> Self {
        Style { paint: Paint::off(), now }
    }
}

/// What can be shown to a person.
pub trait Render {
    /// Whole lines, each ended.
    fn render(&self, style: Style) -> String;
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
