//! Reads cases.

use base::Span;

use super::{Call, Case, Expected, Step, Written};

/// The cases of a file.
///
/// # Errors
/// The first line that can't be read, with its number and why.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let wrong = |what: String| format!("line {number}: {what}");
        let begins = cases.last().is_none_or(|case| !case.steps.is_empty());
        match (line.strip_prefix("# "), cases.last_mut()) {
            (Some(title), _) if begins => {
                cases.push(Case { title: title.trim().to_owned(), line: number, ..Case::default() })
            }
            (Some(more), Some(case)) if case.document.is_empty() => {
                case.title = format!("{} {}", case.title, more.trim());
            }
            (_, None) if line.trim().is_empty() => {}
            (_, None) => return Err(wrong("a case begins with its title, `# …`".into())),
            (_, Some(case)) => add(case, number, line).map_err(wrong)?,
        }
    }
    match cases.iter().find(|case| !case.steps.iter().any(|step| matches!(step, Step::Call(_)))) {
        Some(idle) => Err(format!("line {}: the case sends no request", idle.line)),
        None => Ok(cases),
    }
}

fn add(case: &mut Case, number: usize, line: &str) -> Result<(), String> {
    let Some((mark, rest)) = marked(line) else {
        if !case.steps.is_empty() && !line.trim().is_empty() {
            return Err(format!("`{line}` is neither a step nor stands before the first one"));
        }
        case.document.push_str(line);
        case.document.push('\n');
        return Ok(());
    };
    if mark == '~' {
        case.steps.push(order(rest)?);
        return Ok(());
    }
    if mark == '>' && is_start(rest) {
        let (start, times) = times(rest);
        let request = Written { start: start.to_owned(), ..Written::default() };
        let call = Call { line: number, times, request, ..Call::default() };
        case.steps.push(Step::Call(Box::new(call)));
        return Ok(());
    }
    let Some(Step::Call(call)) = case.steps.last_mut() else {
        return Err(format!("`{line}` belongs to a request, and none stands before it"));
    };
    match mark {
        '>' => written(&mut call.request, rest),
        '=' => written(&mut call.answer, rest),
        '<' => expected(&mut call.response, rest),
        '^' => expected(&mut call.upstream, rest),
        '@' if rest == "nothing" || rest.starts_with("? ") => {
            call.asked.push(rest.trim_start_matches("? ").to_owned());
            Ok(())
        }
        '@' => written(&mut call.told, rest),
        _ => {
            call.log.push(rest.to_owned());
            Ok(())
        }
    }
}

/// The mark of a step and what stands behind it.
fn marked(line: &str) -> Option<(char, &str)> {
    let mark = line.chars().next().filter(|mark| "><^=$~@".contains(*mark))?;
    Some((mark, line.get(1..)?.strip_prefix(' ')?.trim()))
}

fn order(text: &str) -> Result<Step, String> {
    match text.split_once(' ') {
        Some(("advance", time)) => Ok(Step::Advance(time.parse::<Span>()?.get())),
        Some(("meanwhile", time)) => Ok(Step::Meanwhile(time.parse::<Span>()?.get())),
        Some(("client", address)) => {
            address.parse().map(Step::Client).map_err(|_| format!("`{address}` is no address"))
        }
        _ => Err(format!(
            "`{text}` is no order; there are `advance 1s`, `meanwhile 1s` and `client 192.0.2.7`"
        )),
    }
}

/// Whether this starts a request: a method and a target.
fn is_start(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(method, target)| {
        method.bytes().all(|b| b.is_ascii_uppercase()) && target.starts_with(['/', '*'])
    })
}

/// What stands before `x3`, and 3.
fn times(text: &str) -> (&str, usize) {
    let split = text.rsplit_once(" x");
    let times = split.and_then(|(before, times)| Some((before.trim(), times.parse().ok()?)));
    times.unwrap_or((text, 1))
}

fn written(message: &mut Written, text: &str) -> Result<(), String> {
    if let Some(body) = text.strip_prefix('|') {
        message.body.push_str(body.strip_prefix(' ').unwrap_or(body));
    } else if let Some((name, value)) = text.split_once(':') {
        message.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    } else if text.parse::<u16>().is_ok() {
        text.clone_into(&mut message.start);
    } else {
        return Err(format!("`{text}` is neither a field, nor a body, nor a status"));
    }
    Ok(())
}

fn expected(message: &mut Expected, text: &str) -> Result<(), String> {
    let (start, _) = times(text);
    if text == "nothing" {
        message.nothing = true;
    } else if let Some(body) = text.strip_prefix('|') {
        message.body.push(body.strip_prefix(' ').unwrap_or(body).to_owned());
    } else if let Some(name) = text.strip_prefix('!') {
        message.has_not.push(name.to_owned());
    } else if is_start(text) || start.parse::<u16>().is_ok() {
        message.start = Some(start.to_owned());
    } else if let Some((name, value)) = text.split_once(':') {
        message.has.push((name.trim().to_owned(), value.trim().to_owned()));
    } else {
        return Err(format!("`{text}` says nothing that can be expected"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_read_with_their_documents_and_steps() {
        let text = "# one\npolicies:\n  - ip: {}   # why\n\n> POST /a?b:c x2\n> x-a: b:c\n> | body\n\
                    = 503\n= x: y\n^ POST /a\n^ !x-a\n\
                    @ 200\n@ | yes\n@ ? GET http\n< 503 x2\n< x: y\n< | b\n$ \"a\"\n\
                    ~ advance 1m\n~ client ::1\n> GET /\n< 200\n\n# two\n> GET /\n^ nothing\n";
        let cases = parse(text).unwrap();
        assert_eq!(cases.len(), 2);
        assert_eq!((cases[0].title.as_str(), cases[1].line), ("one", 24));
        assert!(cases[0].document.contains("- ip: {}"));
        let [Step::Call(call), Step::Advance(time), Step::Client(_), Step::Call(_)] =
            cases[0].steps.as_slice()
        else {
            panic!("{:?}", cases[0].steps);
        };
        assert_eq!((call.times, call.request.start.as_str()), (2, "POST /a?b:c"));
        assert_eq!(call.request.headers, [("x-a".to_owned(), "b:c".to_owned())]);
        assert_eq!(call.request.body, "body");
        assert_eq!(call.answer.start, "503");
        assert_eq!(call.response.start.as_deref(), Some("503"));
        assert_eq!(call.upstream.has_not, ["x-a"]);
        assert_eq!((call.told.start.as_str(), call.told.body.as_str()), ("200", "yes"));
        assert_eq!(call.asked, ["GET http"]);
        assert_eq!(time.as_secs(), 60);
    }

    #[test]
    fn what_can_not_be_read_is_an_error_with_its_line() {
        for (text, line) in [
            ("> GET /\n", "line 1"),
            ("# a\n< 200\n", "line 2"),
            ("# a\n> GET /\npolicies: []\n", "line 3"),
            ("# a\n~ jump 1s\n", "line 2"),
            ("# a\n> GET /\n= what\n", "line 3"),
            ("# a\npolicies: []\n", "line 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(line), "{text}: {error}");
        }
    }
}
