//! The page in front of a made-up network, to look at it: `cargo run -p ln6-page --features fake --example fake -- 6680 40`.
//! Arguments: port, holders, and `gateway` with how it stands for the page of a gateway. The login is `luz`, `correct horse`.
//! Prints the one-time link, then a token that may do everything a token may.

use ln6_page::accounts::{Accounts, Role};
use ln6_page::fake::Fake;
use ln6_page::secret::{Cost, Password};
use ln6_page::server::{self, Door};
use ln6_page::tokens::Scope;
use ln6_page::{App, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().and_then(|text| text.parse().ok()).unwrap_or(6680);
    let size: u32 = args.next().and_then(|text| text.parse().ok()).unwrap_or(40);
    let dir = std::env::temp_dir().join(format!("ln6-page-fake-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let gateway = args.next().filter(|word| word == "gateway");
    let gateway = gateway.map(|_| args.next().unwrap_or_else(|| "connected".to_owned()));
    let cost = Cost { memory: 8, passes: 1 };
    let accounts = Accounts::new(&dir.join("admin.json"), cost);
    let now = ln6_api::schema::Time::now().as_secs();
    let scopes = Scope::ALL.iter().map(|scope| scope.word().to_owned()).collect();
    let token = accounts.change(|book| book.make_token("fake", scopes, "luz", now, 1))?;
    let code = accounts.change(|book| {
        book.add("luz", Role::Admin, Password::new("correct horse", cost))?;
        Ok(book.make_setup(now))
    })?;
    let here = gateway.is_some();
    let settings = Settings { command: "ln6d".into(), gateway: here, guests: here, ..Settings::default() };
    let fake = gateway.map_or_else(|| Fake::new(size), |line| Fake::gateway(size, &line));
    let app = App::new(Box::new(fake), accounts, settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        println!("http://{}/setup/{code}", listener.local_addr()?);
        println!("{token}");
        server::serve(app, vec![Door::Tcp(listener, None)]).await;
        Ok(())
    })
}
