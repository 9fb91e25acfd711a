//! Who may log in: one small file, mode 0600, replaced whole. The page and the command line both write it, under a lock.

use crate::secret::{self, Cost, Password};
use ln6_api::{CliError, Trouble};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Most people.
const PEOPLE: usize = 64;
/// Most tokens.
const TOKENS: usize = 256;
/// Largest file read, octets.
const LARGEST: u64 = 1 << 20;
/// Shortest password, characters. Length is what counts.
pub const SHORTEST: usize = 10;
/// Longest password, octets, so that nobody makes us stretch a book.
pub const LONGEST: usize = 256;
/// How long a set-up link works, seconds.
const SETUP: u64 = 24 * 3600;

/// What somebody may do. Each may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Decides about requests and holders.
    Operator,
    /// Decides about pools, policy and people.
    Admin,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    /// As it is stored and sent.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    /// Reads [`word`](Self::word).
    pub fn of(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// Somebody who may log in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// Unique.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its password.
    pub password: Password,
    /// The secret of its authenticator, if it has one.
    #[serde(default)]
    pub authenticator: Option<String>,
    /// The step of the last code it used, which is not taken again.
    #[serde(default)]
    pub last_step: u64,
    /// Counts changes of password and role: sessions of before end.
    #[serde(default)]
    pub epoch: u64,
}

/// A token for programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// Unique, shown in lists.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// SHA-256 of it.
    pub kept: String,
    /// What it may: see [`crate::tokens::Scope`].
    pub scopes: Vec<String>,
    /// Who made it.
    pub by: String,
    /// Seconds after 1970.
    pub created: u64,
    /// Seconds after 1970.
    pub expires: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Setup {
    kept: String,
    expires: u64,
}

/// What the file has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Book {
    /// People.
    #[serde(default)]
    pub people: Vec<Person>,
    /// Tokens.
    #[serde(default)]
    pub tokens: Vec<Token>,
    #[serde(default)]
    setup: Option<Setup>,
}

