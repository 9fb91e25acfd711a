//! `[page]`: how the page of a broker or a gateway is reached, and as whom it runs.

use super::check::{Checked, fault, line_of_text};
use super::tree::table;
use super::value::is_host;
use super::write::{list, set, text_or};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use toml::Spanned;

/// TCP port of the page.
const PORT: u16 = 6690;
/// Where the page listens unless told otherwise: for this machine alone.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), PORT);

/// `[page]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The account that the page's process runs as and that the daemon hears; none: root's or the daemon's.
    pub user: Option<String>,
    /// Where browsers come in.
    pub listen: SocketAddr,
    /// Names under which it may be asked, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Certificate and key in PEM; relative paths begin where the configuration is.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether a proxy in front encrypts, and says who asks.
    pub proxy: bool,
    /// Whether the daemon serves the page itself, in a thread without capabilities.
    pub inside: bool,
    /// Whether everybody who reaches a gateway's page may look at it without login.
    pub guests: bool,
}

impl Default for Page {
    fn default() -> Self {
        Page {
            user: None,
            listen: LISTEN,
            hosts: Vec::new(),
            tls: None,
            proxy: false,
            inside: false,
            guests: false,
        }
    }
}

table! {
    pub(super) struct RawPage {
        user: Option<Spanned<String>>,
        listen: Option<Spanned<String>>,
        hosts: Vec<Spanned<String>>,
        certificate: Option<Spanned<String>>,
        key: Option<Spanned<String>>,
        proxy: Option<bool>,
        inside: Option<bool>,
        guests: Option<Spanned<bool>>,
    }
}

pub(super) fn page(raw: &RawPage, broker: bool) -> Checked<Page> {
    if let Some(guests) = raw.guests.as_ref().filter(|guests| broker && *guests.get_ref()) {
        return Err(fault(
            guests,
            "a broker's page shows who holds what and how they are reached, so nobody looks at it without login: remove \
             guests",
        ));
    }
    let path = |text: &Spanned<String>| line_of_text(text, 1024).map(PathBuf::from);
    let tls = match (&raw.certificate, &raw.key) {
        (Some(certificate), Some(key)) => Some((path(certificate)?, path(key)?)),
        (None, None) => None,
        (Some(alone), None) => return Err(fault(alone, "a certificate needs its key: add key = \"…\"")),
        (None, Some(alone)) => {
            return Err(fault(alone, "a key needs its certificate: add certificate = \"…\""));
        }
    };
    let page = Page {
        user: raw.user.as_ref().map(account).transpose()?,
        listen: raw.listen.as_ref().map(listen).transpose()?.unwrap_or(LISTEN),
        hosts: raw.hosts.iter().map(host).collect::<Checked<_>>()?,
        proxy: raw.proxy.unwrap_or(false),
        inside: raw.inside.unwrap_or(false),
        guests: raw.guests.as_ref().is_some_and(|guests| *guests.get_ref()),
        tls,
    };
    match &raw.listen {
        // Where guests may look, nobody is logged in but from this machine.
        Some(at) if !page.listen.ip().is_loopback() && page.tls.is_none() && !page.proxy && !page.guests => {
            Err(fault(
                at,
                "passwords would cross the network in the open: add certificate and key, or proxy = true if a proxy in \
                 front encrypts, or listen on 127.0.0.1 and come by 'ssh -L'; a gateway may be shown to everybody without \
                 login by guests = true",
            ))
        }
        _ => Ok(page),
    }
}

/// The name of an account, as `useradd` allows it. Root is no account to run a page with.
fn account(text: &Spanned<String>) -> Checked<String> {
    let name = text.get_ref();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if name.is_empty() || name.len() > 32 || name.starts_with('-') || !name.chars().all(fits) {
        return Err(fault(text, "user is the name of an account: 1 to 32 of a-z, 0-9, '_' and '-'"));
    }
    if name == "root" {
        return Err(fault(text, "the page needs an account of its own, not root"));
    }
    Ok(name.clone())
}

fn listen(text: &Spanned<String>) -> Checked<SocketAddr> {
    let read = text.get_ref().parse().ok().filter(|address: &SocketAddr| address.port() != 0);
    read.ok_or_else(|| fault(text, format!("listen is address:port, such as {LISTEN} or [::1]:{PORT}")))
}

fn host(text: &Spanned<String>) -> Checked<String> {
    match text.get_ref() {
        name if is_host(name) => Ok(name.to_ascii_lowercase()),
        name => Err(fault(text, format!("'{name}' is not a host's name"))),
    }
}

