//! Commands that go on for a while: `ping` and `events --follow`.

use super::output::Output;
use crate::api::{self, ApiRequest};
use crate::cli::{Events, Ping};
use crate::client::Client;
use crate::error::{CliError, Exit, Trouble};
use crate::files::Layout;
use crate::render::round_trip;
use crate::schema::{EventList, PingReply, Schema as _};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// How long one question waits for the next event, seconds.
const PATIENCE: u32 = 20;

pub(super) fn ping(ping: &Ping, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let client = Client::new(layout);
    let request = ApiRequest::Ping(api::Ask { to: ping.to.clone() });
    let mut times = Vec::new();
    for number in 0..ping.count {
        if number > 0 {
            std::thread::sleep(SECOND);
        }
        match client.get::<PingReply>(&request) {
            Ok(reply) => {
                times.push(reply.rtt_seconds);
                output.show(reply);
            }
            Err(error) if error.exit == Exit::NoAnswer => output.note(&format!("{}: no answer", ping.to)),
            Err(error) => return Err(error),
        }
    }
    if times.is_empty() {
        return Err(CliError::new(Trouble::NoAnswer, format!("{} does not answer", ping.to)));
    }
    if ping.count > 1 {
        output.note(&summary(ping.count, &times));
    }
    Ok(Exit::Ok)
}

fn summary(asked: u32, times: &[f64]) -> String {
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    let most = times.iter().copied().fold(0.0, f64::max);
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    format!(
        "{} of {asked} answered; round trip least {}, mean {}, most {}",
        times.len(),
        round_trip(least),
        round_trip(mean),
        round_trip(most)
    )
}

pub(super) fn events(events: &Events, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let client = Client::new(layout);
    let mut after = 0;
    loop {
        // The first question tells what was; the next ones wait for what comes.
        let wait = if after == 0 { 0 } else { PATIENCE };
        let list: EventList = client.get(&ApiRequest::Events(api::Events { after, wait }))?;
        after = list.next;
        if !events.follow {
            if list.events.is_empty() {
                output.note("Nothing has happened yet.");
            }
            output.show(list);
            return Ok(Exit::Ok);
        }
        if after == 0 {
            std::thread::sleep(SECOND);
        }
        show_lines(list, output);
    }
}

/// A stream is JSON lines, one event each.
fn show_lines(list: EventList, output: &Output) {
    if !output.is_json() {
        output.show(list);
        return;
    }
    for event in list.events {
        let next = event.id;
        output.text(&(EventList { events: vec![event], next }.to_json() + "\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_and_averages() {
        let said = summary(4, &[0.010, 0.020, 0.060]);
        assert_eq!(said, "3 of 4 answered; round trip least 10 ms, mean 30 ms, most 60 ms");
    }
}
