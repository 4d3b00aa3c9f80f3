//! The built program, as it is typed, from its start to its end.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// How often a process is asked for its peak memory, which only ever grows.
const TICK: Duration = Duration::from_millis(1);

/// What a run took.
pub struct Run {
    pub took: Duration,
    pub peak_kib: u64,
}

/// Runs carlens at `home`, which must end well; what it says is `told`.
pub fn run<'a>(
    home: &Path,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    told: impl Into<Stdio>,
) -> Run {
    fs::create_dir_all(home).unwrap();
    let begun = Instant::now();
    let mut carlens = Command::new(env!("CARGO_BIN_EXE_carlens"))
        .env_clear()
        .env("HOME", home)
        .env("HF_HUB_OFFLINE", "1")
        .current_dir(home)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(told)
        .spawn()
        .unwrap();
    let mut peak_kib = 0;
    loop {
        peak_kib = peak_kib.max(self::peak_kib(carlens.id()));
        if let Some(status) = carlens.try_wait().unwrap() {
            assert!(status.success(), "carlens failed: {status}");
            return Run { took: begun.elapsed(), peak_kib };
        }
        thread::sleep(TICK);
    }
}

/// The most memory that a process had at once; 0 where nobody knows.
pub fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}