pub(super) fn write(out: &mut String, page: &Page) {
    let usual = Page::default();
    text_or(out, "user", page.user.as_deref(), "ln6d-admin");
    out.push_str(
        "# For this machine only, unless a certificate or a proxy protects passwords on their way.\n",
    );
    text_or(
        out,
        "listen",
        Some(page.listen).filter(|at| *at != usual.listen).map(|at| at.to_string()).as_deref(),
        &LISTEN.to_string(),
    );
    out.push_str("# Names under which browsers may ask for it, besides localhost and addresses.\n");
    if page.hosts.is_empty() {
        set(out, "hosts", list(&["vm.example.net"]), true);
    } else {
        set(out, "hosts", list(&page.hosts), false);
    }
    let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
    let (certificate, key) =
        page.tls.as_ref().map(|(certificate, key)| (shown(certificate), shown(key))).unzip();
    text_or(out, "certificate", certificate.as_deref(), "page.crt");
    text_or(out, "key", key.as_deref(), "page.key");
    out.push_str("# Does a proxy in front encrypt, and name who asks in X-Forwarded-For?\n");
    set(out, "proxy", page.proxy, !page.proxy);
    out.push_str("# Shall the daemon serve it itself, without 'ln6d admin'?\n");
    set(out, "inside", page.inside, !page.inside);
    out.push_str("# May everybody who reaches it look without login? On a gateway; changes need a login in any case.\n");
    set(out, "guests", page.guests, !page.guests);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, render};
    use crate::error::CliError;
    use std::path::Path;

    fn read(text: &str) -> Result<Page, CliError> {
        let whole = format!("[node]\nname = \"vm\"\n[page]\n{text}");
        Config::parse(&whole, Path::new("F")).map(|config| config.page)
    }

    #[test]
    fn what_is_written_reads_back_and_the_usual_is_a_comment() {
        let usual = read("").expect("usual");
        assert_eq!((usual.clone(), usual.listen.to_string()), (Page::default(), "127.0.0.1:6690".to_owned()));
        let full = "user = \"www\"\nlisten = \"[::]:443\"\nhosts = [\"VM.example.net\"]\ncertificate = \"a.crt\"\n\
                    key = \"a.key\"\nproxy = true\ninside = true\nguests = true\n";
        let config =
            Config::parse(&format!("[node]\nname = \"vm\"\n[page]\n{full}"), Path::new("F")).expect("full");
        assert_eq!(config.page.hosts, ["vm.example.net"]);
        let again = Config::parse(&render(&config), Path::new("F")).expect("reads");
        assert_eq!(again, config);
    }

    #[test]
    fn it_is_not_opened_to_the_network_without_encryption() {
        let open = read("listen = \"0.0.0.0:6690\"").expect_err("refused");
        assert!(open.message.starts_with("F:4: passwords would cross the network"), "{open}");
        assert!(read("listen = \"0.0.0.0:6690\"\nproxy = true").is_ok());
        assert!(read("listen = \"[::]:443\"\ncertificate = \"c\"\nkey = \"k\"").is_ok());
        assert!(read("listen = \"[::1]:6690\"").is_ok());
    }

    #[test]
    fn a_gateway_may_be_shown_to_everybody_and_a_broker_may_not() {
        let page = read("listen = \"0.0.0.0:6690\"\nguests = true").expect("a gateway");
        assert!(page.guests);
        let broker =
            "[node]\nname = \"vm\"\n[[broker.pools]]\nprefix = \"2001:db8::/40\"\n[page]\nguests = true\n";
        let error = Config::parse(broker, Path::new("F")).expect_err("refused");
        assert!(error.message.starts_with("F:6: a broker's page shows who holds what"), "{error}");
    }

    #[test]
    fn each_wrong_value_is_named_with_its_line() {
        for (line, said) in [
            ("user = \"root\"", "F:4: the page needs an account of its own, not root"),
            ("listen = \"6690\"", "F:4: listen is address:port, such as 127.0.0.1:6690 or [::1]:6690"),
            ("listen = \"127.0.0.1:0\"", "F:4: listen is address:port, such as 127.0.0.1:6690 or [::1]:6690"),
            ("hosts = [\"a/b\"]", "F:4: 'a/b' is not a host's name"),
            ("certificate = \"c\"", "F:4: a certificate needs its key: add key = \"…\""),
            ("key = \"c\"", "F:4: a key needs its certificate: add certificate = \"…\""),
            ("proxy = \"yes\"", "F:4: proxy: true or false belongs here, not a string"),
        ] {
            assert_eq!(read(line).expect_err("refused").message, said, "{line}");
        }
    }
}
