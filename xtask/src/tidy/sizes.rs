//! A file is a room.

use super::{assert_none, files};

/// Lines of code from which a file is pointed out.
const LARGE: usize = 700;
/// Lines of code from which it is refused.
const TOO_LARGE: usize = 1000;

#[test]
fn no_file_is_a_hall() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && !file.is_test()) {
        match file.code().len() {
            lines if lines > TOO_LARGE => {
                complaints.push(format!("{} has {lines} lines of code: divide it", file.path));
            }
            lines if lines > LARGE => eprintln!("large: {} has {lines} lines of code", file.path),
            _ => {}
        }
    }
    assert_none(&complaints);
}

#[test]
fn rooms_have_names_that_say_something() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        let name = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if ["mod", "util", "utils", "helper", "helpers", "manager", "common", "misc"].contains(&name) {
            complaints.push(format!("{}: name the file after its job", file.path));
        }
    }
    assert_none(&complaints);
}
