//! Two administrators at their browsers and one at the machine decide on the same two hundred requests at once: each is
//! decided once, who comes second is told so and loses nothing that was typed, and the journal has the true order.
#![allow(clippy::unwrap_used)]

#[path = "support/http.rs"]
mod http;
#[path = "support/stranger.rs"]
mod stranger;
#[path = "support/world.rs"]
mod world;

use http::{Answer, Api, ask};
use ln6_lab::wait_for;
use ln6_overlay_core::control::message::JoinReply;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use stranger::{Door, Stranger};
use world::{Net, PATIENCE};

const REQUESTS: u32 = 200;
const PASSWORD: &str = "correct horse battery";

/// What a browser keeps: cookies, and the token of the form that it shows.
struct Browser {
    socket: PathBuf,
    cookies: BTreeMap<String, String>,
    token: String,
}

impl Browser {
    fn new(socket: PathBuf) -> Self {
        Browser { socket, cookies: BTreeMap::new(), token: String::new() }
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut heads = vec![("Cookie", cookies.as_str()), ("Origin", "http://localhost")];
        if method == "POST" {
            heads.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        let answer = ask(&self.socket, method, path, &heads, body).unwrap();
        for set in answer.all("set-cookie") {
            let pair = set.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        if let Some(rest) = answer.body.split("name=\"csrf\" value=\"").nth(1) {
            self.token = rest.split('"').next().unwrap().to_owned();
        }
        answer
    }

    fn open(&mut self, path: &str) -> Answer {
        self.send("GET", path, "")
    }

    /// Sends the form that is shown.
    fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token.clone();
        let all = [("csrf", token.as_str())].into_iter().chain(fields.iter().copied());
        let body: Vec<String> = all.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.send("POST", path, &body.join("&"))
    }

    fn log_in(&mut self, name: &str) {
        self.open("/login");
        let answer = self.submit("/login", &[("name", name), ("password", PASSWORD)]);
        assert_eq!(answer.status, 303, "{}", answer.body);
    }
}

fn encoded(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    let one = |octet: u8| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") };
    text.bytes().map(one).collect()
}

/// One who decides, and by what.
enum Hand {
    Page(Browser),
    Machine(Api),
}

/// A decision that was made.
struct Won {
    request: String,
    reason: String,
    begun: Instant,
    ended: Instant,
}

impl Hand {
    /// Decides on one request as it was shown; whether it was the first.
    fn decide(&mut self, row: &Value, word: &str, reason: &str) -> bool {
        let (id, expect) = (row["id"].as_str().unwrap(), row["revision"].as_u64().unwrap());
        match self {
            Hand::Page(browser) => {
                let seen = expect.to_string();
                let mut fields = vec![
                    ("request", id),
                    ("expect", seen.as_str()),
                    ("reason", reason),
                    ("look", "1"),
                    ("back", "/requests"),
                ];
                if word == "approve" {
                    fields.extend([("name", ""), ("size", "56"), ("prefix", ""), ("holder", "")]);
                }
                let answer = browser.submit(&format!("/do/{word}"), &fields);
                if answer.status == 303 {
                    return true;
                }
                assert_eq!(answer.status, 200, "{}", answer.body);
                let told = ["does not wait any more", "changed it meanwhile"];
                assert!(told.iter().any(|text| answer.body.contains(text)), "{}", answer.body);
                assert!(
                    answer.body.contains(&format!("value=\"{reason}\"")),
                    "what was typed is gone: {}",
                    answer.body
                );
                if word == "approve" {
                    assert!(
                        answer.body.contains("name=\"size\" inputmode=\"numeric\" value=\"56\""),
                        "{}",
                        answer.body
                    );
                }
                false
            }
            Hand::Machine(api) => {
                let mut body = json!({"request": id, "expect": expect, "reason": reason});
                if word == "approve" {
                    body["size"] = json!(56);
                }
                let (status, answer) = api.post(word, &body).unwrap();
                assert!(
                    status == 200 || (status, &answer["code"]) == (409, &json!("state_changed")),
                    "{status} {answer}"
                );
                status == 200
            }
        }
    }
}

#[test]
fn of_three_who_decide_on_two_hundred_requests_one_wins_each_and_the_journal_knows_the_order() {
    if !ln6_lab::ready() {
        return;
    }
    let mut net = Net::server_only("race").unwrap();
    let here = net.server.directory().to_owned();
    let config = here.join("ln6d.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("# inside = false"), "{text}");
    fs::write(&config, text.replace("# inside = false", "inside = true")).unwrap();
    net.server.stop().unwrap();
    net.server.start().unwrap();
    let api = Api(here.join("ln6d.sock"));
    let socket = here.join("page/page.sock");
    wait_for("the page's socket", PATIENCE, || if socket.exists() { Ok(()) } else { Err(net.server.log()) })
        .unwrap();

    // Two administrators.
    let link =
        net.server.json(&["admin", "--setup-link"]).unwrap()["setup_link"].as_str().unwrap().to_owned();
    let path = format!("/setup/{}", link.rsplit('/').next().unwrap());
    let mut ana = Browser::new(socket.clone());
    assert_eq!(ana.open(&path).status, 200);
    let answer = ana.submit(&path, &[("name", "ana"), ("password", PASSWORD), ("repeated", PASSWORD)]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    ana.open("/settings?tab=people");
    let fields = [("what", "add"), ("name", "bea"), ("role", "operator"), ("new", PASSWORD)];
    assert_eq!(ana.submit("/settings/people", &fields).status, 303);
    let mut bea = Browser::new(socket);
    bea.log_in("bea");

    // Two hundred strangers, from as many addresses.
    let link = net.server.json(&["invite", "--open"]).unwrap()["link"].as_str().unwrap().to_owned();
    let door = Door::of(&link, &net.server.namespace).unwrap();
    for number in 0..REQUESTS {
        let stranger = Stranger::new(number, &format!("r-{number:03}"), 56);
        let reply = stranger.ask(&door, Duration::from_secs(10)).unwrap();
        assert!(matches!(reply, JoinReply::Waiting { .. }), "{reply:?}");
    }
    let shown = api.get("requests").unwrap()["requests"].as_array().unwrap().clone();
    assert_eq!(shown.len(), REQUESTS as usize);
    ana.open("/requests");
    bea.open("/requests");

    let hands = [("ana", Hand::Page(ana)), ("bea", Hand::Page(bea)), ("machine", Hand::Machine(api.clone()))];
    let begin = Barrier::new(hands.len());
    let won: Vec<(&str, Vec<Won>)> = std::thread::scope(|scope| {
        let (shown, begin) = (&shown, &begin);
        let work = |turn: usize, who: &'static str, mut hand: Hand| {
            move || {
                let (mut won, mut stumbled) = (Vec::new(), false);
                for (number, row) in shown.iter().enumerate() {
                    let name = row["name"].as_str().unwrap();
                    let word = if (number + turn).is_multiple_of(2) { "approve" } else { "deny" };
                    let reason = format!("{who} typed {name}");
                    begin.wait();
                    // All three at once; whose turn it is has a start of up to 6 ms, else the shortest way always won.
                    if number % 3 != turn {
                        std::thread::sleep(Duration::from_micros(number as u64 * 397 % 6000));
                    }
                    let begun = Instant::now();
                    // Who stumbles goes on, or the others would wait for ever; it is told at the end.
                    let decided = catch_unwind(AssertUnwindSafe(|| hand.decide(row, word, &reason)));
                    stumbled |= decided.is_err();
                    if decided.is_ok_and(|first| first) {
                        let request = row["id"].as_str().unwrap().to_owned();
                        won.push(Won { request, reason, begun, ended: Instant::now() });
                    }
                }
                assert!(!stumbled, "{who} was answered otherwise than expected, see above");
                (who, won)
            }
        };
        let numbered = hands.into_iter().enumerate();
        let threads: Vec<_> =
            numbered.map(|(turn, (who, hand))| scope.spawn(work(turn, who, hand))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    // Each once.
    let mut decided: Vec<&str> =
        won.iter().flat_map(|(_, won)| won.iter().map(|one| one.request.as_str())).collect();
    println!("{:?}", won.iter().map(|(who, won)| (*who, won.len())).collect::<Vec<_>>());
    decided.sort_unstable();
    decided.dedup();
    let sum: usize = won.iter().map(|(_, won)| won.len()).sum();
    assert_eq!((decided.len(), sum), (REQUESTS as usize, REQUESTS as usize));
    assert!(won.iter().all(|(_, won)| !won.is_empty()), "somebody never came first: that was no race");
    assert_eq!(api.get("requests").unwrap()["requests"], json!([]));

    // In the journal each once, by whom it was, in an order that fits what was seen.
    let mut lines: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for kind in ["approved", "denied"] {
        let rows = api.get(&format!("audit?kind={kind}&limit=500")).unwrap();
        for row in rows["rows"].as_array().unwrap() {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let line = (row["seq"].as_u64().unwrap(), text("actor"));
            assert!(lines.insert(text("reason"), line).is_none(), "decided twice: {row}");
        }
    }
    assert_eq!(lines.len(), REQUESTS as usize);
    let mut all: Vec<(u64, &Won)> = Vec::new();
    for (who, won) in &won {
        let actor = if *who == "machine" { "operator".to_owned() } else { format!("admin:{who}") };
        for one in won {
            let (number, by) = &lines[&one.reason];
            assert_eq!(*by, actor, "{}", one.reason);
            all.push((*number, one));
        }
    }
    for (number, one) in &all {
        for (later, other) in all.iter().filter(|(_, other)| one.ended < other.begun) {
            assert!(number < later, "'{}' was over before '{}' began", one.reason, other.reason);
        }
    }
}
