//! A gateway that is set up through its page, by plain forms as a browser without script sends them: it joins by a pasted
//! link, asks for another size, is looked at from its LAN, leaves, and joins again.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use anyhow::{Context as _, Result, ensure};
use ln6_lab::{Namespace, Process, probe, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use world::{Machine, Net, PATIENCE, ready_with};

const ADDRESS: &str = "http://127.0.0.1:6690";

#[test]
fn lab_probe() {
    probe::run_if_asked();
}

/// `curl` in a namespace: status and body.
fn curl(from: &Namespace, options: &[&str]) -> Result<(u16, String)> {
    let words =
        [&["curl", "--silent", "--globoff", "--max-time", "30", "--write-out", "\n%{http_code}"], options];
    let output = from.exec(&words.concat());
    let (body, status) = output.stdout.trim_end().rsplit_once('\n').unwrap_or(("", "0"));
    Ok((status.parse()?, body.to_owned()))
}

/// Somebody at a browser without script.
struct Browser<'a> {
    at: &'a Namespace,
    jar: PathBuf,
}

impl Browser<'_> {
    fn get(&self, path: &str) -> Result<(u16, String)> {
        let jar = self.jar.to_str().context("path")?;
        curl(self.at, &["--cookie-jar", jar, "--cookie", jar, &format!("{ADDRESS}{path}")])
    }

    /// Fills in the form of a page and sends it where the form says.
    fn send(&self, page: &str, to: &str, fields: &[(&str, &str)]) -> Result<(u16, String)> {
        let (status, form) = self.get(page)?;
        ensure!(status == 200, "{page} is answered with {status}");
        let token = form.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let mut sent = vec![format!("csrf={}", token.context("no token in the form")?)];
        sent.extend(fields.iter().map(|(name, value)| format!("{name}={value}")));
        let sent: Vec<String> =
            sent.into_iter().flat_map(|field| ["--data-urlencode".to_owned(), field]).collect();
        let (jar, origin, url) =
            (self.jar.to_str().context("path")?, format!("Origin: {ADDRESS}"), format!("{ADDRESS}{to}"));
        let mut words = vec!["--cookie-jar", jar, "--cookie", jar, "--header", &origin, &url];
        words.extend(sent.iter().map(String::as_str));
        curl(self.at, &words)
    }
}

fn spawn(machine: &Machine, label: &str, command: &[&str]) -> Result<Process> {
    let binary = machine.binary.to_str().context("path")?;
    let state = machine.directory().to_str().context("path")?;
    machine.namespace.spawn(label, &[&[binary, "--dir", state], command].concat())
}

/// Waits until the gateway's status is as wanted.
fn status(gateway: &Machine, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    wait_for(what, PATIENCE, || {
        let status = gateway.status().map_err(|error| error.to_string())?;
        if is_so(&status) {
            Ok(status)
        } else {
            Err(format!("{} {}", status["standing"], status["prefixes"]))
        }
    })
}

fn length(status: &Value) -> Option<&str> {
    status["prefixes"][0].as_str().and_then(|prefix| prefix.rsplit('/').next())
}

