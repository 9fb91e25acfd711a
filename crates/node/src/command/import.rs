//! `import-librenet6 FOLDER`: the subnets of an old network become reservations under its nodes' names.

use super::output::Output;
use super::registry::act;
use crate::api::{self, Action};
use crate::cli::ImportLibrenet6;
use crate::client::Client;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::render::{Render, Style};
use crate::schema::{ActionReply, InviteReply, Schema};
use ln6_broker::librenet6::{FILES, Host, LARGEST, TincKey, hosts};
use ln6_types::Prefix;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What `import-librenet6` prints.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct ImportReport {
    /// Whether nothing was changed.
    dry_run: bool,
    /// Subnets that are reserved now (or would be).
    reserved: u64,
    /// Subnets that the registry refuses.
    refused: u64,
    /// By name of the file.
    hosts: Vec<ImportedHost>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct ImportedHost {
    file: String,
    name: Option<String>,
    reserved: Vec<Prefix>,
    refused: Vec<Refused>,
    /// Keys that cannot be taken over: `rsa`, `ed25519`.
    keys: Vec<String>,
    notes: Vec<String>,
    /// The invitation, or the command that makes one.
    link: Option<String>,
    invite: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Refused {
    prefix: Prefix,
    code: String,
    message: String,
}

impl Schema for ImportReport {
    const SCHEMA: &'static str = "ln6d.import/1";
}

/// A file's name and what is in it.
type NamedContent = (Vec<u8>, Vec<u8>);

pub(super) fn run(import: &ImportLibrenet6, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let read = hosts(&read_folder(&import.folder)?);
    if read.is_empty() {
        let none = format!("there is no host file in {}", import.folder.display());
        return Err(CliError::new(Trouble::NotFound, none).hint("name the folder that has one file a node"));
    }
    let client = Client::new(layout);
    let mut report = ImportReport { dry_run: import.dry_run, ..ImportReport::default() };
    for host in read {
        report.hosts.push(one(import, &client, host, &layout.command)?);
    }
    let sum = |of: fn(&ImportedHost) -> usize| report.hosts.iter().map(|host| of(host) as u64).sum();
    (report.reserved, report.refused) = (sum(|host| host.reserved.len()), sum(|host| host.refused.len()));
    let exit = if report.refused > 0 { Exit::Conflict } else { Exit::Ok };
    output.show(report);
    Ok(exit)
}

fn one(
    import: &ImportLibrenet6,
    client: &Client,
    host: Host,
    command: &str,
) -> Result<ImportedHost, CliError> {
    let mut out = ImportedHost {
        file: host.file,
        keys: host.keys.into_iter().map(|key: TincKey| key.word().to_owned()).collect(),
        notes: host.notes,
        name: host.name,
        ..ImportedHost::default()
    };
    let Some(name) = out.name.clone() else { return Ok(out) };
    let size = host.subnets.first().map(|subnet| subnet.len());
    for prefix in host.subnets {
        let note = Some(format!("LibreNet6: {}", out.file));
        let reserve = Action::Reserve(api::Reserve { prefix, holder: Some(name.clone()), note });
        match reserved(import, client, reserve) {
            Ok(()) => out.reserved.push(prefix),
            Err(error)
                if error.exit == Exit::Unreachable
                    || error.exit == Exit::Denied
                    || error.exit == Exit::NoAnswer =>
            {
                return Err(error);
            }
            Err(error) => {
                out.refused.push(Refused { prefix, code: error.code.into_owned(), message: error.message });
            }
        }
    }
    if import.invite {
        let expires_seconds = Some(import.expires.as_secs());
        let invite = Action::Invite(api::Invite { name: Some(name), size, expires_seconds, open: false });
        out.link = Some(client.get::<InviteReply>(&act(invite))?.link);
    } else {
        let size = size.map_or_else(String::new, |size| format!(" --size {size}"));
        out.invite = Some(format!("{command} invite --name {name}{size}"));
    }
    Ok(out)
}

fn reserved(import: &ImportLibrenet6, client: &Client, reserve: Action) -> Result<(), CliError> {
    if import.dry_run { Ok(()) } else { client.get::<ActionReply>(&act(reserve)).map(|_| ()) }
}

/// Names and contents of plain files; links and folders are left out, and no file is read beyond its limit.
fn read_folder(folder: &Path) -> Result<Vec<NamedContent>, CliError> {
    let failed = |path: &Path, error: &io::Error| CliError::file("read", path, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        let path = entry.path();
        if !entry.file_type().map_err(|error| failed(&path, &error))?.is_file() {
            continue;
        }
        if files.len() >= FILES {
            let many = format!("{} has more than {FILES} files and is no hosts folder", folder.display());
            return Err(CliError::new(Trouble::FileTrouble, many));
        }
        let mut content = Vec::new();
        let file = File::open(&path).map_err(|error| failed(&path, &error))?;
        file.take(LARGEST as u64 + 1).read_to_end(&mut content).map_err(|error| failed(&path, &error))?;
        files.push((entry.file_name().as_bytes().to_vec(), content));
    }
    Ok(files)
}

impl Render for ImportReport {
    fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for host in &self.hosts {
            let name = host.name.as_deref().unwrap_or("-");
            let list: Vec<String> = host.reserved.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "{} → {}  {}", host.file, style.paint.bold(name), list.join(", "));
            for refused in &host.refused {
                let _ = writeln!(out, "  {} {}: {}", style.paint.bad("✗"), refused.prefix, refused.message);
            }
            for note in &host.notes {
                let _ = writeln!(out, "  {} {note}", style.paint.warn("!"));
            }
            if !host.keys.is_empty() {
                let words = format!(
                    "its {} key belongs to tinc and cannot be taken over; invite it:",
                    host.keys.join(" and ")
                );
                let _ = writeln!(out, "  {}", style.paint.dim(&words));
            }
            if let Some(text) = host.link.as_ref().or(host.invite.as_ref()) {
                let _ = writeln!(out, "    {text}");
            }
        }
        let done = if self.dry_run { "would be reserved" } else { "reserved" };
        let _ = writeln!(
            out,
            "\n{} nodes, {} subnets {done}, {} refused.",
            self.hosts.len(),
            self.reserved,
            self.refused
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;

    fn import(folder: &Path) -> ImportLibrenet6 {
        ImportLibrenet6 {
            folder: folder.to_owned(),
            dry_run: true,
            invite: false,
            expires: "30d".parse().expect("span"),
        }
    }

    fn report(folder: &Path) -> ImportReport {
        let client = Client::new(&Layout::under(folder));
        let mut report = ImportReport { dry_run: true, ..ImportReport::default() };
        for host in hosts(&read_folder(folder).expect("folder")) {
            report.hosts.push(one(&import(folder), &client, host, "ln6d").expect("dry"));
        }
        report
    }

    #[test]
    fn a_folder_as_librenet6_had_it_is_read_as_the_golden_file_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/librenet6/hosts");
        let json = serde_json::to_string_pretty(&report(&folder)).expect("json") + "\n";
        assert_eq!(json, include_str!("../../tests/librenet6/report.json"), "{json}");
    }

    #[test]
    fn ninety_two_hosts_give_ninety_two_names_and_subnets() {
        let dir = TestDir::new();
        for number in 0..92 {
            let text = format!("Subnet = 2001:db8:1:f{number:03x}::/64\n-----BEGIN RSA PUBLIC KEY-----\n");
            fs::write(dir.path().join(format!("topo_community{number}_node")), text).expect("file");
        }
        let report = report(dir.path());
        let subnets: std::collections::BTreeSet<Prefix> =
            report.hosts.iter().flat_map(|host| host.reserved.clone()).collect();
        assert_eq!((report.hosts.len(), subnets.len()), (92, 92));
        assert!(
            report
                .hosts
                .iter()
                .all(|host| host.invite.as_ref().is_some_and(|line| line.ends_with("-node --size 64")))
        );
    }

    #[test]
    fn links_and_folders_are_not_read_and_an_empty_folder_is_said() {
        let dir = TestDir::new();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).expect("link");
        fs::create_dir(dir.path().join("folder")).expect("folder");
        let output = Output::silent(true);
        let run = run(&import(dir.path()), &Layout::under(dir.path()), &output).expect_err("nothing there");
        assert_eq!(run.exit, Exit::NotFound);
    }
}
