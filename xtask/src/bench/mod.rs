//! `cargo xtask bench`: the same work through Gateward, nginx, HAProxy and a raw byte relay, side
//! by side. `bench/README.md` says how it is measured.

mod amplify;
mod attackers;
mod bed;
mod body;
mod hostile;
mod idle;
mod load;
mod machine;
mod options;
mod process;
mod report;
mod routes;
mod sink;
mod start;
mod traffic;

use bed::Bed;
use options::Options;
use report::Report;

use crate::{Result, needs};

/// One thing that is measured.
pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    pub run: fn(&Bed, &mut Report) -> Result,
}

/// In the order they run.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "plain", title: "HTTP/1.1, proxying and nothing else", run: traffic::plain },
    Scenario {
        name: "chain",
        title: "HTTP/1.1 with API key, rate limit, headers and JSON access log",
        run: traffic::chain,
    },
    Scenario { name: "tls", title: "HTTP/1.1 over TLS 1.3", run: traffic::tls },
    Scenario { name: "h2", title: "HTTP/2 over TLS 1.3", run: traffic::http2 },
    Scenario {
        name: "half",
        title: "HTTP/1.1 at half of what nginx can do: the time a proxy adds",
        run: traffic::half,
    },
    Scenario {
        name: "routes",
        title: "1, 1,000 and 100,000 routes over 1,000 hosts",
        run: routes::lookup,
    },
    Scenario {
        name: "reload",
        title: "Reloads of 100,000 routes under half load",
        run: routes::reload,
    },
    Scenario { name: "body", title: "Bodies of 1 GiB", run: body::run },
    Scenario { name: "idle", title: "Idle keep-alive connections", run: idle::run },
    Scenario {
        name: "hostile",
        title: "A good client beside 200 hostile connections of all kinds",
        run: hostile::attacked,
    },
    Scenario {
        name: "amplify",
        title: "The dearest that a client can send, against a plain request",
        run: amplify::run,
    },
    Scenario {
        name: "overload",
        title: "Twice as many requests as can be answered in time",
        run: hostile::overloaded,
    },
    Scenario { name: "start", title: "From start to the first answer", run: start::run },
];

/// Runs the scenarios asked for, prints and keeps what they found.
pub fn run(args: &[String]) -> Result {
    let Some(options) = Options::parse(args)? else {
        print!("{}", options::help());
        return Ok(());
    };
    needs::tools(needs::PEERS)?;
    let bed = Bed::make(options)?;
    let mut report = Report::new(&bed);
    for scenario in bed.options.scenarios() {
        println!("bench: {}: {}", scenario.name, scenario.title);
        report.begin(scenario);
        if let Err(error) = (scenario.run)(&bed, &mut report) {
            report.broken(scenario, &error);
        }
        println!("\n{}", report.section(scenario.name));
    }
    report.keep()
}
