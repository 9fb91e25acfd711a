//! News as they come: one question for all who watch, one line for each of them.

use crate::app::{App, Failure, Onlooker};
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use ln6_api::request::Events;
use ln6_api::schema::EventList;
use ln6_api::{ApiRequest, Trouble};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Most who watch at once.
const WATCHERS: usize = 64;
/// A stream ends after so long; the browser opens another one, if it is still logged in.
const LONGEST: Duration = Duration::from_secs(600);
/// Something is sent at least so often, so that nothing between thinks the stream is dead.
const BREATH: Duration = Duration::from_secs(20);
/// How long the daemon may keep a question for news.
const WAIT: u32 = 25;
/// After a failure, and between two pieces of news.
const PAUSE: Duration = Duration::from_secs(2);

pub(crate) async fn stream(State(app): State<Arc<App>>, onlooker: Onlooker) -> Result<Response, Failure> {
    // Guests leave room for those who are logged in.
    let most = if onlooker.look.inside() { WATCHERS } else { WATCHERS / 2 };
    if app.news.receiver_count() >= most {
        return Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Trouble::NoAnswer,
            "too many pages watch already",
            "the page works without; load it again to see what is new",
        ));
    }
    let news = app.news.subscribe();
    app.watched.notify_one();
    let ends = tokio::time::Instant::now() + LONGEST;
    let lines = stream::unfold((news, true), move |(mut news, first)| async move {
        if first {
            return Some((Ok::<_, Infallible>(Bytes::from_static(b"retry: 3000\n\n")), (news, false)));
        }
        if tokio::time::Instant::now() >= ends {
            return None;
        }
        let line = match tokio::time::timeout(BREATH, news.changed()).await {
            Ok(Ok(())) => Bytes::from(format!("data: {}\n\n", *news.borrow_and_update())),
            Ok(Err(_)) => return None,
            Err(_) => Bytes::from_static(b": \n\n"),
        };
        Some((Ok(line), (news, false)))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// Asks the daemon for news while somebody watches. Runs for ever.
pub(crate) async fn watch(app: Arc<App>) {
    let mut after = None;
    loop {
        if app.news.receiver_count() == 0 {
            app.watched.notified().await;
        }
        let wait = if after.is_some() { WAIT } else { 0 };
        let question = ApiRequest::Events(Events { after: after.unwrap_or(u64::MAX >> 1), wait });
        let asked = tokio::time::Instant::now();
        let answer =
            app.desk.wait(&question).await.and_then(|bytes| crate::backend::parse::<EventList>(&bytes));
        match answer {
            // A number below what was heard already: the daemon has begun anew.
            Ok(list) if after.is_some_and(|after| list.next < after || !list.events.is_empty()) => {
                after = Some(list.next);
                app.desk.forget();
                app.news.send_replace(list.next);
                tokio::time::sleep(PAUSE).await;
            }
            // Older daemons do not wait: ask them now and then.
            Ok(list) => {
                after = Some(list.next);
                if asked.elapsed() < PAUSE {
                    tokio::time::sleep(PAUSE).await;
                }
            }
            Err(_) => {
                after = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
