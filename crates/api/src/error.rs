//! Every trouble an operator can meet: a stable code, an exit status, and the next step.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::Path;

/// What the process returns to the shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It failed for the reason said.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// No daemon answers.
    Unreachable = 3,
    /// What was named does not exist.
    NotFound = 4,
    /// Permission denied.
    Denied = 5,
    /// No answer in time.
    NoAnswer = 6,
    /// Something else holds it, or it has changed meanwhile.
    Conflict = 7,
    /// `doctor` or `config check` found errors.
    Findings = 8,
}

impl Exit {
    /// The HTTP status that carries this over the API socket.
    pub const fn status(self) -> u16 {
        match self {
            Exit::Ok => 200,
            Exit::Failed | Exit::Findings => 500,
            Exit::Usage => 400,
            Exit::Unreachable => 503,
            Exit::NotFound => 404,
            Exit::Denied => 403,
            Exit::NoAnswer => 504,
            Exit::Conflict => 409,
        }
    }

    /// The exit status that an HTTP status stands for.
    pub const fn from_status(status: u16) -> Self {
        match status {
            400 | 405 | 413 | 415 | 422 => Exit::Usage,
            401 | 403 => Exit::Denied,
            404 => Exit::NotFound,
            408 | 504 => Exit::NoAnswer,
            409 => Exit::Conflict,
            503 => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

macro_rules! troubles {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $exit:ident, $hint:literal;)*) => {
        /// What can go wrong, by name. Codes never change; new ones may come.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Trouble { $($(#[$doc])* $name,)* }

        impl Trouble {
            /// Every trouble.
            pub const ALL: &'static [Trouble] = &[$(Trouble::$name,)*];

            /// The stable code, in snake case.
            pub const fn code(self) -> &'static str {
                match self { $(Trouble::$name => $code,)* }
            }

            /// The exit status.
            pub const fn exit(self) -> Exit {
                match self { $(Trouble::$name => Exit::$exit,)* }
            }

            /// What to do next.
            pub const fn hint(self) -> &'static str {
                match self { $(Trouble::$name => $hint,)* }
            }
        }
    };
}

