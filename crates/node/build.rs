//! How a program that is built for size is linked. It aborts instead of unwinding, so the tables for unwinding, a tenth
//! of it, are left out, and what the linker can pack and merge, it does. Linkers differ: each argument is first tried on
//! an empty program, and left out where that does not link and run.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Throws away what only an unwinder reads.
const WITHOUT_UNWINDING: &str = "SECTIONS {
    /DISCARD/ : { *(.eh_frame .eh_frame.* .gcc_except_table .gcc_except_table.* .comment) }
} INSERT AFTER .text;
";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    // Cargo does not tell a build script whether the profile unwinds. Those that are built for size do not, and if one
    // did, its first panic would end the program too.
    let small = matches!(variable("OPT_LEVEL").as_str(), "s" | "z");
    if !small || variable("CARGO_CFG_TARGET_OS") != "linux" {
        return;
    }
    let trial = Trial::new();
    let script = trial.dir.join("without-unwinding.ld");
    if std::fs::write(&script, WITHOUT_UNWINDING).is_err() {
        return;
    }
    let groups = [
        vec![format!("-Wl,-T,{}", script.display()), "-Wl,--no-eh-frame-hdr".to_owned()],
        // A 24th of the space for the same relocations. Needs glibc 2.36 or musl 1.2.4 where the program runs, which
        // nobody knows who builds for another machine.
        vec!["-Wl,-z,pack-relative-relocs".to_owned()],
        vec!["-Wl,--icf=all".to_owned()],
    ];
    for group in groups {
        let native = variable("HOST") == variable("TARGET");
        if (native || !group[0].contains("relocs")) && trial.passes(&group, native) {
            for argument in group {
                println!("cargo:rustc-link-arg-bin=ln6d={argument}");
            }
        }
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// An empty program, linked as the real one will be.
struct Trial {
    dir: PathBuf,
    source: PathBuf,
}

impl Trial {
    fn new() -> Self {
        let dir = PathBuf::from(variable("OUT_DIR"));
        let source = dir.join("trial.rs");
        // What cannot be written cannot be compiled, and nothing passes.
        let _ = std::fs::write(&source, "fn main() {}\n");
        Trial { dir, source }
    }

    /// Whether the program links with the arguments, and runs if it is for this machine.
    fn passes(&self, arguments: &[String], native: bool) -> bool {
        let program = self.dir.join("trial");
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc")));
        rustc.args(["--edition=2024", "--target", &variable("TARGET"), "-Cpanic=abort", "-Cstrip=symbols"]);
        rustc.arg(&self.source).arg("-o").arg(&program);
        let flags = variable("CARGO_ENCODED_RUSTFLAGS");
        rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
        if let Some(linker) = env::var_os("RUSTC_LINKER") {
            rustc.arg("-C").arg(concat("linker=", linker));
        }
        rustc.args(arguments.iter().map(|argument| format!("-Clink-arg={argument}")));
        succeeds(&mut rustc) && (!native || succeeds(&mut Command::new(Path::new(&program))))
    }
}

fn concat(first: &str, second: OsString) -> OsString {
    let mut all = OsString::from(first);
    all.push(second);
    all
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
