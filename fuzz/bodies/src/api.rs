//! Requests on the API socket.

use ln6_node::api::ApiRequest;

/// Method, path, query and body, each in a line. What is read says the same when it is written and read again.
pub fn api_request(data: &[u8]) {
    let mut lines = data.splitn(4, |octet| *octet == b'\n');
    let mut text = || core::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or("?").to_owned();
    let (method, path, query) = (text(), text(), text());
    let query = (!query.is_empty()).then_some(&*query);
    let body = lines.next().unwrap_or_default();
    match ApiRequest::from_http(&method, &path, query, body) {
        Ok(request) => {
            let parts = request.to_http();
            assert_eq!(parts.method, method, "a request is read by one method only");
            let (path, query) = match parts.path.split_once('?') {
                Some((path, query)) => (path, Some(query)),
                None => (&*parts.path, None),
            };
            assert_eq!(ApiRequest::from_http(parts.method, path, query, parts.body.as_bytes()), Ok(request));
        }
        Err(error) => assert!(!error.to_json().is_empty()),
    }
}
