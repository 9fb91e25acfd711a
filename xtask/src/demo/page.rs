//! The broker's admin page, brought out of its namespace: a port of this machine's loopback leads to the page's socket.

use super::machine::Machine;
use anyhow::{Context, Result};
use ln6_lab::{Process, wait_for};
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Until the page answers.
const START: Duration = Duration::from_secs(20);
/// The page's usual port, if this machine has it free.
const PORT: u16 = 6690;

/// Starts `ln6d admin` beside the broker's daemon; the link by which a browser of this machine sets it up, and its process.
pub(super) fn serve(server: &Machine) -> Result<(String, Process)> {
    let page = server.launch("page", &["admin"])?;
    wait_for("the admin page", START, || {
        if page.stdout().contains("The admin page is at") { Ok(()) } else { Err(page.stderr()) }
    })?;
    let printed = server.ask(&["admin", "--setup-link", "--json"])?;
    let printed: serde_json::Value = serde_json::from_str(&printed)?;
    let link = printed["setup_link"].as_str().context("no set-up link")?;
    let code = link.rsplit('/').next().context("no code in the link")?;
    let listener = TcpListener::bind(("127.0.0.1", PORT)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)))?;
    let link = format!("http://{}/setup/{code}", listener.local_addr()?);
    let socket = server.directory().join("page/page.sock");
    // It ends with this process.
    std::thread::spawn(move || accept(&listener, &socket));
    Ok((link, page))
}

fn accept(listener: &TcpListener, socket: &Path) {
    for browser in listener.incoming().filter_map(Result::ok) {
        let socket: PathBuf = socket.to_owned();
        std::thread::spawn(move || join(&browser, &socket));
    }
}

/// Carries octets both ways until one side has no more.
fn join(browser: &TcpStream, socket: &Path) -> io::Result<()> {
    let page = UnixStream::connect(socket)?;
    let (mut from_page, mut to_browser) = (page.try_clone()?, browser.try_clone()?);
    std::thread::spawn(move || {
        // Whoever leaves first ends it for both.
        let _ = io::copy(&mut from_page, &mut to_browser);
        let _ = to_browser.shutdown(Shutdown::Both);
    });
    let (mut from_browser, mut to_page) = (browser.try_clone()?, page);
    let _ = io::copy(&mut from_browser, &mut to_page);
    to_page.shutdown(Shutdown::Both)
}
