//! `ln6d admin` beside a real broker: as which account it runs and what that keeps, who gets in, how it is reached.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use anyhow::{Context as _, Result, ensure};
use ln6_lab::{Process, probe, wait_for};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use world::{Machine, Net, PATIENCE, ready_with};

/// Everybody's account without rights.
const PAGE: &str = "nobody";
const PAGE_UID: u32 = 65_534;
const ADDRESS: &str = "http://127.0.0.1:6690";

#[test]
fn lab_probe() {
    probe::run_if_asked();
}

/// What `init` printed as the page's set-up link, and a broker that hears the page's account.
fn broker(label: &str, page: &str) -> Result<(Net, String)> {
    let world = ln6_lab::community(label)?;
    let mut server = Machine::new(&world.server);
    let pool = format!("{}/{}", ln6_lab::POOL.0, ln6_lab::POOL.1);
    let made = server.json(&["init", "--name", "vm", "--pool", &pool, "--public", ln6_lab::SERVER_NAME])?;
    let link = made["setup_link"].as_str().context("no set-up link")?.to_owned();
    configure(&server, page)?;
    // Other accounts may pass, but not look around.
    for directory in [server.directory(), server.namespace.directory()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o711))?;
    }
    server.start()?;
    Ok((Net { server, gateways: Vec::new(), addresses: Vec::new(), world }, link))
}

/// Puts lines under `[page]`, the last section of the file.
fn configure(server: &Machine, lines: &str) -> Result<()> {
    let file = server.directory().join("ln6d.toml");
    let text = fs::read_to_string(&file)?;
    let (before, _) = text.split_once("\n[page]\n").context("no [page]")?;
    Ok(fs::write(&file, format!("{before}\n[page]\n{lines}\n"))?)
}

fn serve(server: &Machine) -> Result<Process> {
    let binary = server.binary.to_str().context("path")?;
    let state = server.directory().to_str().context("path")?;
    server.namespace.spawn("page", &[binary, "--dir", state, "admin"])
}

/// `curl` on the server's machine: status and body.
fn curl(server: &Machine, options: &[&str]) -> Result<(u16, String)> {
    let words =
        [&["curl", "--silent", "--insecure", "--max-time", "20", "--write-out", "\n%{http_code}"], options];
    let output = server.namespace.exec(&words.concat());
    let (body, status) = output.stdout.trim_end().rsplit_once('\n').unwrap_or(("", "0"));
    Ok((status.parse()?, body.to_owned()))
}

fn wait_for_page(server: &Machine, page: &mut Process, url: &str) -> Result<()> {
    let answers = wait_for("the page", PATIENCE, || {
        if !page.is_running() {
            return Ok(false);
        }
        match curl(server, &[url]) {
            Ok((0, _)) | Err(_) => Err("nobody answers".to_owned()),
            Ok(_) => Ok(true),
        }
    })?;
    ensure!(answers, "the page ended: {}", page.stderr());
    Ok(())
}

/// Opens a set-up link and makes an administrator with it; returns the status of the answer.
fn set_up(server: &Machine, link: &str, jar: &Path) -> Result<u16> {
    let jar = jar.to_str().context("path")?;
    let (status, page) = curl(server, &["--cookie-jar", jar, "--cookie", jar, link])?;
    if status != 200 {
        return Ok(status);
    }
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let token = format!("csrf={}", token.context("no token in the form")?);
    let origin = link.split("/setup/").next().context("no address")?;
    let origin = format!("Origin: {origin}");
    let password = "correct horse battery";
    let fields = [&token, "name=ana", &format!("password={password}"), &format!("repeated={password}")]
        .map(|field| ["--data-urlencode".to_owned(), field.to_owned()])
        .concat();
    let mut words = vec!["--cookie-jar", jar, "--cookie", jar, "--header", &origin, link];
    words.extend(fields.iter().map(String::as_str));
    Ok(curl(server, &words)?.0)
}

