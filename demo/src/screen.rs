//! What the audience sees: lines of a width, in a few styles.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use bff::config::Env;

/// Column at which what belongs to a step begins.
pub(crate) const INDENT: usize = 4;

/// Widest line, in columns: longer ones are hard to read.
const WIDEST: usize = 104;
/// Narrowest width that is laid out for, in columns.
const NARROWEST: usize = 48;
/// Width where it is not known, in columns.
const USUAL: usize = 80;
/// Time to read a step before the next one happens.
const PAUSE: Duration = Duration::from_millis(400);

/// How a piece of text looks; readable on light and on dark ground.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    /// As it comes.
    Plain,
    /// A heading.
    Strong,
    /// Beside the point.
    Faint,
    /// All is well.
    Good,
    /// Somebody should look.
    Bad,
    /// A name: of a member, of a setting.
    Name,
    /// In place of a secret.
    Masked,
}

/// A line in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Vec<(Style, String)>);

/// Where the story is shown.
pub(crate) struct Screen {
    out: Box<dyn Write + Send>,
    width: usize,
    colour: bool,
    /// Whether somebody watches, who needs time to read.
    watched: bool,
    steps: usize,
}

impl Line {
    /// A line that begins with `columns` spaces.
    pub(crate) fn indented(columns: usize) -> Self {
        Self::default().plain(" ".repeat(columns))
    }

    /// Adds text in a style.
    pub(crate) fn push(&mut self, style: Style, text: impl Into<String>) {
        self.0.push((style, text.into()));
    }

    /// Adds text in a style.
    pub(crate) fn with(mut self, style: Style, text: impl Into<String>) -> Self {
        self.push(style, text);
        self
    }

    /// Adds plain text.
    pub(crate) fn plain(self, text: impl Into<String>) -> Self {
        self.with(Style::Plain, text)
    }

    /// Columns so far.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// Adds another line's text.
    pub(crate) fn extend(&mut self, line: Self) {
        self.0.extend(line.0);
    }

    /// The text without its styles.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }
}

impl Screen {
    /// The standard output of this process.
    pub(crate) fn of_process(once: bool) -> Self {
        let env = Env::process();
        let terminal = io::stdout().is_terminal();
        let plain = env.get("NO_COLOR").is_some() || env.get("TERM").is_none_or(|t| t == "dumb");
        let columns = rustix::termios::tcgetwinsize(io::stdout())
            .ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0);
        Self {
            out: Box::new(io::stdout()),
            width: columns.unwrap_or(USUAL).clamp(NARROWEST, WIDEST),
            colour: terminal && !plain,
            watched: terminal && !once,
            steps: 0,
        }
    }

    /// A screen without colours that nobody watches.
    #[cfg(test)]
    pub(crate) fn to(out: impl Write + Send + 'static, width: usize) -> Self {
        Self {
            out: Box::new(out),
            width,
            colour: false,
            watched: false,
            steps: 0,
        }
    }

    /// Columns to lay out for.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether somebody watches, who may want to click.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Shows a line.
    pub(crate) fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = String::new();
        for (style, span) in &line.0 {
            match style.sgr().filter(|_| self.colour) {
                Some(sgr) => text.extend(["\x1b[", sgr, "m", span, "\x1b[0m"]),
                None => text.push_str(span),
            }
        }
        writeln!(self.out, "{}", text.trim_end())?;
        self.out.flush()
    }

    /// Shows an empty line.
    pub(crate) fn blank(&mut self) -> io::Result<()> {
        self.line(&Line::default())
    }

    /// Shows text, broken at spaces.
    pub(crate) fn text(&mut self, indent: usize, style: Style, text: &str) -> io::Result<()> {
        for part in wrap(text, self.width.saturating_sub(indent)) {
            self.line(&Line::indented(indent).with(style, part))?;
        }
        Ok(())
    }

    /// Begins a step, once there was time to read the one before.
    pub(crate) async fn step(&mut self, title: &str, why: &str) -> io::Result<()> {
        if self.watched {
            tokio::time::sleep(PAUSE).await;
        }
        self.steps += 1;
        self.blank()?;
        let number = format!("{:>2}", self.steps);
        self.line(
            &Line::default()
                .with(Style::Good, number)
                .plain("  ")
                .with(Style::Strong, title),
        )?;
        self.text(INDENT, Style::Plain, why)?;
        self.blank()
    }

    /// Shows a heading across the screen.
    pub(crate) fn rule(&mut self, title: &str) -> io::Result<()> {
        let rest = self.width.saturating_sub(title.chars().count() + 4);
        self.line(
            &Line::default()
                .with(Style::Faint, "── ")
                .with(Style::Strong, title)
                .plain(" ")
                .with(Style::Faint, "─".repeat(rest)),
        )
    }

    /// Shows a heading of its own.
    pub(crate) fn heading(&mut self, title: &str) -> io::Result<()> {
        self.blank()?;
        self.line(&Line::indented(1).with(Style::Strong, title))
    }

    /// Shows a name and what it stands for.
    pub(crate) fn fact(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.line(
            &Line::indented(INDENT)
                .with(Style::Name, format!("{name:<11}"))
                .plain(" ")
                .plain(value),
        )
    }

    /// Shows what `bff` says in its log.
    pub(crate) fn logged(&mut self, well: bool, message: &str) -> io::Result<()> {
        let style = if well { Style::Faint } else { Style::Bad };
        let mut margin = "┊ ";
        for part in wrap(message, self.width.saturating_sub(INDENT + 4)) {
            let line = Line::indented(INDENT)
                .with(Style::Faint, margin)
                .with(style, part);
            self.line(&line)?;
            margin = "┊   ";
        }
        Ok(())
    }
}

impl Style {
    /// The parameters of the escape sequence (ECMA-48 SGR).
    fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("1;32"),
            Self::Bad => Some("31"),
            Self::Name => Some("36"),
            Self::Masked => Some("35"),
        }
    }
}

/// Tells on standard error why the demonstration failed.
#[expect(clippy::print_stderr, reason = "there is no screen to show it on")]
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// Breaks text at spaces; a word that is longer than a line stays whole, so that it can be
/// copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else {
            continue;
        };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_and_a_long_word_stays_whole() {
        let lines = wrap("one two http://127.0.0.1/a-long-one three", 10);

        assert_eq!(lines, ["one two", "http://127.0.0.1/a-long-one", "three"]);
    }
}
