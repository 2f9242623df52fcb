//! Section G: clients that use up what there is.
#![allow(non_snake_case, reason = "cases are called by their number")]

mod chains;
mod clients;
mod connections;
mod floods;
mod pressure;
mod queue;
mod sizes;
mod slow;
mod slow_bodies;
mod tls;