/// Effective user and the capability sets, in hexadecimal, of each thread of a process whose name begins with `prefix`.
fn threads(pid: u32, prefix: &str) -> Result<Vec<(u32, Vec<u64>)>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        if !field("Name").context("name")?.starts_with(prefix) {
            continue;
        }
        let user = field("Uid").and_then(|ids| ids.split('\t').nth(1)).context("uid")?.parse()?;
        let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"];
        let sets = sets.map(|set| u64::from_str_radix(field(set).unwrap_or("1"), 16).unwrap_or(1));
        found.push((user, sets.to_vec()));
    }
    Ok(found)
}

#[test]
fn the_page_runs_as_its_account_without_capabilities_and_lets_in_whom_the_link_makes() -> Result<()> {
    if !ready_with(&["curl", "openssl"]) {
        return Ok(());
    }
    let (net, link) = broker("admin", &format!("user = \"{PAGE}\""))?;
    let server = &net.server;
    let mut page = serve(server)?;
    wait_for_page(server, &mut page, ADDRESS)?;
    for (user, sets) in threads(page.pid(), "")? {
        assert_eq!((user, sets), (PAGE_UID, vec![0; 4]));
    }
    let said = page.stdout();
    assert!(said.contains(&format!("ssh -L 6690:127.0.0.1:6690 {}", ln6_lab::SERVER_NAME)), "{said}");
    assert!(!said.contains("/setup/"), "the link of 'init' is still good: {said}");

    let jar = net.world.server.directory().join("jar");
    assert_eq!(set_up(server, &link, &jar)?, 303, "{}", page.stderr());
    assert_eq!(set_up(server, &link, &jar)?, 410, "a link works once");
    let jar = jar.to_str().context("path")?;
    let (status, overview) = curl(server, &["--cookie", jar, &format!("{ADDRESS}/")])?;
    assert!(status == 200 && overview.contains("<h1>vm</h1>"), "{status} {overview}");
    assert_eq!(curl(server, &[&format!("{ADDRESS}/")])?.0, 303, "others are sent to the login");
    let unix = server.directory().join("page/page.sock");
    let (status, _) =
        curl(server, &["--unix-socket", unix.to_str().context("path")?, "http://localhost/login"])?;
    assert_eq!(status, 200, "a proxy comes by the socket");

    // What root makes from the command line is the page's, too; but nothing that a link in its folder leads to.
    let accounts = server.directory().join("page/admin.json");
    let victim = net.world.server.directory().join("victim");
    fs::write(&victim, "root's")?;
    std::os::unix::fs::symlink(&victim, server.directory().join("page/laid"))?;
    let again = server.json(&["admin", "--setup-link"])?;
    assert!(again["setup_link"].as_str().context("link")?.starts_with(&format!("{ADDRESS}/setup/")));
    let data = fs::metadata(&accounts)?;
    assert_eq!((data.uid(), data.permissions().mode() & 0o777), (PAGE_UID, 0o600));
    assert_eq!(fs::metadata(&victim)?.uid(), 0, "root gave away what a link led to");
    assert_eq!(page.stop(PATIENCE)?.code(), Some(0));
    Ok(())
}

#[test]
fn passwords_are_set_from_the_machine() -> Result<()> {
    if !ready_with(&["curl", "openssl"]) {
        return Ok(());
    }
    let (net, _) = broker("password", "")?;
    let server = &net.server;
    let (binary, state) =
        (server.binary.to_str().context("path")?, server.directory().to_str().context("path")?);
    let set = |line: &str, more: &str| {
        let command = format!("printf '{line}\\n' | {binary} --dir {state} admin --password luz {more}");
        server.namespace.exec(&["sh", "-c", &command])
    };
    assert_eq!(set("correct horse battery", "").code, Some(4), "nobody is called so");
    assert_eq!(set("short", "--role viewer").code, Some(2));
    assert_eq!(set("correct horse battery", "--role viewer").stdout, "Person added luz\n");
    assert_eq!(set("another horse battery", "--role admin").stdout, "Password set luz\n");
    let book: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(server.directory().join("page/admin.json"))?)?;
    assert_eq!((&book["people"][0]["name"], &book["people"][0]["role"]), (&json!("luz"), &json!("admin")));
    Ok(())
}

