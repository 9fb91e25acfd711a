//! The API socket as the admin page uses it: another account, in somebody's name; and the same by the command line. A real
//! gateway joins, is looked at, changed, revoked and restored.
#![allow(clippy::unwrap_used)]

#[path = "support/world.rs"]
mod world;

use anyhow::{Context as _, Result, ensure};
use ln6_lab::{probe, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};
use world::{Net, PATIENCE, ready_with};

#[test]
fn lab_probe() {
    probe::run_if_asked();
}

/// The page's account: everybody's `nobody`, whose group may open the socket.
const PAGE: (&str, &str) = ("nobody", "65534");
/// An account that is nothing here.
const OTHER: &str = "60123";

/// Asks as an account that may open the socket: its status and what it answered.
fn ask(net: &Net, uid: &str, actor: Option<&str>, word: &str, body: Option<&Value>) -> Result<(u16, Value)> {
    let socket = net.server.directory().join("ln6d.sock");
    let socket = socket.to_str().context("path")?;
    let (uid_option, url) = (format!("--reuid={uid}"), format!("http://ln6d/api/v1/{word}"));
    let header = format!("x-ln6d-actor: {}", actor.unwrap_or_default());
    let body = body.map(Value::to_string);
    let mut words = vec!["setpriv", &uid_option, "--regid=65534", "--clear-groups", "curl", "--silent"];
    words.extend(["--unix-socket", socket, "--write-out", "\n%{http_code}", &url]);
    if actor.is_some() {
        words.extend(["--header", &header]);
    }
    if let Some(body) = &body {
        words.extend(["--data", body]);
    }
    let text = net.server.namespace.run(&words)?;
    let (answer, status) = text.trim_end().rsplit_once('\n').context("no status")?;
    Ok((status.parse()?, serde_json::from_str(answer).with_context(|| format!("not JSON: {answer}"))?))
}

fn open(net: &mut Net) -> Result<()> {
    let config = net.server.directory().join("ln6d.toml");
    let text = fs::read_to_string(&config)?;
    ensure!(text.contains("# user = "), "no place for the page's account in {text}");
    fs::write(&config, text.replace("# user = \"ln6d-admin\"", &format!("user = \"{}\"", PAGE.0)))?;
    // Other accounts may pass, but not look around.
    for directory in [net.server.directory(), net.server.namespace.directory()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o711))?;
    }
    net.server.stop()?;
    net.server.start()
}

