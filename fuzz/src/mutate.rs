//! Inputs made from others: bits flipped, pieces cut, doubled, moved and put in, words of the
//! target's dictionary, halves of two inputs. The same seed gives the same inputs.

use fastrand::Rng;

/// Bytes of an input at most.
const BYTES_MAX: usize = 4 << 10;

/// Numbers that stand at the edge of something.
const EDGES: &[&str] = &[
    "0",
    "1",
    "-1",
    "127",
    "128",
    "255",
    "256",
    "1023",
    "1024",
    "65535",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "7fffffffffffffff",
    "8000000000000000",
    "ffffffffffffffff",
];

/// Makes inputs from others.
pub struct Mutator {
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    rng: Rng,
}

impl Mutator {
    /// One that starts from `seeds`, of which there must be one, and knows `words`.
    pub fn new(seeds: Vec<Vec<u8>>, words: Vec<Vec<u8>>, seed: u64) -> Self {
        Self { seeds, words, rng: Rng::with_seed(seed) }
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.seed().clone();
        for _ in 0..=self.rng.usize(..4) {
            self.change(&mut input);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn seed(&mut self) -> &Vec<u8> {
        &self.seeds[self.rng.usize(..self.seeds.len())]
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.rng.usize(..=input.len());
        let piece = self.piece(input);
        match self.rng.u8(..12) {
            0 => self.with_byte(input, |rng, byte| byte ^ (1 << rng.u8(..8))),
            1 => self.with_byte(input, |rng, _| rng.u8(..)),
            2 => self.with_byte(input, |rng, byte| byte.wrapping_add(rng.u8(..5)).wrapping_sub(2)),
            3 => input.truncate(at),
            4 => drop(input.drain(piece)),
            5 => double(input, at, piece),
            6 => {
                let moved: Vec<u8> = input.drain(piece).collect();
                let at = self.rng.usize(..=input.len());
                insert(input, at, &moved);
            }
            7 => {
                let other = self.seed().clone();
                let from = self.rng.usize(..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            8 => {
                let other = self.seed().clone();
                let piece = self.piece(&other);
                insert(input, at, &other[piece]);
            }
            9 => {
                let edge = EDGES[self.rng.usize(..EDGES.len())];
                let number = number_at(input, at);
                input.splice(number, edge.bytes());
            }
            10 => self.whole_line(input),
            _ => match self.words.is_empty() {
                true => input.insert(at, self.rng.u8(..)),
                false => {
                    let word = self.words[self.rng.usize(..self.words.len())].clone();
                    insert(input, at, &word);
                }
            },
        }
    }

    /// A short piece of `of`, mostly.
    fn piece(&mut self, of: &[u8]) -> std::ops::Range<usize> {
        let start = self.rng.usize(..=of.len());
        let most = if self.rng.u8(..8) == 0 { of.len() - start } else { 16 };
        start..(start + self.rng.usize(..=most)).min(of.len())
    }

    fn with_byte(&mut self, input: &mut [u8], change: fn(&mut Rng, u8) -> u8) {
        if !input.is_empty() {
            let at = self.rng.usize(..input.len());
            input[at] = change(&mut self.rng, input[at]);
        }
    }

    /// Doubles a line, or takes it away.
    fn whole_line(&mut self, input: &mut Vec<u8>) {
        let at = self.rng.usize(..=input.len());
        let start = input[..at].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let end = input[at..].iter().position(|b| *b == b'\n').map_or(input.len(), |n| at + n + 1);
        match self.rng.bool() {
            true => double(input, start, start..end),
            false => drop(input.drain(start..end)),
        }
    }
}

/// Puts `piece` of `input` in once more.
fn double(input: &mut Vec<u8>, at: usize, piece: std::ops::Range<usize>) {
    let copy = input[piece].to_vec();
    input.splice(at..at, copy);
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}

/// The digits around `at`.
fn number_at(input: &[u8], at: usize) -> std::ops::Range<usize> {
    let digit = |b: &u8| b.is_ascii_digit();
    let before = input[..at].iter().rev().take_while(|b| digit(b)).count();
    let after = input[at..].iter().take_while(|b| digit(b)).count();
    at - before..at + after
}
