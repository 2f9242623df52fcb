//! Routes that others always win over: a document that has one says something its writer does not
//! mean.

use std::collections::HashMap;

use base::Problem;
use policy::message::{Method, Name};
use rustc_hash::FxBuildHasher;

use super::tree::Candidate;
use super::{FieldTest, Router, Rule};
use crate::path::PathRegex;

/// What two candidates must have in common for the earlier to take the later's requests. Precedence
/// puts more tests first, so that among candidates of one path only equal tests can do that.
type Tests<'r> = (u8, Option<&'r PathRegex>, &'r [FieldTest<Name>], &'r [FieldTest<Box<str>>]);

/// Who takes a listener's requests of a method, of any method where none is named.
type Taken = HashMap<(usize, Option<Method>), usize, FxBuildHasher>;

/// How a rule fares at the places where its patterns end.
#[derive(Clone, Debug, Default)]
struct Fate {
    places: usize,
    lost: usize,
    winners: Vec<usize>,
}

/// What is wrong with rules that are never reached, and what is odd about rules that are not
/// reached on some hosts.
#[derive(Debug, Default)]
pub(crate) struct Conflicts {
    /// Rules that are never reached.
    pub problems: Vec<Problem>,
    /// Rules that are not reached on some of their hosts.
    pub warnings: Vec<Problem>,
}

impl Router {
    /// Rules that others always win over. `listeners` is their number in the document.
    pub(crate) fn conflicts(&self, listeners: usize) -> Conflicts {
        let mut fates = vec![Fate::default(); self.rules.len()];
        for end in self.nodes.ends() {
            self.contest(end, listeners.max(1), &mut fates);
        }
        let mut conflicts = Conflicts::default();
        for (rule, fate) in self.rules.iter().zip(&fates) {
            let Some(winner) = fate.winners.first().and_then(|first| self.rules.get(*first)) else {
                continue;
            };
            if fate.lost == fate.places {
                conflicts.problems.push(self.never_reached(rule, winner, &fate.winners));
            } else {
                let what = format!(
                    "{} is not reached on some of its hosts: {} takes its requests there",
                    name(rule),
                    name(winner)
                );
                let problem = Problem::new(&rule.route.at, what);
                conflicts.warnings.push(problem.see(&winner.route.at, "this route goes first"));
            }
        }
        conflicts
    }

    #[expect(
        clippy::mutable_key_type,
        reason = "expressions are compared by what was written, not by their caches"
    )]
    /// Goes through candidates of one place in the order in which they are asked.
    fn contest(&self, end: &[Candidate], listeners: usize, fates: &mut [Fate]) {
        let mut taken: HashMap<Tests<'_>, Taken, FxBuildHasher> = HashMap::default();
        for candidate in end {
            let number = candidate.rule();
            let Some((rule, pattern)) = candidate.of(&self.rules) else { continue };
            let Some(fate) = fates.get_mut(number) else { continue };
            fate.places += 1;
            let (rank, regex) = pattern.end.place();
            if end.len() == 1 {
                continue;
            }
            let taken = taken.entry((rank, regex, &rule.headers, &rule.query)).or_default();
            let heard: Vec<usize> = (0..listeners).filter(|one| rule.hears(*one)).collect();
            let any = [None];
            let named: Vec<Option<Method>> = rule.methods.iter().copied().map(Some).collect();
            let methods = if named.is_empty() { &any[..] } else { &named };
            let (mut lost, mut winners) = (true, Vec::new());
            for (listener, method) in
                heard.iter().flat_map(|one| methods.iter().map(move |method| (*one, *method)))
            {
                let winner = taken.get(&(listener, None)).or(taken.get(&(listener, method)));
                match winner {
                    Some(winner) if *winner != number => add(&mut winners, *winner),
                    _ => {
                        lost = false;
                        taken.insert((listener, method), number);
                    }
                }
            }
            // To lose a part of its requests is what an order is for.
            if lost {
                fate.lost += 1;
                winners.into_iter().for_each(|winner| add(&mut fate.winners, winner));
            }
        }
    }

    fn never_reached(&self, rule: &Rule, winner: &Rule, winners: &[usize]) -> Problem {
        let what = if winners.len() > 1 {
            let names: Vec<String> =
                winners.iter().filter_map(|one| self.rules.get(*one)).map(name).collect();
            format!("{} is never reached: {} take its requests", name(rule), names.join(" and "))
        } else if winner.methods.len() == rule.methods.len() {
            format!("{} matches the very same requests as {}", name(rule), name(winner))
        } else {
            format!("{} is never reached: {} takes its requests", name(rule), name(winner))
        };
        Problem::new(&rule.route.at, what)
            .hint("remove one of them, or tell them apart by host, path, method, header or query")
            .see(&winner.route.at, "this route goes first")
    }
}

fn add(winners: &mut Vec<usize>, winner: usize) {
    if !winners.contains(&winner) {
        winners.push(winner);
    }
}

fn name(rule: &Rule) -> String {
    format!("route `{}` of API `{}`", rule.route.name, rule.route.api)
}
