//! What is new since the last letter.

use crate::schema::{Problem, RequestRow, Severity, Time};
use ln6_types::UnixTime;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Trouble that goes by itself within so many seconds is not told.
const CALM: u64 = 30;
/// Seconds between two letters.
const PAUSE: u64 = 60;
/// Notices in one letter; of more, how many there are.
const MOST: usize = 50;

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Notice {
    /// A node waits for an administrator.
    Request(Box<RequestRow>),
    /// Something does not work.
    Trouble { code: String, message: String, hint: Option<String> },
    /// It works again.
    Over { code: String, message: String },
}

/// `ln6d.notice/1`.
#[derive(Serialize)]
struct Letter<'w> {
    schema: &'static str,
    node: &'w str,
    time: Time,
    notices: &'w [Notice],
    more: usize,
    subject: String,
    text: String,
}

/// Remembers what was told.
pub(super) struct Watch {
    node: String,
    start: UnixTime,
    of_requests: bool,
    of_trouble: bool,
    requests: BTreeSet<String>,
    /// Trouble by code and words: since when, and whether it was told.
    trouble: BTreeMap<(String, String), (UnixTime, bool)>,
    queue: Vec<Notice>,
    last: Option<UnixTime>,
}

impl Watch {
    /// Whoever has waited since before `start` was told of already.
    pub(super) fn new(node: String, start: UnixTime, of_requests: bool, of_trouble: bool) -> Self {
        Watch {
            node,
            start,
            of_requests,
            of_trouble,
            requests: BTreeSet::new(),
            trouble: BTreeMap::new(),
            queue: Vec::new(),
            last: None,
        }
    }

    /// Everybody who waits now.
    pub(super) fn requests(&mut self, now: &[RequestRow]) {
        if !self.of_requests {
            return;
        }
        for request in now.iter().filter(|request| request.since.0 >= self.start) {
            if self.requests.insert(request.id.clone()) {
                self.queue.push(Notice::Request(Box::new(request.clone())));
            }
        }
        let waits: BTreeSet<&str> = now.iter().map(|request| request.id.as_str()).collect();
        self.requests.retain(|id| waits.contains(id.as_str()));
    }

    /// Everything that is wrong now; warnings and notes do not work less, and are not told.
    pub(super) fn problems(&mut self, at: UnixTime, now: &[Problem]) {
        if !self.of_trouble {
            return;
        }
        let bad: BTreeMap<_, _> = now
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(|problem| ((problem.code.clone(), problem.message.clone()), problem))
            .collect();
        for (id, problem) in &bad {
            let (since, told) = self.trouble.entry(id.clone()).or_insert((at, false));
            if !*told && at.since(*since).as_secs() >= CALM {
                *told = true;
                let Problem { code, message, hint, .. } = (*problem).clone();
                self.queue.push(Notice::Trouble { code, message, hint });
            }
        }
        let queue = &mut self.queue;
        self.trouble.retain(|(code, message), (_, told)| {
            let stays = bad.contains_key(&(code.clone(), message.clone()));
            if !stays && *told {
                queue.push(Notice::Over { code: code.clone(), message: message.clone() });
            }
            stays
        });
    }

    /// The letter, if it is time for one.
    pub(super) fn letter(&mut self, now: UnixTime) -> Option<String> {
        let early = self.last.is_some_and(|last| last <= now && now.since(last).as_secs() < PAUSE);
        if self.queue.is_empty() || early {
            return None;
        }
        self.last = Some(now);
        let mut notices = std::mem::take(&mut self.queue);
        let more = notices.len().saturating_sub(MOST);
        notices.truncate(MOST);
        let lines: Vec<String> = notices.iter().map(words).collect();
        let subject = match lines.as_slice() {
            [one] => format!("{}: {}", self.node, one.lines().next().unwrap_or_default()),
            many => format!("{}: {} things", self.node, many.len() + more),
        };
        let mut text = lines.join("\n\n");
        if more > 0 {
            text += &format!("\n\nand {more} more");
        }
        let letter = Letter {
            schema: "ln6d.notice/1",
            node: &self.node,
            time: Time(now),
            notices: &notices,
            more,
            subject: subject.chars().take(120).collect(),
            text,
        };
        serde_json::to_string(&letter).ok()
    }
}