troubles! {
    /// The invitation was changed on its way.
    LinkMangled = "link_mangled", Usage, "copy the link again, as one line and without changes";
    /// The end of the invitation is missing.
    LinkTruncated = "link_truncated", Usage, "copy the whole link: mail and chat programs like to cut long lines";
    /// Not an invitation to a network of this kind, or to another network than this node's.
    LinkForeign = "link_foreign", Usage, "an invitation begins with ln6://join/ and is made by 'ln6d invite' on the broker";
    /// Made by a newer version.
    LinkVersion = "link_version", Usage, "update ln6d on this machine";
    /// Too late.
    LinkExpired = "link_expired", Failed, "ask the broker's operator for a new one ('ln6d invite'); if this machine's clock is wrong, set it";
    /// The secret is spent.
    InvitationUsed = "invitation_used", Conflict, "an invitation admits one node once; ask for another one ('ln6d invite')";
    /// Nothing is free.
    PoolExhausted = "pool_exhausted", Conflict, "ask for a smaller prefix (a larger number), or let the operator add a pool";
    /// Policy says no.
    SizeOutsidePolicy = "size_outside_policy", Usage, "ask for a size the broker gives, or let an administrator approve this one";
    /// Names are unique.
    NameTaken = "name_taken", Conflict, "choose another name";
    /// Not a name.
    NameInvalid = "name_invalid", Usage, "a name is 1 to 63 of a-z, 0-9, '-' and '.', beginning and ending with a letter or digit";
    /// Not a prefix.
    PrefixInvalid = "prefix_invalid", Usage, "write a prefix as 2001:db8:4800::/40";
    /// A key of the configuration that does not exist.
    ConfigUnknownKey = "config_unknown_key", Usage, "correct the line, or remove it; 'ln6d config check' checks again";
    /// A value of the configuration that cannot be.
    ConfigInvalid = "config_invalid", Usage, "correct the line; 'ln6d config check' checks again";
    /// No configuration.
    NoConfig = "no_config", NotFound, "begin with 'ln6d init …' (a new network) or 'ln6d join LINK' (an existing one)";
    /// No identity.
    NoIdentity = "no_identity", NotFound, "restore identity.key from your backup, or make a new node with 'ln6d join LINK'";
    /// Another process has the UDP port.
    PortInUse = "port_in_use", Conflict, "stop the other program ('ss -lunp' shows it), or choose another port: listen = … under [node]";
    /// The kernel offers no TUN.
    NoTunDevice = "no_tun_device", Failed, "load the module: 'modprobe tun'; in a container, pass /dev/net/tun in";
    /// Neither root nor the capability.
    NotPermitted = "not_permitted", Denied, "run it as root, or by systemd with the unit ln6d.service";
    /// Others can read a secret.
    KeyFileExposed = "key_file_exposed", Denied, "make it private with chmod 600; if someone may have read it, make a new identity and ask for 'ln6d replace'";
    /// A key file that is not one.
    KeyFileDamaged = "key_file_damaged", Failed, "restore it from your backup; nothing was overwritten";
    /// A pasted request or certificate.
    PaperDamaged = "paper_damaged", Usage, "copy the whole text again, from its BEGIN to its END line, without changes";
    /// Signed by, or for, somebody else.
    PaperForeign = "paper_foreign", Failed, "compare the key and the network: 'ln6d key show' on the broker says both";
    /// The state file is not what was written.
    StateDamaged = "state_damaged", Failed, "it was kept aside and the node goes on; certificates come back from the other nodes";
    /// The registry is not what was written.
    DatabaseDamaged = "database_damaged", Failed, "it was not touched: copy registry.db away, then restore a backup";
    /// No space.
    DiskFull = "disk_full", Failed, "free some space, then repeat the command; what was there before is unchanged";
    /// The clock cannot be right.
    ClockUnset = "clock_unset", Failed, "set the clock, or start time synchronisation ('timedatectl set-ntp true')";
    /// The pool lies on the uplink's link: a VM with only an on-link /64.
    PoolOnLink = "pool_on_link", Failed, "ask the provider for a prefix routed to this machine; an on-link /64 can only give single addresses (/128)";
    /// One directory, one daemon.
    AlreadyRunning = "already_running", Conflict, "stop the other one, or give this one its own --dir";
    /// Nothing listens.
    DaemonUnreachable = "daemon_unreachable", Unreachable, "start it with 'ln6d run' (or 'systemctl start ln6d'), with the same --dir";
    /// The uplink's own prefix is part of a pool.
    UplinkWithinPool = "uplink_within_pool", Conflict, "leave the uplink's own prefix out of the pool, or reserve it";
    /// The kernel does not forward.
    ForwardingOff = "forwarding_off", Failed, "sysctl -w net.ipv6.conf.all.forwarding=1, and keep it in /etc/sysctl.d/ln6d.conf";
    /// No way out.
    NoUplink = "no_uplink", Failed, "check the uplink ('ip -6 route show default'); members still reach each other";
    /// The interface name is in use.
    InterfaceTaken = "interface_taken", Conflict, "remove it ('ip link del NAME'), or choose another name: interface = … under [node]";
    /// No such LAN interface.
    InterfaceMissing = "interface_missing", NotFound, "'ip link' lists the interfaces there are";
    /// A node is in one network.
    AlreadyMember = "already_member", Conflict, "leave that network first ('ln6d leave'), or run a second node with its own --dir";
    /// Files are never overwritten.
    AlreadyExists = "already_exists", Conflict, "nothing was changed; use another --dir, or move the old files away";
    /// The wrong end of the network.
    NotABroker = "not_a_broker", Failed, "run this on the broker: the machine where 'ln6d init' was typed";
    /// Unknown name, address or number.
    NotFound = "not_found", NotFound, "'ln6d peers', 'ln6d prefixes' and 'ln6d requests' list what there is";
    /// Silence.
    NoAnswer = "no_answer", NoAnswer, "'ln6d peers' shows who is connected, 'ln6d doctor' what may be in the way";
    /// Something must be confirmed.
    ConfirmationNeeded = "confirmation_needed", Usage, "add --yes if you mean it";
    /// The person said no.
    Cancelled = "cancelled", Failed, "nothing was changed";
    /// A request that the API does not understand.
    BadRequest = "bad_request", Usage, "see 'ln6d help'; the daemon and the command may be of different versions";
    /// A file or directory could not be used.
    FileTrouble = "file_trouble", Failed, "check that the path exists and that you may write there";
    /// A path that a socket cannot have.
    SocketPathTooLong = "socket_path_too_long", Usage, "use a shorter --dir: the path of a socket has at most 107 characters";
    /// The page's certificate or its key.
    TlsInvalid = "tls_invalid", Failed, "name both files under [page]: certificate = … and key = …, in PEM, readable for the page";
    /// A build for small routers.
    NoPage = "no_page", Failed, "install the full package; on a router lime-app shows the same, by 'ln6d rpcd'";
    /// The account that was to be used does not exist.
    AccountMissing = "account_missing", NotFound, "make it: 'useradd --system --no-create-home NAME', or name another one: user = … under [page]";
    /// `doctor` or `config check` has found errors.
    Findings = "findings", Findings, "each finding names its next step";
    /// A mistake of ours.
    Internal = "internal", Failed, "please report this, with the output of 'ln6d doctor'";
}

