//! `ln6d wireguard-config`: a stock client is registered, and its file printed. The private key never leaves this
//! process but for the file.

use super::ask::show;
use super::output::Output;
use crate::api::{ApiRequest, Leaf, Name};
use crate::cli::WireguardConfig;
use crate::client::Client;
use crate::error::{CliError, Exit};
use crate::files::Layout;
use crate::files::identity::random;
use crate::schema::{ActionReply, Schema as _, WireguardFile, WireguardReply};
use crate::{qr, wgquick};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ln6_crypto::keys::StaticSecret;
use zeroize::{Zeroize as _, Zeroizing};

pub(super) fn run(leaf: &WireguardConfig, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    if leaf.remove {
        let request = ApiRequest::WireguardRemove(Name { name: leaf.name.clone(), reason: None });
        return show::<ActionReply>(&Client::new(layout), &request, output);
    }
    let (public_key, private) = match leaf.public_key {
        Some(key) => (key, None),
        None => {
            let secret = StaticSecret::from_bytes(*random::<32>()?);
            let mut bytes = secret.expose_bytes();
            let text = Zeroizing::new(STANDARD.encode(bytes));
            bytes.zeroize();
            (secret.public(), Some(text))
        }
    };
    let size = Some(leaf.size);
    let request = ApiRequest::Wireguard(Leaf { name: leaf.name.clone(), public_key, size, psk: leaf.psk });
    let reply: WireguardReply = Client::new(layout).get(&request)?;
    let file = wgquick::file(&reply, private.as_ref().map(|text| text.as_str()));
    if output.is_json() {
        let document = WireguardFile { name: reply.name, prefix: reply.prefix, file: file.to_string() };
        output.text(&(document.to_json() + "\n"));
    } else if leaf.qr {
        output.text(&format!("{}\n", qr::in_terminal(&file)?));
    } else {
        output.text(&file);
    }
    Ok(Exit::Ok)
}
