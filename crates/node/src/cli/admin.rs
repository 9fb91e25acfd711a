//! The command line of the admin page.

use clap::{Args, ValueEnum};

/// `admin`.
#[derive(Args, Debug)]
pub struct Admin {
    /// Print a one-time link that makes an administrator, good for a day; an earlier one ends
    #[arg(long, conflicts_with = "password")]
    pub setup_link: bool,
    /// Set somebody's password, asked for or read from standard input; takes an authenticator away
    #[arg(long, value_name = "NAME")]
    pub password: Option<String>,
    /// With --password: let somebody new in, in this role
    #[arg(long, value_enum, requires = "password")]
    pub role: Option<AdminRole>,
}

/// What somebody may do on the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AdminRole {
    /// Looks
    Viewer,
    /// Decides about requests and holders
    Operator,
    /// Decides about pools, policy and people
    Admin,
}
