//! JSON in few lines.

use serde_json::{Map, Value};

use crate::screen::{Line, Style};

/// What stands in place of a secret.
const MASK: &str = "***";

/// Lays a value out behind `start`, in lines of `width` columns where that can be: what fits
/// into the rest of a line stays there.
pub(crate) fn lay_out(value: &Value, start: Line, width: usize) -> Vec<Line> {
    let mut page = Page {
        lines: Vec::new(),
        line: start,
        width,
    };
    page.put(value, 0);
    page.lines.push(page.line);
    page.lines
}

/// The named members of an object in that order, those that are there; and how many others
/// there are.
pub(crate) fn pick(value: &Value, names: &[&str]) -> (Value, usize) {
    let Value::Object(members) = value else {
        return (value.clone(), 0);
    };
    let picked: Map<String, Value> = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), members.get(*name)?.clone())))
        .collect();
    let others = members.len() - picked.len();
    (Value::Object(picked), others)
}

struct Page {
    lines: Vec<Line>,
    line: Line,
    width: usize,
}

impl Page {
    /// Adds a value, and keeps `after` columns free behind it.
    fn put(&mut self, value: &Value, after: usize) {
        let flat = flat(value);
        if self.line.width() + flat.width() + after <= self.width {
            self.append(flat);
            return;
        }
        match value {
            Value::Object(members) => {
                self.line.push(Style::Faint, "{ ");
                let column = self.line.width();
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        self.next_line(column);
                    }
                    self.member(name, value, column);
                }
                self.line.push(Style::Faint, " }");
            }
            Value::Array(values) => {
                self.line.push(Style::Faint, "[ ");
                let column = self.line.width();
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        self.next_line(column);
                    }
                    self.put(value, 2);
                }
                self.line.push(Style::Faint, " ]");
            }
            _ => self.append(flat),
        }
    }

    fn member(&mut self, name: &str, value: &Value, column: usize) {
        let label = quoted(name);
        let text = flat(value).width() + 2;
        let here = self.line.width() + label.chars().count() + 2;
        self.line.push(Style::Name, label);
        self.line.push(Style::Faint, ": ");
        // A long text on a line of its own is still one piece to copy.
        if value.is_string() && here + text > self.width && column + 2 < here {
            self.end_line(column + 2);
        }
        self.put(value, 2);
    }

    fn next_line(&mut self, column: usize) {
        self.line.push(Style::Faint, ",");
        self.end_line(column);
    }

    fn end_line(&mut self, column: usize) {
        let line = std::mem::replace(&mut self.line, Line::indented(column));
        self.lines.push(line);
    }

    fn append(&mut self, line: Line) {
        self.line.extend(line);
    }
}

/// A value on one line.
fn flat(value: &Value) -> Line {
    match value {
        Value::Object(members) if members.is_empty() => Line::default().with(Style::Faint, "{}"),
        Value::Object(members) => {
            let mut line = Line::default().with(Style::Faint, "{ ");
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    line.push(Style::Faint, ", ");
                }
                line.push(Style::Name, quoted(name));
                line.push(Style::Faint, ": ");
                line.extend(flat(value));
            }
            line.with(Style::Faint, " }")
        }
        Value::Array(values) => {
            let mut line = Line::default().with(Style::Faint, "[");
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    line.push(Style::Faint, ", ");
                }
                line.extend(flat(value));
            }
            line.with(Style::Faint, "]")
        }
        Value::String(text) if text == MASK => Line::default().with(Style::Masked, quoted(text)),
        other => Line::default().plain(other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_stays_on_its_line_and_the_rest_is_aligned() {
        let value = json!({"a": {"b": 1}, "list": ["one", "two"], "name": "long-enough"});

        assert_eq!(text(&value, 80).len(), 1);
        assert_eq!(
            text(&value, 24),
            [
                r#"  { "a": { "b": 1 },"#,
                r#"    "list": [ "one","#,
                r#"              "two" ],"#,
                r#"    "name": "#,
                r#"      "long-enough" }"#,
            ]
        );
    }

    #[test]
    fn members_are_picked_in_order_and_the_others_counted() {
        let (picked, others) = pick(&json!({"a": 1, "b": 2, "c": 3}), &["c", "x", "a"]);

        assert_eq!(picked.to_string(), r#"{"c":3,"a":1}"#);
        assert_eq!(others, 1);
    }

    fn text(value: &Value, width: usize) -> Vec<String> {
        lay_out(value, Line::indented(2), width)
            .iter()
            .map(Line::text)
            .collect()
    }
}