fn words(notice: &Notice) -> String {
    match notice {
        Notice::Request(request) => {
            let name = request.name.as_deref().unwrap_or("a node without a name");
            let size = request.size.map_or_else(String::new, |size| format!(" for a /{size}"));
            let contact =
                request.contact.as_ref().map_or_else(String::new, |contact| format!("\nContact: {contact}"));
            format!(
                "{name} asks{size}\nKey: {}{contact}\nAnswer with 'ln6d approve {1}' or 'ln6d deny {1}'.",
                request.key, request.id
            )
        }
        Notice::Trouble { message, hint, .. } => match hint {
            Some(hint) => format!("{message}\n{hint}"),
            None => message.clone(),
        },
        Notice::Over { message, .. } => format!("over: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ln6_types::PublicKey;

    const START: u64 = 1_790_000_000;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(START + seconds)
    }

    fn request(id: &str, since: u64) -> RequestRow {
        serde_json::from_value(serde_json::json!({
            "id": id, "name": "quintana", "size": 56, "ssid": null, "key": PublicKey([7; 32]), "proposed": null,
            "contact": "ana <b>", "since": Time(at(since)),
        }))
        .expect("a request")
    }

    fn problem(code: &str, severity: Severity) -> Problem {
        Problem { code: code.into(), severity, message: code.replace('_', " "), hint: Some("do it".into()) }
    }

    fn read(letter: Option<String>) -> serde_json::Value {
        serde_json::from_str(&letter.expect("a letter")).expect("json")
    }

    #[test]
    fn a_request_is_told_once() {
        let mut watch = Watch::new("vm".into(), at(0), true, true);
        watch.requests(&[request("3", 5)]);
        let letter = read(watch.letter(at(10)));
        assert_eq!(
            (&letter["schema"], &letter["subject"]),
            (&"ln6d.notice/1".into(), &"vm: quintana asks for a /56".into())
        );
        assert_eq!(letter["notices"][0]["kind"], "request");
        assert_eq!(letter["notices"][0]["contact"], "ana <b>");
        assert!(letter["text"].as_str().is_some_and(|text| text.contains("'ln6d approve 3'")));
        watch.requests(&[request("3", 5)]);
        assert_eq!(watch.letter(at(500)), None);
    }

    #[test]
    fn who_waited_before_the_start_was_told_already() {
        let mut watch = Watch::new("vm".into(), at(100), true, true);
        watch.requests(&[request("3", 5)]);
        assert_eq!(watch.letter(at(200)), None);
    }

    #[test]
    fn trouble_is_told_when_it_stays_and_when_it_is_over() {
        let mut watch = Watch::new("vm".into(), at(0), true, true);
        let bad = [problem("no_uplink", Severity::Error), problem("mtu_too_large", Severity::Warning)];
        watch.problems(at(0), &bad);
        watch.problems(at(20), &[]);
        watch.problems(at(25), &bad);
        assert_eq!(watch.letter(at(25)), None, "it came and went");
        watch.problems(at(60), &bad);
        let letter = read(watch.letter(at(60)));
        assert_eq!(letter["notices"].as_array().map(Vec::len), Some(1));
        assert_eq!(letter["text"], "no uplink\ndo it");
        watch.problems(at(70), &[]);
        assert_eq!(watch.letter(at(70)), None, "not more than once a minute");
        assert_eq!(read(watch.letter(at(121)))["notices"][0]["kind"], "over");
    }

    #[test]
    fn many_at_once_are_one_letter() {
        let mut watch = Watch::new("vm".into(), at(0), true, false);
        let many: Vec<RequestRow> = (0..80).map(|number| request(&number.to_string(), 1)).collect();
        watch.requests(&many);
        watch.problems(at(100), &[problem("no_uplink", Severity::Error)]);
        let letter = read(watch.letter(at(100)));
        assert_eq!((letter["notices"].as_array().map(Vec::len), &letter["more"]), (Some(MOST), &30.into()));
        assert_eq!(letter["subject"], "vm: 80 things");
    }
}
