//! Collections of the cold paths.

/// What `collect` gives, by putting one item in after the other. Collecting into a `BTreeMap` or `BTreeSet` first sorts a
/// list, by a sort that is made anew for each type of key and is worth its 4 kB only where there are many.
pub fn gathered<C: Default + Extend<T>, T>(items: impl IntoIterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(items);
    all
}
