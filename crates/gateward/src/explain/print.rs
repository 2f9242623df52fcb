//! What `explain` has to say, for people.

use std::fmt::Write;

use super::answer::{Answer, Takes};
use super::judge::Verdict;
use crate::terminal::{BAD, DIM, GOOD, HEAD, paint};

/// The answer as text.
pub fn text(answer: &Answer, colours: bool) -> String {
    let mut out = String::new();
    line(&mut out, "listener", &answer.listener);
    if let Some((host, path)) = &answer.request {
        line(&mut out, "request", &format!("{host}{path}"));
    }
    if let Some((code, status, what)) = &answer.refusal {
        line(&mut out, "refused", &paint(&format!("{status} {code}: {what}"), BAD, colours));
    }
    if let Some(takes) = &answer.takes {
        taken(&mut out, takes, colours);
    }
    if !answer.chain.is_empty() {
        let _ = writeln!(
            out,
            "\n{}",
            paint("chain, in the order it runs (and back in reverse)", HEAD, colours)
        );
        for step in &answer.chain {
            let name = if step.kind == step.id {
                step.kind.to_owned()
            } else {
                format!("{} `{}`", step.kind, step.id)
            };
            let when = if step.conditional { ", where its condition holds" } else { "" };
            let from = paint(&format!("of the {}, {}{when}", step.level, step.at), DIM, colours);
            let _ = writeln!(out, "  {:<12} {name}   {from}", step.phase);
            let colour = match (step.verdict.ends(), &step.verdict) {
                (true, Verdict::Refuses(_)) => BAD,
                (true, _) => DIM,
                (false, _) => GOOD,
            };
            for line in step.verdict.lines() {
                let _ = writeln!(out, "  {:<12}   {}", "", paint(&line, colour, colours));
            }
        }
    }
    if !answer.lost.is_empty() {
        let _ = writeln!(out, "\n{}", paint("other routes, nearest first", HEAD, colours));
        for (route, path, why) in &answer.lost {
            let _ = writeln!(out, "  {route}   {path}   {}", paint(why, DIM, colours));
        }
        if answer.more > 0 {
            let _ = writeln!(out, "  and {} more", answer.more);
        }
    }
    out
}

fn taken(out: &mut String, takes: &Takes, colours: bool) {
    line(out, "api", &takes.api);
    line(
        out,
        "route",
        &format!("{}   {}", paint(&takes.route, GOOD, colours), paint(&takes.at, DIM, colours)),
    );
    for (name, value) in &takes.params {
        line(out, "parameter", &format!("{name} = {value}"));
    }
    line(out, "then", &takes.then);
    for (name, endpoints, share) in &takes.upstreams {
        let share =
            if takes.upstreams.len() > 1 { format!("{share:.1} %   ") } else { String::new() };
        let endpoints = endpoints.join(", ");
        let to = if *name == endpoints { name.clone() } else { format!("{name}   {endpoints}") };
        line(out, "upstream", &format!("{share}{to}"));
    }
    if let (Some(path), Some(host)) = (&takes.path, &takes.host) {
        line(out, "sees", &format!("{path}   host {host}"));
    }
}

fn line(out: &mut String, what: &str, value: &str) {
    let _ = writeln!(out, "{what:<10} {value}");
}
