//! What never changes while the program runs: style, script, icons. Named by its content, so that browsers may keep it
//! for ever, and compressed once.

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::sync::LazyLock;

/// A file that is part of the program.
pub(crate) struct Asset {
    name: String,
    kind: &'static str,
    plain: &'static str,
    gzip: Bytes,
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, plain: &'static str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, plain.as_bytes());
        let hash: String = digest.as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        Asset { name: format!("{stem}-{hash}.{ending}"), kind, plain, gzip: gzip(plain.as_bytes()) }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// The style.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("style", "css", "text/css; charset=utf-8", include_str!("../assets/style.css"))
});
/// The script.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("live", "js", "text/javascript; charset=utf-8", include_str!("../assets/live.js"))
});
/// The icons.
pub(crate) static ICONS: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icons", "svg", "image/svg+xml", include_str!("../assets/icons.svg")));
/// The mark in a browser's tab.
pub(crate) static MARK: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("mark", "svg", "image/svg+xml", include_str!("../assets/mark.svg")));

/// Compressed as gzip.
pub(crate) fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4 + 64), Compression::new(6));
    // Writing into memory does not fail.
    let _ = encoder.write_all(plain);
    Bytes::from(encoder.finish().unwrap_or_default())
}

/// Whether the other side takes gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let text = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(',').any(|part| {
        let (name, weight) = part.split_once(';').unwrap_or((part, ""));
        name.trim().eq_ignore_ascii_case("gzip") && weight.trim() != "q=0"
    })
}

/// The file called `name`.
pub(crate) fn serve(name: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let all: [&Asset; 4] = [&STYLE, &SCRIPT, &ICONS, &MARK];
    let asset = all.into_iter().find(|asset| asset.name == name)?;
    let response = Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, asset.kind)
        .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
        .header(header::VARY, "accept-encoding");
    let response = if takes_gzip(headers) {
        response.header(header::CONTENT_ENCODING, "gzip").body(Body::from(asset.gzip.clone()))
    } else {
        response.body(Body::from(asset.plain))
    };
    response.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_changes_with_its_content() {
        let name = |text| Asset::new("a", "css", "text/css", text).name;
        assert_ne!(name("a"), name("b"));
        assert_eq!(name("a"), name("a"));
    }

    #[test]
    fn what_comes_with_every_page_is_light() {
        assert!(STYLE.gzip.len() < 12_000, "style: {}", STYLE.gzip.len());
        assert!(SCRIPT.gzip.len() < 4_000, "script: {}", SCRIPT.gzip.len());
        assert!(ICONS.gzip.len() < 4_000, "icons: {}", ICONS.gzip.len());
    }

    #[test]
    fn gzip_is_given_to_who_takes_it() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, text.parse().expect("value"))])
        };
        assert!(takes_gzip(&headers("br, gzip")));
        assert!(!takes_gzip(&headers("br, gzip;q=0")));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
