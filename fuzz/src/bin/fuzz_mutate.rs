//! Replays every corpus, and mutates it for some seconds: on a stable toolchain, not guided by
//! coverage.
//!
//! Each target runs in a process of its own, so that a stack overflow and an endless loop are found
//! like a panic. The input under test is in a file, which stays if it was the last one.

use std::error::Error;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bff_fuzz::mutation::Mutator;
use bff_fuzz::{TARGETS, Target};

const USAGE: &str = "\
usage: fuzz-mutate [--seconds N] [--seed N] [TARGET ...]
       fuzz-mutate --replay TARGET FILE";

/// How long one target may take beyond its time: more is an input that does not come to an end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Targets that also get fixtures of the tests: below `tests/fixtures`, files that end so.
const FIXTURES: [(&str, &str, &str); 2] = [
    ("key_import", "keys", ".pem"),
    ("state_document", "state-v1", "state.json"),
];

/// Longer files make mutations slow, and add nothing.
const LONGEST: usize = 4 * 1024;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Options {
    seconds: u64,
    seed: u64,
    names: Vec<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--replay", name, file] => replay(name, Path::new(file)),
        ["--one", name, seconds, seed] => one(name, seconds, seed),
        words => options(words).and_then(|options| all(&options)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(64)
        }
    }
}

fn options(words: &[&str]) -> Result<Options> {
    let mut options = Options {
        seconds: 5,
        seed: RandomState::new().hash_one(0),
        names: Vec::new(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = || -> Result<u64> { Ok(words.next().ok_or(USAGE)?.parse()?) };
        match *word {
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            name if name.starts_with('-') => return Err(USAGE.into()),
            name => options.names.push(named(name)?.0.to_owned()),
        }
    }
    if options.names.is_empty() {
        every_target_has_its_files()?;
        options.names = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    }
    Ok(options)
}

/// A target that is in one place and not in the others would be left out in silence.
fn every_target_has_its_files() -> Result<()> {
    let mut expected: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    expected.sort();
    for folder in ["fuzz_targets", "corpus"] {
        let mut found = Vec::new();
        for entry in fs::read_dir(home().join(folder))? {
            let path = entry?.path();
            found.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
        found.sort();
        if found != expected {
            return Err(
                format!("fuzz/{folder} has {found:?}, and the targets are {expected:?}").into(),
            );
        }
    }
    Ok(())
}

fn all(options: &Options) -> Result<bool> {
    let (mut ran, mut executions, mut failed) = (0, 0, Vec::new());
    for name in &options.names {
        match watched(name, options)? {
            Some(count) => {
                ran += 1;
                executions += count;
            }
            None => failed.push(name.as_str()),
        }
    }
    println!(
        "{ran} fuzz targets, {executions} executions, seed {}",
        options.seed
    );
    if !failed.is_empty() {
        println!("FAILED: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

/// Runs one target in a process of its own; none if an input has failed.
fn watched(name: &str, options: &Options) -> Result<Option<u64>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            "--one",
            name,
            &options.seconds.to_string(),
            &options.seed.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let deadline = Instant::now() + Duration::from_secs(options.seconds) + PATIENCE;
    let ended = AtomicBool::new(false);
    let (status, count) = thread::scope(|scope| -> Result<_> {
        let reader = scope.spawn(|| {
            let mut count = None;
            for line in BufReader::new(output)
                .lines()
                .map_while(std::result::Result::ok)
            {
                if let Some(number) = line.strip_prefix("executions ") {
                    count = number.parse::<u64>().ok();
                } else {
                    println!("{line}");
                }
            }
            ended.store(true, Ordering::Release);
            count
        });
        while !ended.load(Ordering::Acquire) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        if !ended.load(Ordering::Acquire) {
            println!("{name}: an input does not come to an end");
            child.kill()?;
        }
        let status = child.wait()?;
        Ok((status, reader.join().ok().flatten()))
    })?;
    let count = count.filter(|count| status.success() && *count > 0);
    if count.is_none() {
        report(name, &status.to_string())?;
    }
    Ok(count)
}

/// Keeps the input that failed under a name of its own, and says how to see it again.
fn report(name: &str, status: &str) -> Result<()> {
    let running = running(name);
    let input = fs::read(&running)?;
    let digest = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let kept = home()
        .join("artifacts")
        .join(name)
        .join(format!("crash-{digest:016x}"));
    fs::rename(&running, &kept)?;
    println!(
        "{name}: FAILED ({status}) on {} bytes; see it again with:\n  \
         fuzz/run --replay {name} {}",
        input.len(),
        kept.display()
    );
    Ok(())
}

fn one(name: &str, seconds: &str, seed: &str) -> Result<bool> {
    let (name, target) = named(name)?;
    let until = Instant::now() + Duration::from_secs(seconds.parse()?);
    let corpus = corpus(name)?;
    let running = running(name);
    fs::create_dir_all(running.parent().ok_or("no folder")?)?;
    let file = File::create(&running)?;
    let mut executions: u64 = 0;
    let mut run = |input: &[u8]| -> Result<()> {
        file.set_len(0)?;
        file.write_all_at(input, 0)?;
        target(input);
        executions += 1;
        Ok(())
    };
    for input in &corpus {
        run(input)?;
    }
    let mut mutator = Mutator::new(&corpus, seed.parse()?);
    while Instant::now() < until {
        run(&mutator.input())?;
    }
    fs::remove_file(&running)?;
    println!(
        "{name}: {} files of the corpus, {executions} executions",
        corpus.len()
    );
    println!("executions {executions}");
    Ok(true)
}

fn replay(name: &str, file: &Path) -> Result<bool> {
    let (_, target) = named(name)?;
    target(&fs::read(file)?);
    println!("{name}: {} passes", file.display());
    Ok(true)
}

fn named(name: &str) -> Result<(&'static str, Target)> {
    let found = TARGETS.into_iter().find(|(known, _)| *known == name);
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    found.ok_or_else(|| format!("no target `{name}`; there are {}", names.join(", ")).into())
}

/// The files of the corpus, and the fixtures of the tests that are of the same kind.
fn corpus(name: &str) -> Result<Vec<Vec<u8>>> {
    let mut paths = files(&home().join("corpus").join(name))?;
    if paths.is_empty() {
        return Err(format!("fuzz/corpus/{name} is empty").into());
    }
    for (_, fixtures, ending) in FIXTURES.iter().filter(|(target, ..)| *target == name) {
        let found = files(&home().join("../tests/fixtures").join(fixtures))?;
        let before = paths.len();
        paths.extend(
            found
                .into_iter()
                .filter(|path| path.to_string_lossy().ends_with(ending)),
        );
        if paths.len() == before {
            return Err(format!("tests/fixtures/{fixtures} has no {ending}").into());
        }
    }
    let mut inputs: Vec<_> = paths
        .into_iter()
        .map(fs::read)
        .collect::<std::io::Result<_>>()?;
    inputs.retain(|input: &Vec<u8>| input.len() < LONGEST);
    Ok(inputs)
}

/// The files below a directory, in order.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Where the input under test is.
fn running(name: &str) -> PathBuf {
    home().join("artifacts").join(name).join("running")
}

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
