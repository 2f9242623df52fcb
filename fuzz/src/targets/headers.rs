//! The header view against a plain list of names and values: whatever is done to both, they hold,
//! find and write the same.
//!
//! An input is a script, a step a line: `+name: value` adds, `=name: value` sets, `-name` removes,
//! `|name: value` adds the line as a block, as the codec does,
//! `c` copies, anything else clears.

use policy::message::{Headers, Known, Name, is_token, is_value};

/// Steps of a script.
const STEPS_MAX: usize = 48;

/// The same fields twice.
#[derive(Default)]
struct Pair {
    headers: Headers,
    plain: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A script.
pub fn run(input: &[u8]) {
    let mut pair = Pair::default();
    for line in input.split(|b| *b == b'\n').take(STEPS_MAX) {
        pair.step(line);
        pair.compare();
    }
}

impl Pair {
    fn step(&mut self, line: &[u8]) {
        let (what, line) = line.split_first().unwrap_or((&b' ', line));
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        match what {
            b'+' => self.append(name, value.trim_ascii()),
            b'=' => self.set(name, value.trim_ascii()),
            b'-' => self.remove(name),
            b'|' => self.add_line(line, name, value),
            b'c' => {
                let mut copy = Headers::new();
                copy.append("gone", "1");
                copy.copy_from(&self.headers);
                self.headers = copy;
            }
            _ => {
                self.headers.clear();
                self.plain.clear();
            }
        }
    }

    fn append(&mut self, name: &[u8], value: &[u8]) {
        let fits = fits(name, value) && name.len() <= usize::from(u16::MAX);
        assert_eq!(self.headers.append(name, value), fits, "taken or not");
        if fits {
            self.plain.push((name.to_vec(), value.to_vec()));
        }
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        let Some(wanted) = wanted(name) else { return };
        let fits = value.iter().all(|b| is_value(*b));
        assert_eq!(self.headers.set(&wanted, value), fits, "taken or not");
        self.plain.retain(|(name, _)| !name.eq_ignore_ascii_case(wanted.as_str().as_bytes()));
        if fits {
            self.plain.push((wanted.as_str().into(), value.to_vec()));
        }
    }

    fn remove(&mut self, name: &[u8]) {
        let Some(wanted) = wanted(name) else { return };
        let before = self.plain.len();
        self.plain.retain(|(name, _)| !name.eq_ignore_ascii_case(wanted.as_str().as_bytes()));
        assert_eq!(self.headers.remove(&wanted), self.plain.len() < before, "there or not");
    }

    /// As the codec adds what it has checked: the value without the spaces around it.
    fn add_line(&mut self, line: &[u8], name: &[u8], value: &[u8]) {
        if !fits(name, value) || name.len() > 256 || line.len() == name.len() {
            return;
        }
        let block = self.headers.add_block(&[line, b"\r\n"].concat());
        let start = line.len() - value.trim_ascii_start().len();
        let value = value.trim_ascii();
        let known = Known::of(name);
        self.headers.add_line(block, known, 0..name.len(), start..start + value.len());
        self.plain.push((name.to_vec(), value.to_vec()));
    }

    fn compare(&self) {
        let Self { headers, plain } = self;
        assert_eq!((headers.len(), headers.is_empty()), (plain.len(), plain.is_empty()));
        let mut written = Vec::new();
        for ((known, name, value), own) in headers.iter().zip(plain) {
            assert_eq!((name, value), (&own.0[..], &own.1[..]));
            assert_eq!(known, Known::of(name));
            written.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
        }
        let mut out = Vec::new();
        headers.write_lines(&mut out);
        assert_eq!(out, written, "written as it is");
        let names = plain.iter().filter_map(|(name, _)| wanted(name));
        for name in names.chain(["host", "x-none"].iter().filter_map(|name| Name::new(name))) {
            let of_it = plain
                .iter()
                .filter(|(own, _)| own.eq_ignore_ascii_case(name.as_str().as_bytes()))
                .map(|(_, value)| &value[..]);
            let of_it: Vec<&[u8]> = of_it.collect();
            assert_eq!(headers.all(&name).collect::<Vec<_>>(), of_it);
            assert_eq!(headers.get(&name), of_it.first().copied());
            assert_eq!(headers.has(&name), !of_it.is_empty());
        }
    }
}

fn fits(name: &[u8], value: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| is_token(*b)) && value.iter().all(|b| is_value(*b))
}

fn wanted(name: &[u8]) -> Option<Name> {
    Name::new(str::from_utf8(name).ok()?)
}
