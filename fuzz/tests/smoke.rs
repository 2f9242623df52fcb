//! Every target over its committed inputs, and over some made from them: the same ones each time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gateward_fuzz::mutate::Mutator;
use gateward_fuzz::{TARGETS, Target, corpus};

/// Inputs made for each target.
const RUNS: usize = 1_500;

const SEED: u64 = 0x6761_7465;

fn smoke(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("there is the target");
    let seeds = corpus::seeds(name);
    for seed in &seeds {
        run(target, &seed.bytes, &seed.name);
    }
    let bytes = seeds.into_iter().map(|seed| seed.bytes).collect();
    let mut mutator = Mutator::new(bytes, corpus::words(name), SEED);
    for number in 0..RUNS {
        run(target, &mutator.next_input(), &format!("made input {number}"));
    }
}

fn run(target: &Target, input: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let command = corpus::as_command(target.name, input);
        panic!("{} fails for {what}; to keep it:\n{command}", target.name);
    }
}

macro_rules! smoke {
    ($($name:ident)*) => {
        $(#[test] fn $name() { smoke(stringify!($name)); })*

        #[test]
        fn every_target_is_run_here() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

smoke! {
    chunked
    client_address
    client_hello
    compile
    condition
    contract
    document
    grpc
    h1_request
    h1_response
    h2_server
    headers
    host
    path
    proxy_protocol
    trace_context
}

#[test]
fn a_failing_input_is_shown_as_a_command_that_keeps_it() {
    let bytes: Vec<u8> = (0..=255).collect();
    let command = corpus::as_command("path", &bytes);
    let script = command.replace(">fuzz/corpus/path/WHAT-IT-IS", "");
    let shell = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
    assert_eq!(shell.stdout, bytes);
}

#[test]
fn the_same_seed_makes_the_same_inputs() {
    let seeds = || vec![b"GET / HTTP/1.1\r\n".to_vec(), b"a".to_vec()];
    let made = |seed| {
        let mut mutator = Mutator::new(seeds(), vec![b"word".to_vec()], seed);
        (0..200).map(|_| mutator.next_input()).collect::<Vec<_>>()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
    assert!(made(1).iter().any(|input| !seeds().contains(input)));
}