impl Book {
    /// Somebody by name.
    pub fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.name == name)
    }

    fn person_mut(&mut self, name: &str) -> Result<&mut Person, CliError> {
        let missing = || CliError::new(Trouble::NotFound, format!("nobody is called {name}"));
        self.people.iter_mut().find(|person| person.name == name).ok_or_else(missing)
    }

    /// Whether `code` opens the set-up.
    pub fn opens(&self, code: &str, now: u64) -> bool {
        let kept = secret::kept(code);
        self.setup
            .as_ref()
            .is_some_and(|setup| now < setup.expires && secret::same(setup.kept.as_bytes(), kept.as_bytes()))
    }

    /// Whether a set-up link is still good.
    pub fn waits_for_setup(&self, now: u64) -> bool {
        self.setup.as_ref().is_some_and(|setup| now < setup.expires)
    }

    fn admins(&self) -> usize {
        self.people.iter().filter(|person| person.role == Role::Admin).count()
    }

    /// A one-time code for the set-up; an earlier one ends.
    pub fn make_setup(&mut self, now: u64) -> String {
        let code = secret::random_text();
        self.setup = Some(Setup { kept: secret::kept(&code), expires: now.saturating_add(SETUP) });
        code
    }

    /// Makes the first administrator, or one more, with a one-time code, which is spent by it.
    pub fn set_up(&mut self, code: &str, name: &str, password: Password, now: u64) -> Result<(), CliError> {
        if !self.opens(code, now) {
            return Err(CliError::new(Trouble::LinkExpired, "this set-up link was used, or is too old")
                .hint("make another one on the machine: 'ln6d admin --setup-link'"));
        }
        self.add(name, Role::Admin, password)?;
        self.setup = None;
        Ok(())
    }

    /// One more person.
    pub fn add(&mut self, name: &str, role: Role, password: Password) -> Result<(), CliError> {
        check_name(name)?;
        if self.person(name).is_some() {
            return Err(CliError::new(Trouble::NameTaken, format!("somebody is called {name} already")));
        }
        if self.people.len() >= PEOPLE {
            return Err(CliError::new(Trouble::BadRequest, format!("there are {PEOPLE} people already")));
        }
        self.people.push(Person {
            name: name.to_owned(),
            role,
            password,
            authenticator: None,
            last_step: 0,
            epoch: 0,
        });
        self.people.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    /// A new password; the sessions of before end. `forget` takes the authenticator away, too.
    pub fn set_password(&mut self, name: &str, password: Password, forget: bool) -> Result<(), CliError> {
        let person = self.person_mut(name)?;
        person.password = password;
        person.epoch += 1;
        if forget {
            person.authenticator = None;
        }
        Ok(())
    }

    /// Another role. The last administrator stays one.
    pub fn set_role(&mut self, name: &str, role: Role) -> Result<(), CliError> {
        let last = self.admins() == 1;
        let person = self.person_mut(name)?;
        if last && person.role == Role::Admin && role != Role::Admin {
            return Err(last_admin());
        }
        person.role = role;
        person.epoch += 1;
        Ok(())
    }

    /// An authenticator, or none any more.
    pub fn set_authenticator(&mut self, name: &str, secret: Option<String>) -> Result<(), CliError> {
        let person = self.person_mut(name)?;
        person.authenticator = secret;
        person.last_step = 0;
        Ok(())
    }

    /// Remembers that the code of `step` was used; `false` if that or a later one was used before.
    pub fn use_step(&mut self, name: &str, step: u64) -> bool {
        match self.person_mut(name) {
            Ok(person) if step > person.last_step => {
                person.last_step = step;
                true
            }
            _ => false,
        }
    }

    /// One person less. The last administrator stays.
    pub fn remove(&mut self, name: &str) -> Result<(), CliError> {
        let role = self.person_mut(name)?.role;
        if role == Role::Admin && self.admins() == 1 {
            return Err(last_admin());
        }
        self.people.retain(|person| person.name != name);
        Ok(())
    }

    /// A new token; returns it, and keeps only its digest.
    pub fn make_token(
        &mut self,
        name: &str,
        scopes: Vec<String>,
        by: &str,
        now: u64,
        days: u64,
    ) -> Result<String, CliError> {
        if name.is_empty() || name.chars().count() > 60 || name.chars().any(crate::markup::is_treacherous) {
            return Err(CliError::new(Trouble::BadRequest, "a token has a name of 1 to 60 characters"));
        }
        if scopes.is_empty() {
            return Err(CliError::new(Trouble::BadRequest, "a token without a scope may do nothing"));
        }
        self.tokens.retain(|token| token.expires > now);
        if self.tokens.len() >= TOKENS {
            return Err(CliError::new(Trouble::BadRequest, format!("there are {TOKENS} tokens already")));
        }
        let token = format!("ln6d_{}", secret::random_text());
        let kept = secret::kept(&token);
        self.tokens.push(Token {
            id: kept[..8].to_owned(),
            name: name.to_owned(),
            kept,
            scopes,
            by: by.to_owned(),
            created: now,
            expires: now.saturating_add(days.clamp(1, 3650) * 86_400),
        });
        Ok(token)
    }

    /// The live token that `text` is.
    pub fn token(&self, text: &str, now: u64) -> Option<&Token> {
        let kept = secret::kept(text);
        self.tokens
            .iter()
            .find(|token| now < token.expires && secret::same(token.kept.as_bytes(), kept.as_bytes()))
    }

    /// Takes a token away.
    pub fn remove_token(&mut self, id: &str) -> Result<(), CliError> {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.id != id);
        if self.tokens.len() == before {
            return Err(CliError::new(Trouble::NotFound, "there is no such token"));
        }
        Ok(())
    }
}

fn last_admin() -> CliError {
    CliError::new(Trouble::Cancelled, "the last administrator stays one")
        .hint("make somebody else administrator first")
}

/// Whether somebody may be called `name`.
pub fn check_name(name: &str) -> Result<(), CliError> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    if (1..=32).contains(&name.len()) && name.chars().all(fine) && !name.starts_with(['-', '.', '_']) {
        return Ok(());
    }
    Err(CliError::new(Trouble::NameInvalid, "this cannot be a name here")
        .hint("1 to 32 of a-z, 0-9, '-', '.', '_'"))
}

/// Whether `password` may be one.
pub fn check_password(password: &str) -> Result<(), CliError> {
    if password.chars().count() < SHORTEST {
        let message = format!("a password has at least {SHORTEST} characters");
        return Err(
            CliError::new(Trouble::BadRequest, message).hint("a few words in a row are easy to remember")
        );
    }
    if password.len() > LONGEST {
        return Err(CliError::new(Trouble::BadRequest, format!("a password has at most {LONGEST} octets")));
    }
    Ok(())
}

/// The file, read again whenever it has changed.
pub struct Accounts {
    path: PathBuf,
    cost: Cost,
    read: Mutex<Option<(Stamp, Book)>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp(u64, i64, i64, u64);

impl Accounts {
    /// The file at `path`, which need not exist yet.
    pub fn new(path: &Path, cost: Cost) -> Accounts {
        Accounts { path: path.to_owned(), cost, read: Mutex::new(None) }
    }

    /// How dear new passwords are.
    pub const fn cost(&self) -> Cost {
        self.cost
    }