#[test]
fn a_page_asks_in_somebodys_name_and_decides_nothing_about_the_core() -> Result<()> {
    if !ready_with(&["curl", "setpriv"]) {
        return Ok(());
    }
    let mut net = Net::server_only("page")?;
    open(&mut net)?;
    net.join_next()?;
    net.wait_address(0)?;
    let ana = Some("admin:ana");
    let asks = |uid, actor, word: &str, body: Option<Value>| ask(&net, uid, actor, word, body.as_ref());

    // Who may ask at all.
    assert_eq!(asks(OTHER, None, "status", None)?.0, 200);
    assert_eq!(asks(OTHER, None, "suspend", Some(json!({"name": "moreno"})))?.0, 403);
    assert_eq!(asks(OTHER, ana, "status", None)?.0, 403);
    assert_eq!(asks(PAGE.1, None, "status", None)?.0, 403);
    assert_eq!(asks(PAGE.1, Some("root"), "status", None)?.0, 400);
    assert_eq!(asks(PAGE.1, ana, "status", None)?.0, 200);

    // A holder as it is shown, and a change that was overtaken.
    let (_, list) = asks(PAGE.1, ana, "holders?text=more&sort=-since&limit=5", None)?;
    assert_eq!((list["total"].clone(), list["holders"][0]["name"].clone()), (json!(1), json!("moreno")));
    let revision = list["holders"][0]["revision"].clone();
    let note =
        json!({"name": "moreno", "note": "<b>roof</b>", "contact": "ana@example.net", "expect": revision});
    assert_eq!(asks(PAGE.1, ana, "note", Some(note.clone()))?.0, 200);
    let (status, refused) = asks(PAGE.1, ana, "note", Some(note))?;
    assert_eq!((status, refused["code"].clone()), (409, json!("state_changed")));
    let (_, holder) = asks(PAGE.1, ana, "holder?name=moreno", None)?;
    assert_eq!(holder["holder"]["note"], json!("<b>roof</b>"));
    let prefix = holder["holder"]["prefixes"][0]["prefix"].as_str().context("prefix")?.to_owned();

    // What a revocation would do, then done, undone, and told by the journal.
    let action = json!({"action": {"revoke": {"name": "moreno"}}});
    let (_, effects) = asks(PAGE.1, ana, "preview", Some(action))?;
    let codes: Vec<_> =
        effects["effects"].as_array().context("effects")?.iter().map(|e| &e["code"]).collect();
    assert!(codes.contains(&&json!("loses")) && effects["undo_until"].is_string(), "{effects}");
    assert_eq!(effects["needs_confirmation"], json!(false));
    let (_, done) = asks(PAGE.1, ana, "revoke", Some(json!({"name": "moreno", "reason": "lost"})))?;
    assert_eq!((done["done"].clone(), done["undo_until"].is_string()), (json!("revoked"), true), "{done}");
    let state = |wanted: &str| {
        wait_for(&format!("the gateway to be {wanted}"), PATIENCE, || {
            let status = net.gateways[0].status().map_err(|error| error.to_string())?;
            let state = status["standing"]["state"].as_str().unwrap_or_default().to_owned();
            if state == wanted { Ok(()) } else { Err(state) }
        })
    };
    wait_for("the gateway to lose its prefix", PATIENCE, || {
        let status = net.gateways[0].status().map_err(|error| error.to_string())?;
        if status["prefixes"] == json!([]) { Ok(()) } else { Err(status["standing"].to_string()) }
    })?;
    assert_eq!(asks(PAGE.1, ana, "undo", Some(json!({"name": "moreno", "reason": "found"})))?.0, 200);
    // It is told, and does not wait until it asks again: that would be after 15 s.
    let told = Instant::now();
    state("member")?;
    ensure!(told.elapsed() < Duration::from_secs(8), "member again after {:?}", told.elapsed());
    let (_, audit) = asks(PAGE.1, ana, "audit?actor=admin:ana&holder=moreno&kind=key_revoked", None)?;
    assert_eq!(
        (audit["rows"][0]["actor"].clone(), audit["rows"][0]["reason"].clone()),
        (json!("admin:ana"), json!("lost"))
    );
    let (_, history) = asks(PAGE.1, ana, &format!("history?prefix={prefix}"), None)?;
    assert_eq!(history["rows"][0]["holder"], json!("moreno"));
    let (_, space) =
        asks(PAGE.1, ana, &format!("space?block={}/{}", ln6_lab::POOL.0, ln6_lab::POOL.1), None)?;
    assert_eq!(space["cells"].as_array().map(Vec::len), Some(256));

    // What the page may not do alone is kept, shown with its effects, and done on the machine.
    let close = json!({"prefix": format!("{}/{}", ln6_lab::POOL.0, ln6_lab::POOL.1)});
    let (status, kept) = asks(PAGE.1, ana, "pool-close", Some(close))?;
    assert_eq!((status, kept["done"].clone()), (200, json!("kept")), "{kept}");
    let code = kept["confirm"].as_str().context("code")?.to_owned();
    let open = |net: &Net| net.server.json(&["pools"]).map(|pools| pools["pools"][0]["open"].clone());
    assert_eq!(open(&net)?, json!(true), "nothing has changed");
    assert_eq!(asks(PAGE.1, ana, "confirm", Some(json!({"code": code})))?.0, 403);
    assert_eq!(asks(PAGE.1, None, "confirm", Some(json!({"code": code})))?.0, 403);
    let (status, _) = asks(PAGE.1, ana, "roles", Some(json!({"name": "nobody-here", "exit": true})))?;
    assert_eq!(status, 404, "what could not be done is not kept");
    let waiting = net.server.json(&["confirm"])?;
    assert_eq!(waiting["confirmations"].as_array().map(Vec::len), Some(1), "{waiting}");
    assert_eq!(waiting["confirmations"][0]["actor"], json!("admin:ana"));
    net.server.ask(&["confirm", &code, "--yes"])?;
    assert_eq!(open(&net)?, json!(false));
    assert_eq!(net.server.try_ask(&["confirm", &code, "--yes"])?.code, Some(4), "once");
    Ok(())
}

