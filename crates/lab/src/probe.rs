//! Small network programs that run inside a namespace: the calling program starts itself again there, so that
//! no other program has to be installed.
//!
//! A program's `main` calls [`run_if_asked`] before anything else; a test binary has a test named `lab_probe`
//! that does nothing but call it.

use crate::namespace::LIMIT;
use crate::{Namespace, Output, Process, wait_for};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const ASKED: &str = "LN6_LAB_PROBE";
/// Between two lines of [`talk`].
const BEAT: Duration = Duration::from_millis(50);
/// How long [`connects`] tries.
const CONNECT: Duration = Duration::from_secs(3);

/// Does the probe's work and ends the process, when this process was started as a probe.
pub fn run_if_asked() {
    let Ok(words) = std::env::var(ASKED) else { return };
    let words: Vec<&str> = words.split_whitespace().collect();
    match probe(&words) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(1)
        }
    }
}

/// Starts a TCP echo service on all addresses of the namespace.
///
/// # Errors
/// It cannot be started.
pub fn echo(namespace: &Namespace, port: u16) -> Result<Process> {
    spawn(namespace, &format!("echo-{}-{port}", namespace.name()), &format!("echo {port}"))
}

/// Opens one TCP connection to an echo service and speaks on it until killed; [`heard`] tells how it goes.
///
/// # Errors
/// It cannot be started.
pub fn talk(namespace: &Namespace, to: IpAddr, port: u16) -> Result<Process> {
    spawn(namespace, &format!("talk-{}-{port}", namespace.name()), &format!("talk {to} {port}"))
}

/// How many answers a [`talk`] has had and its longest silence between two of them.
pub fn heard(talk: &Process) -> Option<(u64, Duration)> {
    let text = talk.stdout();
    let complete = &text[..=text.rfind('\n')?];
    let mut words = complete.lines().rev().find_map(|line| line.strip_prefix("heard "))?.split(' ');
    let count = words.next()?.parse().ok()?;
    Some((count, Duration::from_millis(words.next()?.parse().ok()?)))
}

/// Whether a TCP connection can be opened from the namespace within three seconds.
pub fn connects(namespace: &Namespace, to: IpAddr, port: u16) -> bool {
    exec(namespace, &format!("connect {to} {port}")).success()
}

/// Carries `bytes` (rounded down to whole blocks of 64 KiB) over one TCP connection and compares the checksums at both
/// ends; `address` is `to`'s. Returns how long it took.
///
/// # Errors
/// The connection broke, the checksums differ, or `deadline` passed first.
pub fn carry(
    from: &Namespace,
    to: &Namespace,
    address: IpAddr,
    bytes: u64,
    deadline: Duration,
) -> Result<Duration> {
    let label = |verb: &str| format!("{verb}-{}-{}", from.name(), to.name());
    let mut catch = spawn(to, &label("catch"), &format!("catch {CARRY}"))?;
    wait_for("the catcher", CONNECT, || match catch.stdout().contains("ready") {
        true => Ok(()),
        false => Err(catch.stderr()),
    })?;
    let begin = Instant::now();
    let mut pour = spawn(from, &label("pour"), &format!("pour {address} {CARRY} {}", bytes / BLOCK as u64))?;
    let poured = pour.wait(deadline)?;
    ensure!(poured.success(), "sending to {address}: {}", pour.stderr());
    ensure!(catch.wait(deadline)?.success(), "receiving at {address}: {}", catch.stderr());
    let took = begin.elapsed();
    let last = |process: &Process| process.stdout().lines().last().map(str::to_owned);
    let (sent, received) = (last(&pour), last(&catch));
    ensure!(sent.is_some() && sent == received, "sent {sent:?}, received {received:?}");
    Ok(took)
}

/// The port that [`carry`] uses.
const CARRY: u16 = 7099;
/// What is sent at once.
const BLOCK: usize = 64 << 10;

/// A checksum in which the place of every octet counts (Fowler, Noll and Vo's, over words).
fn checksum(sum: u64, block: &[u8]) -> u64 {
    let words = block.chunks(8).map(|word| {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        u64::from_le_bytes(bytes)
    });
    words.fold(sum, |sum, word| (sum ^ word).wrapping_mul(0x100_0000_01b3))
}