    /// What it has now.
    pub fn book(&self) -> Result<Book, CliError> {
        let stamp = stamp(&self.path);
        let mut read = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((at, book)) = &*read
            && *at == stamp
        {
            return Ok(book.clone());
        }
        let book = load(&self.path)?;
        *read = Some((stamp, book.clone()));
        Ok(book)
    }

    /// Changes it: what is acknowledged is on disk. After an error nothing has changed.
    pub fn change<T>(&self, change: impl FnOnce(&mut Book) -> Result<T, CliError>) -> Result<T, CliError> {
        let _held = self.lock()?;
        let mut book = load(&self.path)?;
        let result = change(&mut book)?;
        save(&self.path, &book)?;
        *self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        Ok(result)
    }

    fn lock(&self) -> Result<Flock<File>, CliError> {
        let path = self.path.with_extension("lock");
        let failed = |error: &io::Error| CliError::file("lock", &path, error);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| failed(&error))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| failed(&io::Error::from(errno)))
    }
}

fn stamp(path: &Path) -> Stamp {
    fs::metadata(path)
        .map_or(Stamp(0, 0, 0, 0), |data| Stamp(data.ino(), data.mtime(), data.mtime_nsec(), data.len()))
}

fn load(path: &Path) -> Result<Book, CliError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Book::default()),
        Err(error) => return Err(CliError::file("read", path, &error)),
    };
    if file.metadata().is_ok_and(|data| data.mode() & 0o077 != 0) {
        return Err(CliError::new(Trouble::KeyFileExposed, format!("others can read {}", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| CliError::file("read", path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        CliError::new(Trouble::StateDamaged, format!("{} is damaged: {error}", path.display()))
            .hint("move it away and make a new administrator: 'ln6d admin --setup-link'")
    })
}

fn save(path: &Path, book: &Book) -> Result<(), CliError> {
    let write = || -> io::Result<()> {
        let temporary = path.with_extension("new");
        let bytes = serde_json::to_vec_pretty(book)?;
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        // The owner of the folder owns the file: root may have run the command for the daemon's account.
        if let Some(dir) = path.parent() {
            let owner = fs::metadata(dir)?;
            if owner.uid() != fs::metadata(&temporary)?.uid() {
                std::os::unix::fs::chown(&temporary, Some(owner.uid()), Some(owner.gid()))?;
            }
        }
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(|error| CliError::file("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const CHEAP: Cost = Cost { memory: 8, passes: 1 };

    fn place(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("ln6-page-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("dir");
        dir.join("admin.json")
    }

    fn password() -> Password {
        Password::new("correct horse", CHEAP)
    }

    #[test]
    fn a_set_up_link_makes_one_administrator_once() {
        let path = place("setup");
        let accounts = Accounts::new(&path, CHEAP);
        let code = accounts.change(|book| Ok(book.make_setup(1000))).expect("made");
        assert!(!accounts.book().expect("book").opens(&code, 1000 + SETUP), "too late");
        assert!(!fs::read_to_string(&path).expect("text").contains(&code), "only its digest is kept");
        accounts.change(|book| book.set_up(&code, "ana", password(), 1001)).expect("set up");
        let again = accounts.change(|book| book.set_up(&code, "eve", password(), 1002)).expect_err("spent");
        assert_eq!(again.code, "link_expired");
        assert_eq!(fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn another_process_change_is_seen_at_once() {
        let path = place("shared");
        let (page, command) = (Accounts::new(&path, CHEAP), Accounts::new(&path, CHEAP));
        assert!(page.book().expect("book").people.is_empty());
        command.change(|book| book.add("ana", Role::Viewer, password())).expect("added");
        assert_eq!(page.book().expect("book").people.len(), 1);
    }

    #[test]
    fn the_last_administrator_can_be_neither_removed_nor_lowered() {
        let mut book = Book::default();
        book.add("ana", Role::Admin, password()).expect("added");
        assert!(book.remove("ana").is_err() && book.set_role("ana", Role::Viewer).is_err());
        book.add("luz", Role::Admin, password()).expect("added");
        book.remove("ana").expect("another one is there");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let path = place("exposed");
        fs::write(&path, "{}").expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("mode");
        assert_eq!(Accounts::new(&path, CHEAP).book().expect_err("refused").code, "key_file_exposed");
    }

    #[test]
    fn a_token_is_known_by_its_digest_until_it_ends() {
        let mut book = Book::default();
        let token = book.make_token("grafana", vec!["read".into()], "ana", 1000, 1).expect("made");
        assert!(book.token(&token, 1001).is_some() && book.token(&token, 1000 + 86_400).is_none());
        assert!(book.token("ln6d_x", 1001).is_none());
        let id = book.tokens[0].id.clone();
        book.remove_token(&id).expect("removed");
        assert!(book.token(&token, 1001).is_none());
    }
}