#[test]
fn the_command_line_does_what_the_page_does() -> Result<()> {
    if !ready_with(&["curl", "setpriv"]) {
        return Ok(());
    }
    let mut net = Net::server_only("books")?;
    net.join_next()?;
    net.wait_address(0)?;
    let server = &net.server;
    let spare = "2001:db8:48fe::/48";
    server.ask(&["reserve", spare, "--for", "escuela", "--note", "their old one"])?;
    assert!(server.ask(&["reservations"])?.contains("their old one"));
    server.ask(&["unreserve", spare])?;
    server.ask(&["note", "moreno", "on the roof", "--contact", "ana@example.net"])?;
    let shown = server.ask(&["holder", "moreno"])?;
    assert!(shown.contains("on the roof") && shown.contains("ana@example.net"), "{shown}");
    assert!(server.ask(&["holders", "ana@"])?.contains("moreno"));
    assert_eq!(server.try_ask(&["suspend", "moreno", "--expect", "1"])?.code, Some(7), "somebody was faster");
    assert_eq!(server.try_ask(&["resize", "moreno", "52"])?.code, Some(2), "not without being asked");
    server.ask(&["resize", "moreno", "52", "--yes", "--reason", "smaller"])?;
    let prefixes = server.json(&["prefixes"])?;
    let live = prefixes["prefixes"].as_array().context("prefixes")?.iter();
    let lengths: Vec<_> =
        live.filter(|row| row["state"] == "active").filter_map(|row| row["prefix"].as_str()).collect();
    assert!(lengths.iter().any(|prefix| prefix.ends_with("/52")), "{lengths:?}");
    server.ask(&["policy", "--revocation-grace", "3d", "--yes"])?;
    assert_eq!(server.json(&["policy"])?["revocation_grace_seconds"], json!(3 * 86_400));
    server.ask(&["backup"])?;
    let backups = server.json(&["backup", "--list"])?;
    let file = backups["backups"][0]["file"].as_str().context("file")?;
    assert_eq!(fs::metadata(file)?.permissions().mode() & 0o777, 0o600);
    assert!(server.ask(&["audit", "--kind", "resized"])?.contains("smaller"));
    assert!(server.ask(&["space"])?.contains("delegated") || server.ask(&["space"])?.contains("partly"));
    let document: Value = serde_json::from_str(&server.ask(&["api", "openapi"])?)?;
    assert_eq!(document["openapi"], json!("3.1.0"));
    // What was decided survives a restart, whatever the configuration says.
    net.server.stop()?;
    net.server.start()?;
    assert_eq!(net.server.json(&["policy"])?["revocation_grace_seconds"], json!(3 * 86_400));
    Ok(())
}

#[test]
fn an_export_makes_the_same_registry_again_and_the_same_export() -> Result<()> {
    if !ready_with(&["curl", "setpriv"]) {
        return Ok(());
    }
    let mut net = Net::server_only("export")?;
    net.join_next()?;
    net.wait_address(0)?;
    let folder = net.server.directory().to_owned();
    let [first, second, bare] = ["a.export", "b.export", "c.export"].map(|name| folder.join(name));
    let [first, second, bare] = [&first, &second, &bare].map(|file| file.to_str().unwrap());
    net.server.ask(&["note", "moreno", "on the roof", "--contact", "ana@example.net"])?;
    net.server.ask(&["rename", "moreno", "terraza", "--yes"])?;
    wait_for("the gateway under its new name", PATIENCE, || {
        let status = net.gateways[0].status().map_err(|error| error.to_string())?;
        let peers = net.server.ask(&["peers"]).map_err(|error| error.to_string())?;
        if peers.contains("terraza") { Ok(()) } else { Err(format!("{peers} {}", status["standing"])) }
    })?;
    let holders = net.server.json(&["holders"])?;
    net.server.ask(&["export", first])?;
    net.server.ask(&["export", bare, "--without-contacts"])?;
    assert!(!fs::read_to_string(bare)?.contains("ana@example.net"));
    assert_eq!(net.server.try_ask(&["export", first])?.code, Some(7), "nothing is overwritten");
    assert_eq!(fs::metadata(first)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(net.server.try_ask(&["import", first])?.code, Some(7), "a daemon runs");
    net.server.stop()?;
    assert_eq!(net.server.try_ask(&["import", first])?.code, Some(7), "there is a registry");
    for end in ["", "-wal", "-shm"] {
        let old = folder.join(format!("registry.db{end}"));
        if old.exists() {
            fs::rename(&old, folder.join(format!("old.db{end}")))?;
        }
    }
    let text = fs::read_to_string(first)?;
    let cut = folder.join("cut.export");
    fs::write(&cut, &text[..text.len() / 2])?;
    let refused = net.server.try_ask(&["import", cut.to_str().unwrap(), "--json"])?;
    assert!(refused.stdout.contains("export_damaged"), "{}", refused.stdout);
    assert!(!folder.join("registry.db").exists(), "all or nothing");
    let said = net.server.ask(&["import", first])?;
    assert!(said.starts_with("Imported 1 holders"), "{said}");
    net.server.start()?;
    assert_eq!(net.server.json(&["holders"])?["holders"], holders["holders"]);
    net.server.ask(&["export", second])?;
    // The start added nothing but what the configuration orders again, which is nothing new.
    assert_eq!(fs::read_to_string(second)?, text);
    Ok(())
}
