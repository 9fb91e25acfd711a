//! The page of a broker or a gateway as this program serves it: its doors, its files, its address.

use crate::config::Config;
use crate::error::{CliError, Trouble};
use crate::files::Layout;
use crate::schema::Time;
use ln6_page::accounts::{Accounts, Book};
use ln6_page::backend::Socket;
use ln6_page::secret::Cost;
use ln6_page::server::{self, Door};
use ln6_page::tls::Tls;
use ln6_page::{App, Settings};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

/// Listeners that are open, before anything is served.
pub(crate) struct Doors {
    tcp: TcpListener,
    unix: UnixListener,
    pub(crate) tls: Option<Tls>,
}

/// Opens the page's doors: its address, and its socket for a proxy (0660).
pub(crate) fn open(layout: &Layout, config: &Config) -> Result<Doors, CliError> {
    let page = &config.page;
    let beside = |path: &std::path::Path| layout.config.with_file_name(path);
    let tls = page.tls.as_ref().map(|(certificate, key)| Tls::load(&beside(certificate), &beside(key)));
    let tls = tls.transpose()?;
    let tcp = TcpListener::bind(page.listen).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            CliError::new(Trouble::PortInUse, format!("another program listens on {}", page.listen))
                .hint("'ss -ltnp' shows it; or choose another address: listen = \"…\" under [page]")
        }
        _ => CliError::new(Trouble::FileTrouble, format!("{} cannot be listened on: {error}", page.listen))
            .hint("choose an address of this machine: listen = \"…\" under [page]"),
    })?;
    directory(layout)?;
    let path = layout.page.join("page.sock");
    if fs::symlink_metadata(&path).is_ok_and(|data| data.file_type().is_socket()) {
        fs::remove_file(&path).map_err(|error| CliError::file("remove", &path, &error))?;
    }
    let unix = UnixListener::bind(&path).map_err(|error| CliError::file("listen on", &path, &error))?;
    let protected = fs::set_permissions(&path, Permissions::from_mode(0o660));
    protected.map_err(|error| CliError::file("protect", &path, &error))?;
    Ok(Doors { tcp, unix, tls })
}

/// Makes the page's directory if it is missing.
pub(crate) fn directory(layout: &Layout) -> Result<(), CliError> {
    if layout.page.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&layout.page);
    made.map_err(|error| CliError::file("make", &layout.page, &error))?;
    layout.hand_over(&layout.page)
}

/// Who may log in.
pub(crate) fn accounts(layout: &Layout) -> Accounts {
    Accounts::new(&layout.page.join("admin.json"), Cost::USUAL)
}

/// Serves the page for ever, on the runtime of this thread.
pub(crate) async fn serve(layout: &Layout, config: &Config, doors: Doors) -> Result<(), CliError> {
    let failed = |error: io::Error| CliError::new(Trouble::Internal, format!("no listener: {error}"));
    doors.tcp.set_nonblocking(true).map_err(failed)?;
    doors.unix.set_nonblocking(true).map_err(failed)?;
    let settings = Settings {
        hosts: config.page.hosts.clone(),
        secure: doors.tls.is_some() || config.page.proxy,
        proxy: config.page.proxy,
        command: layout.command.clone(),
        gateway: config.broker.is_none(),
        guests: config.page.guests,
    };
    let app: Arc<App> = App::new(Box::new(Socket::new(&layout.socket)), accounts(layout), settings);
    let doors = vec![
        Door::Tcp(tokio::net::TcpListener::from_std(doors.tcp).map_err(failed)?, doors.tls),
        Door::Unix(tokio::net::UnixListener::from_std(doors.unix).map_err(failed)?),
    ];
    server::serve(app, doors).await;
    Ok(())
}

/// Where a browser finds it.
pub(crate) fn address(config: &Config) -> String {
    let page = &config.page;
    match (page.hosts.first(), page.proxy, page.tls.is_some()) {
        (Some(host), true, _) => format!("https://{host}"),
        (Some(host), false, true) if page.listen.port() == 443 => format!("https://{host}"),
        (Some(host), false, true) => format!("https://{host}:{}", page.listen.port()),
        (None, _, true) => format!("https://{}", page.listen),
        (Some(host), false, false) if is_open(config) => format!("http://{host}:{}", page.listen.port()),
        _ => format!("http://{}", page.listen),
    }
}

/// Whether the page is shown to a network without encryption: then one logs in through a tunnel.
fn is_open(config: &Config) -> bool {
    let page = &config.page;
    page.guests && !page.listen.ip().is_loopback() && page.tls.is_none() && !page.proxy
}

/// The command that leads to it from elsewhere, while only this machine can reach it.
pub(crate) fn tunnel(config: &Config) -> Option<String> {
    let mut listen = config.page.listen;
    let closed = listen.ip().is_loopback() && !config.page.proxy || is_open(config);
    if listen.ip().is_unspecified() {
        listen.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let host = config.node.public.first().map_or("THIS-MACHINE", |public| public.host());
    closed.then(|| format!("ssh -L {}:{listen} {host}", listen.port()))
}

/// A one-time link that makes an administrator. An earlier one ends.
pub(crate) fn setup_link(layout: &Layout, config: &Config) -> Result<String, CliError> {
    directory(layout)?;
    let code = accounts(layout).change(|book: &mut Book| Ok(book.make_setup(Time::now().as_secs())))?;
    layout.hand_over(&layout.page.join("admin.json"))?;
    // Where it is shown in the open it is opened at the near end of the tunnel.
    let port = config.page.listen.port();
    let at = if is_open(config) { format!("http://127.0.0.1:{port}") } else { address(config) };
    Ok(format!("{at}/setup/{code}"))
}
