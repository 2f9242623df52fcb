//! `gateward demo`: a small orders API on loopback, a gateway in front of it, and calls to try.

mod calls;
mod orders;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use crate::cli::{DemoArgs, Exit, LogFormat, LoggingArgs};
use crate::terminal::{self, GOOD, paint};
use crate::{logging, run};

/// The demo's document, with places to fill in.
const DOCUMENT: &str = include_str!("document.yaml");

/// Runs the demo until it is stopped.
pub fn demo(args: DemoArgs) -> Exit {
    let logging =
        LoggingArgs { log_level: "warn".into(), quiet: false, log_format: LogFormat::Text };
    if let Err(error) = logging::start(&logging) {
        return run::fail(&error);
    }
    match prepare(&args) {
        Ok(ready) => {
            let (web, admin) = (
                format!("http://127.0.0.1:{}", ready.port),
                format!("http://127.0.0.1:{}", ready.admin),
            );
            let colours = terminal::colours_out();
            let calls = calls::print(&calls::calls(&web, &admin, &ready.key), colours);
            let title = paint("Gateward is in front of a small orders API.", GOOD, colours);
            let document = ready.document.display();
            let greeting = format!(
                "{title}\n\n  gateway   {web}\n  admin     {admin}\n  document  {document}   (change it: it is taken over at once)\n\n\
                 Paste these into another terminal. Ctrl-C stops everything.\n\n{calls}\
                 The access log, one line a request:\n"
            );
            run::serve(run::Plan::demo(ready.document, ready.background, greeting))
        }
        Err(error) => run::fail(&error),
    }
}

/// What stands before the gateway starts.
struct Ready {
    port: u16,
    admin: u16,
    key: String,
    document: PathBuf,
    background: tokio::runtime::Runtime,
}

fn prepare(args: &DemoArgs) -> Result<Ready, String> {
    let background = run::background().map_err(|error| format!("no runtime: {error}"))?;
    let orders = background
        .block_on(orders::start())
        .map_err(|error| format!("the orders API can't listen: {error}"))?;
    let port = free(args.port, "--port")?;
    let admin = free(args.admin_port, "--admin-port")?;
    let key = format!("demo-{}", base::TraceId::random().text().escape_ascii());
    let text = fill(port, admin, orders, &key);
    let document = write(args.dir.as_deref(), &text)?;
    Ok(Ready { port, admin, key, document, background })
}

fn fill(port: u16, admin: u16, orders: SocketAddr, key: &str) -> String {
    let sha256: String =
        digest(&SHA256, key.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    DOCUMENT
        .replace("@PORT@", &port.to_string())
        .replace("@ADMIN@", &admin.to_string())
        .replace("@ORDERS@", &orders.port().to_string())
        .replace("@SHA256@", &sha256)
}

/// A port that can be listened on: `wanted`, or any where that is 0.
fn free(wanted: u16, flag: &str) -> Result<u16, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| {
            format!("port {wanted} can't be used: {error}; name another with {flag}, or 0 for any")
        })
}

fn write(dir: Option<&Path>, text: &str) -> Result<PathBuf, String> {
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => std::env::temp_dir().join(format!("gateward-demo-{}", std::process::id())),
    };
    let path = dir.join("gateward.yaml");
    std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, text)).map_err(|error| {
        format!("{} can't be written: {error}; name another place with --dir", path.display())
    })?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demos_document_compiles() {
        let text = fill(8080, 8090, SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)), "demo-key");
        let dir = tempfile::tempdir().unwrap();
        let path = write(Some(dir.path()), &text).unwrap();
        if let Err(report) = crate::load::Loader::new().load(&path) {
            panic!("{}", report.render(false));
        }
    }
}