/// An error as the operator sees it. Also what the API answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CliError {
    /// Stable, in snake case.
    pub code: Cow<'static, str>,
    /// One sentence: what is the matter, with the names concerned.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
    /// Exit status.
    pub exit: Exit,
}

impl std::error::Error for CliError {}

/// What the API answers instead of a result.
pub type ApiError = CliError;

impl CliError {
    /// `trouble` with its own next step.
    pub fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        CliError {
            code: Cow::Borrowed(trouble.code()),
            message: message.into(),
            hint: Some(trouble.hint().to_owned()),
            exit: trouble.exit(),
        }
    }

    /// A refusal by another machine (registry, kernel, sockets) with a stable code of its own; see [`stable_code`].
    pub fn refused(code: impl Into<Cow<'static, str>>, message: impl Into<String>, hint: &str) -> Self {
        let code = stable_code(code.into());
        let known = Trouble::ALL.iter().find(|trouble| trouble.code() == code);
        let exit = known.map_or_else(|| exit_of(&code), |trouble| trouble.exit());
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        CliError {
            hint: hint.or_else(|| known.map(|t| t.hint().to_owned())),
            code,
            message: message.into(),
            exit,
        }
    }

    /// With a more precise next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failed access to `path`: `doing` completes "cannot …".
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let message = format!("cannot {doing} {}: {}", path.display(), reason(error));
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CliError::new(
                Trouble::DiskFull,
                format!("cannot {doing} {}: no space is left", path.display()),
            ),
            io::ErrorKind::PermissionDenied => CliError::new(Trouble::NotPermitted, message),
            _ => CliError::new(Trouble::FileTrouble, message),
        }
    }

    /// The form under `--json` and on the API socket.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&ErrorBody::from(self)).unwrap_or_default()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub fn from_json(status: u16, body: &[u8]) -> Option<Self> {
        let body: ErrorBody = serde_json::from_slice(body).ok()?;
        let known = Trouble::ALL.iter().find(|trouble| trouble.code() == body.code);
        let exit = known.map_or(Exit::from_status(status), |trouble| trouble.exit());
        Some(CliError { code: Cow::Owned(body.code), message: body.message, hint: body.hint, exit })
    }
}

/// The code an operator sees for a code of another machine: in snake case, and one code for one trouble wherever it
/// was noticed.
pub fn stable_code(code: Cow<'static, str>) -> Cow<'static, str> {
    let code = if code.contains('-') { Cow::Owned(code.replace('-', "_")) } else { code };
    let known = match code.as_ref() {
        "tun_missing" => Trouble::NoTunDevice,
        "tun_name_taken" => Trouble::InterfaceTaken,
        "tun_not_permitted" | "udp_not_permitted" | "net_admin_missing" => Trouble::NotPermitted,
        "udp_port_in_use" => Trouble::PortInUse,
        "lan_missing" => Trouble::InterfaceMissing,
        "link_not_a_link" => Trouble::LinkForeign,
        "link_invalid" => Trouble::LinkMangled,
        _ => return code,
    };
    Cow::Borrowed(known.code())
}

/// The exit status of refusals that the registry alone knows.
fn exit_of(code: &str) -> Exit {
    match code {
        "invitation_unknown" | "key_unknown" | "no_pool" => Exit::NotFound,
        "text_invalid" | "outside_pool" | "pool_invalid" | "policy_invalid" | "rate_invalid" => Exit::Usage,
        "state_changed" | "overlap" | "key_taken" | "key_revoked" | "queue_full" | "too_many" => {
            Exit::Conflict
        }
        "not_allowed" | "needs_operator" | "denied" | "suspended" | "invitation_needed" | "not_listed" => {
            Exit::Denied
        }
        _ => Exit::Failed,
    }
}

fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  → {hint}"),
            None => Ok(()),
        }
    }
}

