//! A job for a worker process, and the watchdog beside it.

use super::json::{Again, Finding, PageReport, TargetReport};
use super::worker::{Logbook, Message};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Only for the tests of this command: after how many seconds without a line a worker is given up.
const SILENCE_VARIABLE: &str = "LONGSHORE_TEST_SILENCE";

/// After how long without a line a worker is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// More workers than this at a time take too much of somebody's machine.
const MOST_WORKERS: usize = 2;

/// One job.
pub(super) struct Job {
    /// What it is about: the name of a target, the number of a page, or a replay code.
    pub(super) subject: String,
    arguments: Vec<String>,
    /// The plan of a job that runs only one.
    code: Option<String>,
}

/// How a job ended.
pub(super) enum Ended {
    /// The target is checked.
    Target(TargetReport),
    /// The page is observed.
    Page(PageReport),
    /// The run was run again.
    Again(Again),
    /// The worker died or fell silent.
    Lost {
        /// How many runs it had told of.
        scenarios: u64,
        /// What was seen, with the last plan it had announced.
        finding: Finding,
    },
}

impl Job {
    /// Checks a target.
    pub(super) fn target(name: &str, seeds: u64) -> Self {
        Self::new(name, &["--seeds", &seeds.to_string()])
    }

    /// Observes a page.
    pub(super) fn page(number: &str) -> Self {
        Self::new(number, &["--page"])
    }

    /// Runs one run again.
    pub(super) fn again(code: &str) -> Self {
        Self {
            code: Some(code.to_owned()),
            ..Self::new(code, &["--replay"])
        }
    }

    fn new(subject: &str, options: &[&str]) -> Self {
        // The subject comes last, behind a mark that keeps it from being read as an option.
        let parent = std::process::id().to_string();
        let arguments = [&["worker", "--parent", &parent], options, &["--", subject]].concat();
        Self {
            subject: subject.to_owned(),
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            code: None,
        }
    }

    /// Runs the job to its end, whatever becomes of its worker. `progress` is told the number of runs so far.
    pub(super) fn run(&self, progress: &dyn Fn(u64)) -> Ended {
        let logbook = logbook();
        let mut scenarios = 0;
        let how = match self.start(logbook.as_ref()) {
            Ok(mut worker) => match listen(&mut worker, &mut scenarios, progress) {
                Ok(ended) => return ended,
                Err(how) => how,
            },
            Err(error) => format!("the worker process could not be started: {error}"),
        };
        let last = logbook
            .as_ref()
            .and_then(Logbook::read)
            .or_else(|| self.code.clone());
        Ended::Lost {
            scenarios,
            finding: Finding::lost(&how, last),
        }
    }

    fn start(&self, logbook: Option<&File>) -> std::io::Result<Worker> {
        let stdin = logbook.and_then(|file| file.try_clone().ok());
        let mut child = Command::new(std::env::current_exe()?)
            .args(&self.arguments)
            .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                // Nobody listens any more once the worker is given up.
                lines
                    .take_while(|line| sender.send(line.clone()).is_ok())
                    .for_each(drop);
            });
        }
        let words = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut words = Vec::new();
                let _ = stderr.read_to_end(&mut words);
                String::from_utf8_lossy(&words).into_owned()
            })
        });
        Ok(Worker { child, lines, words })
    }
}

/// A worker process. It ends with this value.
struct Worker {
    child: Child,
    lines: Receiver<String>,
    /// What it said on standard error.
    words: Option<thread::JoinHandle<String>>,
}

impl Worker {
    /// Waits until the process is gone, and says how it went.
    fn gone(&mut self) -> String {
        let status = self.child.wait();
        let how = status.map_or_else(|error| error.to_string(), how_it_ended);
        let words = self
            .words
            .take()
            .and_then(|words| words.join().ok())
            .unwrap_or_default();
        match words.lines().rfind(|line| !line.trim().is_empty()) {
            Some(last) => format!("the worker process {how} and said: {}", last.trim()),
            None => format!("the worker process {how}"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and that is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (_, Some(code)) => format!("ended by itself with exit code {code}"),
        _ => "ended".to_owned(),
    }
}

/// Listens until the worker has reported, or says how it was lost.
fn listen(worker: &mut Worker, scenarios: &mut u64, progress: &dyn Fn(u64)) -> Result<Ended, String> {
    let silence = silence();
    loop {
        let line = match worker.lines.recv_timeout(silence) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!(
                    "the worker process said nothing for {} s",
                    silence.as_secs()
                ));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(worker.gone()),
        };
        match serde_json::from_str(&line) {
            Ok(Message::Scenarios(count)) => {
                *scenarios = count;
                progress(count);
            }
            Ok(Message::Target(report)) => return Ok(Ended::Target(report)),
            Ok(Message::Page(report)) => return Ok(Ended::Page(report)),
            Ok(Message::Again(again)) => return Ok(Ended::Again(again)),
            Err(error) => return Err(format!("the worker process said something else: {error}")),
        }
    }
}

fn silence() -> Duration {
    let asked = std::env::var(SILENCE_VARIABLE).ok();
    asked
        .and_then(|seconds| seconds.parse().ok())
        .map_or(SILENCE, Duration::from_secs)
}

/// A file without a name. Without one a lost worker's last plan is unknown.
fn logbook() -> Option<File> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("longshore-{}-{number}.plan", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .ok()?;
    fs::remove_file(&path).ok()?;
    Some(file)
}

/// Runs all jobs, a few at a time. Each result stands where its job stood.
pub(super) fn run_all(
    jobs: &[Job],
    progress: &(dyn Fn(&Job, u64) + Sync),
    done: &(dyn Fn(&Job, &Ended) + Sync),
) -> Vec<Ended> {
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_WORKERS);
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Ended>>> = jobs.iter().map(|_| Mutex::default()).collect();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((job, place)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(index).zip(results.get(index))
                } {
                    let ended = job.run(&|scenarios| progress(job, scenarios));
                    done(job, &ended);
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
                }
            });
        }
    });
    let taken = |place: Mutex<Option<Ended>>| place.into_inner().unwrap_or_else(PoisonError::into_inner);
    let never = || Ended::Lost {
        scenarios: 0,
        finding: Finding::lost("the job was never begun", None),
    };
    results
        .into_iter()
        .map(|place| taken(place).unwrap_or_else(never))
        .collect()
}
