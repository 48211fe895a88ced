//! `bff` as a child process that never outlives its test.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use super::PATIENCE;
use super::environment::Env;

/// A running `bff`. Dropping it kills the process and waits for its end.
pub(crate) struct Bff {
    child: Child,
    /// Arguments and environment, for the message of a test that fails.
    started_with: String,
    stdout: Output,
    stderr: Output,
    /// Where relative paths begin: there is no `config/bff.toml`.
    _directory: TempDir,
}

/// How a `bff` ended, and all that it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// One stream of a child, complete up to now.
struct Output {
    text: watch::Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Bff {
    /// Starts `bff serve`.
    pub(crate) fn serve(env: &Env) -> Self {
        Self::start(&[], env, "")
    }

    /// Starts `bff` with these arguments, this environment alone, and `input` on standard input.
    pub(crate) fn start(args: &[&str], env: &Env, input: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_bff"))
            .args(args)
            .env_clear()
            .envs(env.iter())
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Output::capture(child.stdout.take().unwrap());
        let stderr = Output::capture(child.stderr.take().unwrap());
        let mut stdin = child.stdin.take().unwrap();
        // A program that reads nothing may be gone already.
        drop(stdin.write_all(input.as_bytes()));
        Self {
            child,
            started_with: format!("bff {args:?} with {env:?}"),
            stdout,
            stderr,
            _directory: directory,
        }
    }

    /// What it wrote on standard error so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.text.borrow().clone()
    }

    /// Waits until standard error holds `words`; returns the first line with them.
    pub(crate) async fn says(&self, words: &str) -> String {
        let mut text = self.stderr.text.clone();
        let held = text.wait_for(|text| line_with(text, words).is_some());
        match tokio::time::timeout(PATIENCE, held).await.ok() {
            Some(Ok(text)) => line_with(&text, words).unwrap().to_owned(),
            Some(Err(_)) => panic!("ended without saying `{words}`:\n{}", self.log()),
            None => panic!("never said `{words}`:\n{}", self.log()),
        }
    }

    /// Waits until it serves the JWK Set.
    pub(crate) async fn serving(&self) {
        self.says("Serving the JWK Set at").await;
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        self.says(r#""message":"Ready""#).await;
    }

    /// The process, for its entries below `/proc`.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -s {name} {}", self.child.id())])
            .status()
            .unwrap();
        assert!(status.success(), "kill -s {name}");
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(self) -> Ended {
        self.signal("TERM");
        self.ended().await
    }

    /// Ends it at once, as a power failure would.
    pub(crate) async fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(mut self) -> Ended {
        let closed = async {
            for output in [&mut self.stdout, &mut self.stderr] {
                // An error is the end of the stream.
                drop(output.text.wait_for(|_| false).await);
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, closed).await.is_ok();
        assert!(
            in_time,
            "{} does not end:\n{}",
            self.started_with,
            self.log()
        );
        let code = self.child.wait().unwrap().code();
        Ended {
            code,
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
        }
    }
}

impl Drop for Bff {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ended {
    /// Everything that it said.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The messages of the log at `level`, which is `ERROR`, `WARN` and so on.
    pub(crate) fn messages(&self, level: &str) -> Vec<String> {
        messages(&self.stderr, level)
    }

    /// Checks the code of a command and what it says on standard error, which must hold each of
    /// `words`.
    #[track_caller]
    pub(crate) fn is_refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` in {self}");
        }
        assert!(self.stderr.contains("hint: "), "a hint in {self}");
    }

    /// Checks code and the one error that it names, which must hold each of `words`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        let errors = self.messages("ERROR");
        assert_eq!(errors.len(), 1, "one error: {self}");
        for word in words {
            assert!(errors[0].contains(word), "`{word}` in {self}");
        }
        assert!(errors[0].contains("; hint: "), "a hint in {self}");
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit code {:?}\n{}\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// The messages at `level` of a log in JSON.
pub(crate) fn messages(log: &str, level: &str) -> Vec<String> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["level"] == level)
        .map(|event| event["message"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn line_with<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.lines().find(|line| line.contains(words))
}

impl Output {
    fn capture(pipe: impl Read + Send + 'static) -> Self {
        let (sender, text) = watch::channel(String::new());
        let reader = thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            let mut line = Vec::new();
            while lines
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
        });
        Self {
            text,
            reader: Some(reader),
        }
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text.borrow().clone()
    }
}