fn pour(to: SocketAddr, blocks: u64) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(10)).context("connecting")?;
    let (mut block, mut sum, mut state) = (vec![0; BLOCK], 0, 0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..blocks {
        for word in block.chunks_exact_mut(8) {
            // Marsaglia's xorshift: no block is like another, and nothing compresses.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        sum = checksum(sum, &block);
        stream.write_all(&block).context("sending")?;
    }
    println!("{} {sum:016x}", blocks * BLOCK as u64);
    Ok(())
}

fn catch(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).context("listening")?;
    println!("ready");
    let (mut stream, _) = listener.accept().context("accepting")?;
    let (mut block, mut sum, mut total, mut have) = (vec![0; BLOCK], 0, 0, 0);
    loop {
        let read = stream.read(&mut block[have..]).context("receiving")?;
        have += read;
        total += read as u64;
        if have == BLOCK || read == 0 {
            sum = checksum(sum, &block[..have]);
            have = 0;
        }
        if read == 0 {
            break;
        }
    }
    println!("{total} {sum:016x}");
    Ok(())
}

fn exec(namespace: &Namespace, words: &str) -> Output {
    exec_for(namespace, words, LIMIT)
}

/// Runs a probe to its end, at most so long.
pub(crate) fn exec_for(namespace: &Namespace, words: &str, limit: Duration) -> Output {
    match itself() {
        Ok(program) => {
            let asked = format!("{ASKED}={words}");
            let mut args = vec!["env", &asked, &program];
            args.extend(LIBTEST);
            namespace.exec_for(&args, limit)
        }
        Err(error) => Output { code: None, stdout: String::new(), stderr: error.to_string() },
    }
}

pub(crate) fn spawn(namespace: &Namespace, label: &str, words: &str) -> Result<Process> {
    let program = itself()?;
    let mut args = vec![program.as_str()];
    args.extend(LIBTEST);
    namespace.spawn_with(label, &args, &[(ASKED, words)])
}

/// What makes a test binary run only the probe; a program that calls [`run_if_asked`] first never reads it.
const LIBTEST: [&str; 3] = ["lab_probe", "--exact", "--nocapture"];

fn itself() -> Result<String> {
    let path = std::env::current_exe().context("the path of this program")?;
    path.into_os_string().into_string().map_err(|_| anyhow!("the path of this program is not UTF-8"))
}

fn probe(words: &[&str]) -> Result<()> {
    match words {
        ["echo", port] => serve_echo(port.parse()?),
        ["talk", to, port] => keep_talking(SocketAddr::new(to.parse()?, port.parse()?)),
        ["connect", to, port] => {
            let to = SocketAddr::new(to.parse()?, port.parse()?);
            TcpStream::connect_timeout(&to, CONNECT).with_context(|| to.to_string()).map(drop)
        }
        ["catch", port] => catch(port.parse()?),
        ["pour", to, port, blocks] => pour(SocketAddr::new(to.parse()?, port.parse()?), blocks.parse()?),
        ["wire", words @ ..] => crate::wire::carry(words),
        ["flows-catch", words @ ..] => crate::flows::catch(words),
        ["flows-send", words @ ..] => crate::flows::pour(words),
        other => bail!("no such probe: {other:?}"),
    }
}

fn serve_echo(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).context("listening")?;
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let mut answer = match stream.try_clone() {
                Ok(answer) => answer,
                Err(_) => return,
            };
            let _ = std::io::copy(&mut &stream, &mut answer);
        });
    }
    Ok(())
}

fn keep_talking(to: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(10)).context("connecting")?;
    stream.set_nodelay(true)?;
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    for number in 1_u64.. {
        stream.write_all(&number.to_be_bytes()).context("speaking")?;
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).context("listening")?;
        if u64::from_be_bytes(answer) != number {
            bail!("said {number}, heard {answer:?}");
        }
        longest = longest.max(last.elapsed());
        last = Instant::now();
        println!("heard {number} {}", longest.as_millis());
        std::thread::sleep(BEAT);
    }
    Ok(())
}
