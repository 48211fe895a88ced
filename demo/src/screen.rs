//! The output: text wrapped to the width of the terminal, with colours where it has them.

use std::fmt::Display;
use std::io::{self, Write};

use console::{Style, Term, style};
use serde_json::Value;
use textwrap::{Options, WordSplitter};

/// Width in columns where it is not known.
const WIDTH: usize = 80;

/// Where the story is shown.
pub(crate) struct Screen {
    out: Box<dyn Write + Send>,
    width: usize,
    steps: usize,
}

impl Screen {
    /// The standard output of this process.
    pub(crate) fn of_process() -> Self {
        let size = Term::stdout().size_checked();
        let width = size.map_or(WIDTH, |(_, columns)| columns.into());
        // Longer lines are hard to read.
        Self::new(io::stdout(), width.clamp(40, 100))
    }

    /// Any output, and its width in columns.
    pub(crate) fn new(out: impl Write + Send + 'static, width: usize) -> Self {
        let (out, steps) = (Box::new(out), 0);
        Self { out, width, steps }
    }

    /// Shows a line that is not wrapped.
    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// Shows text, wrapped between words. A long URL or key ID stays whole, to be copied.
    /// `first` precedes the first line, `rest` the others.
    pub(crate) fn text(
        &mut self,
        look: &Style,
        first: &str,
        rest: &str,
        text: &str,
    ) -> io::Result<()> {
        let options = Options::new(self.width)
            .initial_indent(first)
            .subsequent_indent(rest)
            .break_words(false)
            .word_splitter(WordSplitter::NoHyphenation);
        for line in textwrap::wrap(text, options) {
            self.line(look.apply_to(line))?;
        }
        Ok(())
    }

    /// Shows a paragraph below a heading.
    pub(crate) fn paragraph(&mut self, text: &str) -> io::Result<()> {
        self.text(&Style::new(), "    ", "    ", text)
    }

    /// Shows a heading after an empty line.
    pub(crate) fn heading(&mut self, heading: &str) -> io::Result<()> {
        self.line(format_args!("\n{}", style(heading).bold()))
    }

    /// Begins the next step.
    pub(crate) fn step(&mut self, title: &str, why: &str) -> io::Result<()> {
        self.steps += 1;
        self.heading(&format!("{:>2}. {title}", self.steps))?;
        self.paragraph(why)?;
        self.line("")
    }

    /// Shows a name and its value.
    pub(crate) fn fact(&mut self, name: &str, value: &str) -> io::Result<()> {
        let name = style(format!("{name:<11}")).cyan();
        self.paragraph(&format!("{name} {value}"))
    }

    /// Shows JSON on one line if it fits, or else a member on each line; `note` follows it.
    pub(crate) fn json(&mut self, value: &Value, note: &str) -> io::Result<()> {
        let margin = " ".repeat(8);
        let pretty = format!("{value:#}{note}");
        let flat: Vec<&str> = pretty.lines().map(str::trim_start).collect();
        let flat = margin.clone() + &flat.join(" ");
        if flat.len() <= self.width {
            return self.line(flat);
        }
        for line in pretty.lines() {
            let text = line.trim_start();
            let first = margin.clone() + &" ".repeat(line.len() - text.len());
            self.text(&Style::new(), &first, &format!("{first}  "), text)?;
        }
        Ok(())
    }
}