#[test]
fn a_gateway_joins_by_its_page_asks_for_another_size_and_leaves() -> Result<()> {
    if !ready_with(&["curl"]) {
        return Ok(());
    }
    let net = Net::server_only("gatewaypage")?;
    let site = &net.world.sites[0];
    let gateway = Machine::new(&site.gateway);
    // Other accounts may pass, but not look around.
    fs::create_dir_all(gateway.directory())?;
    for directory in [gateway.directory(), gateway.namespace.directory()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o711))?;
    }
    let file = gateway.directory().join("ln6d.toml");
    let page = "[page]\nuser = \"nobody\"\nlisten = \"[::]:6690\"\nguests = true\n";
    fs::write(&file, format!("[node]\nname = \"roof\"\n{page}"))?;
    let mut daemon = spawn(&gateway, "waiting", &["run", "--wait"])?;
    status(&gateway, "the daemon to wait", |status| status["standing"]["state"] == "no_network")?;
    let refused = gateway.try_ask(&["peers", "--json"])?;
    assert_eq!(refused.code, Some(0), "nobody is known: {}", refused.stdout);
    assert_eq!(gateway.try_ask(&["routes"])?.code, Some(4));
    let mut page = spawn(&gateway, "page", &["admin"])?;
    let link = wait_for("the set-up link", PATIENCE, || {
        let said = page.stdout();
        let link = said.split_whitespace().find(|word| word.contains("/setup/")).map(str::to_owned);
        link.ok_or_else(|| format!("{said}{}", page.stderr()))
    })?;
    assert!(link.starts_with(&format!("{ADDRESS}/setup/")), "it opens at the tunnel's near end: {link}");
    assert!(page.stdout().contains("ssh -L 6690:127.0.0.1:6690 "), "{}", page.stdout());

    // The first administrator, then the invitation.
    let browser = Browser { at: &gateway.namespace, jar: gateway.namespace.directory().join("jar") };
    let setup = link.strip_prefix(ADDRESS).context("path")?;
    wait_for("the page", PATIENCE, || match browser.get("/") {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let password = "correct horse battery";
    let made =
        browser.send(setup, setup, &[("name", "ana"), ("password", password), ("repeated", password)])?;
    assert_eq!(made.0, 303, "{}", made.1);
    let (_, first) = browser.get("/")?;
    assert!(first.contains("Not in a network yet") && first.contains("href=\"/join\""), "{first}");
    let wrong = browser.send("/join", "/join", &[("link", "ln6://join/nonsense")])?;
    assert!(wrong.0 == 200 && wrong.1.contains("role=\"alert\""), "{}", wrong.1);
    let invitation = net.server.invite("moreno", 56)?;
    let (half, rest) = invitation.split_at(40);
    let fields =
        [("link", &*format!("{half}\n{rest}")), ("lans", ln6_lab::LAN), ("ssid", "quintanalibre.org.ar")];
    assert_eq!(browser.send("/join", "/join", &fields)?.0, 303);
    // At once, as a browser follows: while the daemon changes from waiting to running, who asks waits.
    let (code, body) = browser.get("/")?;
    assert!(code == 200 && body.contains("moreno"), "{code} {body}");
    let held = status(&gateway, "a prefix", |status| length(status) == Some("56"))?;
    assert_eq!((&held["standing"]["state"], &held["node"]["name"]), (&json!("member"), &json!("moreno")));
    ensure!(daemon.is_running(), "the daemon that waited goes on: {}", daemon.stderr());
    let prefix = held["prefixes"][0].as_str().context("prefix")?.to_owned();
    let network = prefix.split("::").next().context("network")?.to_owned();
    wait_for("the page to show the prefix", PATIENCE, || {
        let (_, body) = browser.get("/").map_err(|error| error.to_string())?;
        if body.replace("<wbr>", "").contains(&network) { Ok(()) } else { Err(body) }
    })?;
    let wish = gateway.json(&["size"])?;
    assert_eq!((&wish["size"], &wish["ssid"]), (&json!(56), &json!("quintanalibre.org.ar")));
    // 2001:db8:4800::/40 and the name's ee3e.
    assert_eq!(wish["proposals"], json!(["2001:db8:48ee:3e00::/56"]), "{wish}");
    let tested = browser.send("/health", "/test", &[])?;
    assert!(tested.0 == 200 && tested.1.contains("altermundi"), "{}", tested.1);

    // Another size: the broker is told, nothing changes before somebody there has decided.
    assert_eq!(browser.send("/size", "/size", &[("size", "/52")])?.0, 303);
    wait_for("the wish on the broker", PATIENCE, || {
        let status = net.server.status().map_err(|error| error.to_string())?;
        let problems = status["problems"].as_array().cloned().unwrap_or_default();
        let told = problems
            .iter()
            .any(|one| one["code"] == "size_asked" && one["message"] == "moreno asks for a /52");
        if told { Ok(()) } else { Err(status["problems"].to_string()) }
    })?;
    assert_eq!(length(&gateway.status()?), Some("56"));
    net.server.ask(&["resize", "moreno", "52", "--yes"])?;
    status(&gateway, "the larger prefix", |status| length(status) == Some("52"))?;
    wait_for("the note to go", PATIENCE, || {
        let status = net.server.status().map_err(|error| error.to_string())?;
        if status["problems"].to_string().contains("size_asked") {
            Err(status["problems"].to_string())
        } else {
            Ok(())
        }
    })?;

    // From the LAN one looks, and no more.
    net.wait_address(0)?;
    let status_now = gateway.status()?;
    let lan = status_now["lans"].as_array().context("lans")?.iter().find(|lan| lan["deprecated"] == false);
    let lan = lan.and_then(|lan| lan["address"].as_str()).context("no address on the LAN")?;
    let client = net.client(0);
    let url = |path: &str| format!("http://[{lan}]:6690{path}");
    let (code, body) = curl(client, &[&url("/")])?;
    assert!(code == 200 && body.contains("moreno") && !body.contains("name=\"csrf\""), "{code} {body}");
    assert_eq!(curl(client, &[&url("/login")])?.0, 403);
    let jar = browser.jar.to_str().context("path")?;
    let origin = format!("Origin: http://[{lan}]:6690");
    let forged = ["--cookie", jar, "--header", &origin, "--data", "retyped=moreno", &url("/leave")];
    assert_eq!(curl(client, &forged)?.0, 403);

    // Leaving: the network is forgotten, and the daemon waits for the next.
    assert_eq!(browser.send("/leave", "/leave", &[("retyped", "another")])?.0, 200);
    assert_eq!(browser.send("/leave", "/leave", &[("retyped", "moreno")])?.0, 303);
    status(&gateway, "the daemon to wait again", |status| status["standing"]["state"] == "no_network")?;
    ensure!(daemon.is_running(), "{}", daemon.stderr());
    assert!(!fs::read_to_string(&file)?.contains("fingerprint"), "the configuration names no network");
    assert!(gateway.directory().join("state.left-1").exists(), "what it knew is kept aside");
    let (code, body) = browser.get("/")?;
    assert!(code == 200 && body.contains("Not in a network yet"), "the page is still heard: {body}");

    // The command line wakes it as well.
    let again = net.server.invite("cerro", 60)?;
    let said = gateway.json(&["join", &again, "--lan", ln6_lab::LAN])?;
    assert!(said["next"].as_str().is_some_and(|next| next.ends_with(" status")), "{said}");
    status(&gateway, "a prefix again", |status| {
        status["standing"]["state"] == "member" && length(status).is_some()
    })?;
    assert_eq!(page.stop(PATIENCE)?.code(), Some(0));
    assert_eq!(daemon.stop(PATIENCE)?.code(), Some(0));
    assert!(!gateway.directory().join("ln6d.sock").exists(), "no socket is left behind");
    Ok(())
}

#[test]
fn a_request_that_waits_is_asked_anew_with_another_size_and_forgotten_by_leaving() -> Result<()> {
    if !ready_with(&["curl"]) {
        return Ok(());
    }
    let net = Net::server_only("gatewaywish")?;
    let gateway = Machine::new(&net.world.sites[0].gateway);
    let mut daemon = spawn(&gateway, "waiting", &["run", "--wait"])?;
    status(&gateway, "the daemon to wait", |status| status["standing"]["state"] == "no_network")?;
    let open = net.server.json(&["invite", "--open"])?;
    gateway.ask(&["join", open["link"].as_str().context("link")?, "--name", "serrano", "--size", "56"])?;
    status(&gateway, "its place in the queue", |status| status["standing"]["state"] == "waiting")?;
    let asked = || -> Result<Value> { Ok(net.server.json(&["requests"])?["requests"][0]["size"].clone()) };
    assert_eq!(asked()?, json!(56));
    gateway.ask(&["size", "52"])?;
    wait_for("the request with another size", PATIENCE, || match asked() {
        Ok(size) if size == json!(52) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    assert_eq!(gateway.try_ask(&["size", "129"])?.code, Some(2));
    gateway.ask(&["leave", "--yes"])?;
    status(&gateway, "the daemon to wait again", |status| status["standing"]["state"] == "no_network")?;
    assert_eq!(daemon.stop(PATIENCE)?.code(), Some(0));
    Ok(())
}
