//! `ln6d admin`: serves the page in a process of its own, which keeps no capabilities; and what of it can be done from the
//! machine: a set-up link, a password.

use super::output::Output;
use crate::cli::{Admin, AdminRole};
use crate::config::Config;
use crate::daemon::privileges::{self, Account};
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::logging;
use crate::page::{self, Doors};
use crate::schema::{PageReply, Time};
use ln6_page::accounts::{Role, check_name, check_password};
use ln6_page::secret::{Cost, Password};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn run(admin: &Admin, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let config = Config::load(layout)?;
    let account = config.page.user.as_deref().map(Account::find).transpose()?;
    if let Some(name) = &admin.password {
        return set_password(name, admin.role, layout, account.as_ref(), output);
    }
    if admin.setup_link {
        let link = page::setup_link(layout, &config)?;
        give(layout, account.as_ref())?;
        output.show(reply(&config, Some(link)));
        return Ok(Exit::Ok);
    }
    serve(layout, &config, account.as_ref(), output)
}

fn reply(config: &Config, setup_link: Option<String>) -> PageReply {
    PageReply { address: page::address(config), setup_link, tunnel: page::tunnel(config) }
}

fn serve(
    layout: &Layout,
    config: &Config,
    account: Option<&Account>,
    output: &Output,
) -> Result<Exit, CliError> {
    logging::start(config.node.log)?;
    if config.page.inside {
        let message = "the daemon serves the page itself: inside = true under [page]";
        return Err(
            CliError::new(Trouble::AlreadyRunning, message).hint("set it to false, and restart the daemon")
        );
    }
    let doors = page::open(layout, config)?;
    let first = {
        let book = page::accounts(layout).book()?;
        book.people.is_empty() && !book.waits_for_setup(Time::now().as_secs())
    };
    let link = first.then(|| page::setup_link(layout, config)).transpose()?;
    give(layout, account)?;
    privileges::leave_root(account)?;
    if nix::unistd::Uid::effective().is_root() {
        tracing::warn!(
            "the page runs as root, though without capabilities: give it an account of its own, user = … under [page]"
        );
    }
    output.show(reply(config, link));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
        .map_err(|error| CliError::new(Trouble::Internal, format!("no event loop: {error}")))?;
    runtime.block_on(until_told(layout, config, doors))?;
    Ok(Exit::Ok)
}

/// Serves until a signal; `SIGHUP` reads the certificate again.
async fn until_told(layout: &Layout, config: &Config, doors: Doors) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::new(Trouble::Internal, format!("no signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let tls = doors.tls.clone();
    let mut served = std::pin::pin!(page::serve(layout, config, doors));
    // Only systemd hears it, and only if it started us.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    loop {
        tokio::select! {
            result = &mut served => return result,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => match tls.as_ref().map(|tls| tls.renew()) {
                Some(Ok(())) => tracing::info!("the certificate was read again"),
                Some(Err(error)) => tracing::error!(error = %error.message, "the certificate stays as it was"),
                None => tracing::info!("nothing to read again: other settings hold from the next start"),
            },
        }
    }
}

/// Gives what root has made to the account that the page runs as.
fn give(layout: &Layout, account: Option<&Account>) -> Result<(), CliError> {
    let Some(account) = account else { return Ok(()) };
    let listed =
        std::fs::read_dir(&layout.page).map_err(|error| CliError::file("read", &layout.page, &error))?;
    account.take(&layout.page)?;
    listed.filter_map(Result::ok).try_for_each(|entry| account.take(&entry.path()))
}

fn set_password(
    name: &str,
    role: Option<AdminRole>,
    layout: &Layout,
    account: Option<&Account>,
    output: &Output,
) -> Result<Exit, CliError> {
    check_name(name)?;
    page::directory(layout)?;
    let accounts = page::accounts(layout);
    let known = accounts.book()?.person(name).is_some();
    if !known && role.is_none() {
        let message = format!("nobody is called {name} on the page");
        return Err(CliError::new(Trouble::NotFound, message)
            .hint("to let somebody in, add --role viewer, operator or admin"));
    }
    let password = ask(name)?;
    check_password(&password)?;
    let kept = Password::new(&password, Cost::USUAL);
    accounts.change(|book| {
        if !known {
            return book.add(name, role.map_or(Role::Viewer, Role::from), kept);
        }
        book.set_password(name, kept, true)?;
        role.map_or(Ok(()), |role| book.set_role(name, role.into()))
    })?;
    layout.hand_over(&layout.page.join("admin.json"))?;
    give(layout, account)?;
    let done = if known { "password_set" } else { "person_added" };
    output.show(crate::schema::ActionReply {
        done: done.to_owned(),
        name: Some(name.to_owned()),
        ..crate::schema::ActionReply::default()
    });
    Ok(Exit::Ok)
}

impl From<AdminRole> for Role {
    fn from(role: AdminRole) -> Role {
        match role {
            AdminRole::Viewer => Role::Viewer,
            AdminRole::Operator => Role::Operator,
            AdminRole::Admin => Role::Admin,
        }
    }
}

/// A password from the terminal, unseen and twice; or the first line of standard input.
fn ask(name: &str) -> Result<String, CliError> {
    let failed = |error: std::io::Error| {
        CliError::new(Trouble::FileTrouble, format!("the password cannot be read: {error}"))
    };
    let stdin = std::io::stdin();
    let line = || -> std::io::Result<String> {
        let mut line = String::new();
        stdin.lock().read_line(&mut line)?;
        Ok(line.trim_end_matches(['\n', '\r']).to_owned())
    };
    if !stdin.is_terminal() {
        return line().map_err(failed);
    }
    let asked = |words: &str| -> std::io::Result<String> {
        eprint!("{words}: ");
        std::io::stderr().flush()?;
        let shown = tcgetattr(&stdin)?;
        let mut hidden = shown.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&stdin, SetArg::TCSAFLUSH, &hidden)?;
        let typed = line();
        tcsetattr(&stdin, SetArg::TCSAFLUSH, &shown)?;
        eprintln!();
        typed
    };
    let first = asked(&format!("New password for {name}")).map_err(failed)?;
    if asked("Once more").map_err(failed)? != first {
        return Err(CliError::new(Trouble::Cancelled, "the two differ"));
    }
    Ok(first)
}