/// `ln6d.error/1`.
#[derive(Serialize, Deserialize)]
struct ErrorBody {
    schema: Cow<'static, str>,
    code: String,
    message: String,
    #[serde(default)]
    hint: Option<String>,
}

impl From<&CliError> for ErrorBody {
    fn from(error: &CliError) -> Self {
        ErrorBody {
            schema: Cow::Borrowed("ln6d.error/1"),
            code: error.code.to_string(),
            message: error.message.clone(),
            hint: error.hint.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_trouble_has_a_code_of_its_own_and_a_next_step() {
        let codes: BTreeSet<_> = Trouble::ALL.iter().map(|trouble| trouble.code()).collect();
        assert_eq!(codes.len(), Trouble::ALL.len());
        for trouble in Trouble::ALL {
            assert!(trouble.code().bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{trouble:?}");
            assert!(trouble.hint().len() > 10, "{trouble:?}");
            assert_ne!(trouble.exit(), Exit::Ok, "{trouble:?}");
        }
    }

    #[test]
    fn the_json_form_is_golden_and_reads_back() {
        let error = CliError::new(Trouble::DaemonUnreachable, "no daemon listens on /run/ln6d/ln6d.sock");
        let text = error.to_json();
        assert_eq!(
            text,
            "{\"schema\":\"ln6d.error/1\",\"code\":\"daemon_unreachable\",\
             \"message\":\"no daemon listens on /run/ln6d/ln6d.sock\",\
             \"hint\":\"start it with 'ln6d run' (or 'systemctl start ln6d'), with the same --dir\"}"
        );
        assert_eq!(CliError::from_json(503, text.as_bytes()), Some(error));
        assert_eq!(CliError::from_json(500, b"<html>"), None);
    }

    #[test]
    fn a_code_that_is_not_known_here_takes_its_exit_from_the_status() {
        let body = br#"{"schema":"ln6d.error/1","code":"queue_full","message":"too many"}"#;
        let error = CliError::from_json(409, body).expect("error");
        assert_eq!((error.exit, error.hint), (Exit::Conflict, None));
    }

    #[test]
    fn one_trouble_has_one_code_wherever_it_was_noticed() {
        let refused = |code: &'static str| {
            let error = CliError::refused(code, "x", "");
            (error.code.into_owned(), error.exit)
        };
        assert_eq!(refused("udp-port-in-use"), ("port_in_use".into(), Exit::Conflict));
        assert_eq!(refused("tun-missing"), ("no_tun_device".into(), Exit::Failed));
        assert_eq!(refused("net_admin_missing"), ("not_permitted".into(), Exit::Denied));
        assert_eq!(refused("tun-failed"), ("tun_failed".into(), Exit::Failed));
        assert_eq!(refused("pool_exhausted"), ("pool_exhausted".into(), Exit::Conflict));
        assert_eq!(refused("needs_operator"), ("needs_operator".into(), Exit::Denied));
    }

    #[test]
    fn a_full_disk_is_called_by_its_name() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = CliError::file("write", Path::new("/var/lib/ln6d/state"), &full);
        assert_eq!(error.code, "disk_full");
        assert_eq!(error.message, "cannot write /var/lib/ln6d/state: no space is left");
        let denied = io::Error::from_raw_os_error(libc::EACCES);
        let error = CliError::file("read", Path::new("/x"), &denied);
        assert_eq!((error.exit, error.message.as_str()), (Exit::Denied, "cannot read /x: permission denied"));
    }

    #[test]
    fn statuses_and_exits_agree() {
        for exit in
            [Exit::Usage, Exit::Unreachable, Exit::NotFound, Exit::Denied, Exit::NoAnswer, Exit::Conflict]
        {
            assert_eq!(Exit::from_status(exit.status()), exit);
        }
    }
}