#[test]
fn what_stands_in_the_pages_way_is_said_with_the_next_step() -> Result<()> {
    if !ready_with(&["curl", "openssl"]) {
        return Ok(());
    }
    let (net, _) = broker("way", "")?;
    let server = &net.server;
    let refused = |lines: &str| -> Result<(Option<i32>, String)> {
        configure(server, lines)?;
        let output = server.try_ask(&["admin", "--json"])?;
        let error: serde_json::Value = serde_json::from_str(&output.stdout).context(output.stderr)?;
        Ok((output.code, error["code"].as_str().context("code")?.to_owned()))
    };
    assert_eq!(refused("listen = \"0.0.0.0:6690\"")?, (Some(2), "config_invalid".to_owned()));
    assert_eq!(refused("user = \"nobody-at-all\"")?, (Some(4), "account_missing".to_owned()));
    assert_eq!(
        refused("certificate = \"none.crt\"\nkey = \"none.key\"")?,
        (Some(1), "tls_invalid".to_owned())
    );
    assert_eq!(refused("inside = true")?, (Some(7), "already_running".to_owned()));
    configure(server, "")?;
    let mut page = serve(server)?;
    wait_for_page(server, &mut page, ADDRESS)?;
    assert_eq!(refused("")?, (Some(7), "port_in_use".to_owned()));
    Ok(())
}

#[test]
fn the_daemon_serves_the_page_itself_in_a_thread_without_capabilities() -> Result<()> {
    if !ready_with(&["curl", "openssl"]) {
        return Ok(());
    }
    let (net, link) = broker("inside", "inside = true")?;
    let server = &net.server;
    let found = threads(server.pid()?, "ln6d-page")?;
    assert_eq!(found, [(0, vec![0; 4])]);
    assert_eq!(set_up(server, &link, &net.world.server.directory().join("jar"))?, 303);
    Ok(())
}

#[test]
fn a_certificate_protects_the_way_and_is_read_again_when_renewed() -> Result<()> {
    if !ready_with(&["curl", "openssl"]) {
        return Ok(());
    }
    let (net, _) = broker(
        "tls",
        &format!(
            "listen = \"[::]:6690\"\nhosts = [\"{}\"]\ncertificate = \"a.crt\"\nkey = \"a.key\"",
            ln6_lab::SERVER_NAME
        ),
    )?;
    let server = &net.server;
    let make = |name: &str| -> Result<()> {
        let [key, certificate] =
            ["a.key", "a.crt"].map(|file| server.directory().join(file).display().to_string());
        let subject = format!("/CN={name}");
        let mut words =
            vec!["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
        words.extend(["-nodes", "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &certificate]);
        server.namespace.run(&words).map(drop)
    };
    make("first.example.net")?;
    let mut page = serve(server)?;
    let url = "https://127.0.0.1:6690/login";
    wait_for_page(server, &mut page, url)?;
    let subject = || -> Result<String> {
        let output = server.namespace.exec(&["curl", "--silent", "--insecure", "--verbose", url]);
        let line =
            output.stderr.lines().find(|line| line.contains("subject: ")).context(output.stderr.clone())?;
        Ok(line.to_owned())
    };
    assert!(subject()?.contains("first.example.net"));
    make("second.example.net")?;
    page.signal("HUP")?;
    wait_for("the new certificate", PATIENCE, || match subject() {
        Ok(line) if line.contains("second.example.net") => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let (status, _) = curl(server, &["http://127.0.0.1:6690/login"])?;
    assert_eq!(status, 0, "nothing is said in the open");
    Ok(())
}
