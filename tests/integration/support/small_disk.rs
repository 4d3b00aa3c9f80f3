//! A small disk, which only root may mount; gone when dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where it is mounted.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None, with a reason printed, where mounting is not allowed.
    #[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
    pub fn mount(folder: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let options = ["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"];
        if !run(Command::new("mount").args(options).arg(folder)) {
            eprintln!("skipped: mounting a small disk takes root");
            return None;
        }
        Some(Self(folder.to_owned()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves room for `left` bytes; again with another number for more.
    pub fn fill(&self, left: u64) {
        let filler = self.0.join("filler");
        // Fails for want of room, having taken what there was.
        fs::write(&filler, vec![1; 10 << 20]).unwrap_err();
        let length = fs::metadata(&filler).unwrap().len();
        File::options().write(true).open(&filler).unwrap().set_len(length - left).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

fn run(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
