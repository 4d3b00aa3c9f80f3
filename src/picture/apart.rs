//! Decoding in a process apart: a decoder that aborts or wants all the memory
//! there is takes nobody along.
//!
//! The process is this program once more, with [`ARGUMENT`] alone. From its
//! standard input it reads the length of a file (8 bytes, the least significant
//! first) and the file. To its standard output it writes [`GREETING`] as soon as
//! it has lowered its limits; then the length of an [`Answer`] (4 bytes), the
//! answer in JSON and, of a picture, the pixels: 8 bits a channel, row by row,
//! upright. That is the end. Whoever started it trusts none of it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use image::{DynamicImage, RgbImage, RgbaImage};
use serde::{Deserialize, Serialize};

use super::{Decoded, Error, MAX_FILE_BYTES, MAX_WORKING_BYTES, avif, heif, within_limits};
use crate::domain::Printable;

/// What the program is started with, and what nobody would type.
const ARGUMENT: &str = "--decode-a-picture-from-standard-input";

/// What comes first from a decoder of this version.
const GREETING: &[u8] = concat!("carlens ", env!("CARGO_PKG_VERSION"), " decodes\n").as_bytes();

/// No answer is longer.
const MAX_ANSWER_BYTES: u32 = 4096;

/// How long an answer is waited for: ten times what the largest pictures take
/// on a slow machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// Seconds of a processor that a decoder may take, should nobody be left to end
/// it.
const MAX_PROCESSOR_SECONDS: u64 = 300;

/// The program that decodes apart, if one does.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// From now on, what a decoder might break down over is decoded by `program`,
/// an executable that calls [`serve`] when [`is_asked`] says so. Without one, it
/// is decoded within this process. The first one stays.
pub fn decode_apart(program: PathBuf) {
    // A second one comes from a test beside the first.
    let _ = PROGRAM.set(program);
}

/// The program that is running, by a name that stays its own even if an upgrade
/// has put another one in its place; where the system knows no such name, by
/// its path.
///
/// # Errors
/// If the system does not know its path.
pub fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe()
}

/// Whether this process was started to decode one picture, by the arguments
/// after its own name.
pub fn is_asked(mut arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.next().is_some_and(|one| one == ARGUMENT) && arguments.next().is_none()
}

/// What the process apart does: lowers its limits, reads one file and answers.
///
/// Its whole memory is then limited to 1 GiB, the time of a processor to five
/// minutes, it leaves no core dump, and it ends when the thread that started it
/// does: each where the system can.
///
/// # Errors
/// If the other side has gone, or is not the one that is expected.
pub fn serve(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    lower_limits();
    answer(&mut from, &mut to)
}

fn answer(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    to.write_all(GREETING)?;
    to.flush()?;
    let bytes = read_file(from)?;
    let decoded = avif::decode(&bytes);
    drop(bytes);
    let (answer, pixels) = match decoded {
        Ok(Decoded { picture, .. }) => {
            let (width, height) = (picture.width(), picture.height());
            let has_alpha = picture.color().has_alpha();
            (Answer::Picture { width, height, has_alpha }, picture.into_bytes())
        }
        Err(error) => (Answer::from(&error), Vec::new()),
    };
    let answer = serde_json::to_vec(&answer)?;
    to.write_all(&u32::try_from(answer.len()).map_err(io::Error::other)?.to_le_bytes())?;
    to.write_all(&answer)?;
    to.write_all(&pixels)?;
    to.flush()
}

fn read_file(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length).min(MAX_FILE_BYTES);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).map_err(io::Error::other)?)?;
    from.take(length).read_to_end(&mut bytes)?;
    // Whoever sends less has died over it.
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Whatever the system does not let us lower stays as it is.
fn lower_limits() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let lower = |resource, to: u64, at_last: u64| {
            let most = getrlimit(resource).maximum.map_or(at_last, |most| most.min(at_last));
            let limits = Rlimit { current: Some(most.min(to)), maximum: Some(most) };
            let _ = setrlimit(resource, limits);
        };
        lower(Resource::Core, 0, 0);
        // The signal that comes first says why, which the last one does not.
        lower(Resource::Cpu, MAX_PROCESSOR_SECONDS, MAX_PROCESSOR_SECONDS + 5);
        lower(Resource::As, MAX_WORKING_BYTES, MAX_WORKING_BYTES);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};

        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
}

/// What is said of one file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Answer {
    Picture {
        width: u32,
        height: u32,
        /// Whether a pixel has four bytes and not three.
        has_alpha: bool,
    },
    TooLarge {
        width: u32,
        height: u32,
    },
    TooMuchMemory,
    /// The name of a format.
    Unsupported(String),
    /// Why.
    Damaged(String),
}

impl From<&Error> for Answer {
    fn from(error: &Error) -> Self {
        match error {
            Error::TooLarge { width, height } => Self::TooLarge { width: *width, height: *height },
            Error::TooMuchMemory => Self::TooMuchMemory,
            Error::Unsupported(name) => Self::Unsupported((*name).into()),
            Error::Damaged(why) => Self::Damaged(why.clone()),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<Answer> for Error {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::TooLarge { width, height } => Self::TooLarge { width, height },
            Answer::TooMuchMemory => Self::TooMuchMemory,
            Answer::Unsupported(name) => {
                let known = heif::UNSUPPORTED.into_iter().find(|known| *known == name);
                known.map_or_else(Self::gave_up, Self::Unsupported)
            }
            Answer::Damaged(why) => Self::Damaged(Printable::new(&why).to_string()),
            Answer::Picture { .. } => Self::gave_up(),
        }
    }
}

/// Decodes an AVIF file, apart if there is a program that does.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    match PROGRAM.get() {
        Some(program) => {
            let mut command = Command::new(program);
            command.arg(ARGUMENT);
            decode_by(command, bytes, PATIENCE)
        }
        None => avif::decode(bytes),
    }
}

/// Decodes an AVIF file by what `command` starts, which is ended if it has not
/// answered in time, and in any case at last.
///
/// # Errors
/// As the answer says. A process that ends before it has answered, or answers
/// what makes no sense, has given up over the file, unless it was ended by
/// another one or had no memory to begin with; one that does not even greet has
/// not started.
fn decode_by(mut command: Command, bytes: &[u8], patience: Duration) -> Result<Decoded, Error> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // What is typed at the terminal is for the one that waits.
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;

        // It has no use for a token, say.
        command.env_clear().process_group(0);
    }
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt;

        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        command.creation_flags(CREATE_NO_WINDOW);
    }
    thread::scope(|scope| {
        let mut process = Process(command.spawn().map_err(Error::NoDecoder)?);
        let (Some(mut to), Some(mut from)) = (process.0.stdin.take(), process.0.stdout.take())
        else {
            return Err(Error::gave_up());
        };
        let (answer, answered) = mpsc::channel();
        let start = |name: &str| thread::Builder::new().name(name.into());
        // What it does not read, it will answer for.
        let send = move || drop(write_file(&mut to, bytes));
        start("file-to-decoder").spawn_scoped(scope, send).map_err(Error::NoDecoder)?;
        // If nobody waits any more, nobody needs to know.
        let receive = move || drop(answer.send(read_answer(&mut from)));
        start("decoder").spawn_scoped(scope, receive).map_err(Error::NoDecoder)?;
        let answer = wait(&answered, patience).unwrap_or_else(|| Err(Error::gave_up().into()));
        answer.map_err(|unanswered| match unanswered {
            Unanswered::Error(Error::TooMuchMemory) | Unanswered::BrokenOff
                if is_short_of_memory() =>
            {
                Error::DecoderEnded
            }
            Unanswered::Error(error) => error,
            Unanswered::BrokenOff => match process.end() {
                Ok(status) if !was_ended(status) => Error::gave_up(),
                _ => Error::DecoderEnded,
            },
        })
        // The process is ended here, and with it both threads.
    })
}

/// Why there is no picture.
#[derive(Debug)]
enum Unanswered {
    /// The answer says so, or makes no sense.
    Error(Error),
    /// The process has ended in the middle.
    BrokenOff,
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Whether a process had no part in its own end: a decoder that breaks down
/// gets other signals than one that is told to go, by the system as well.
#[cfg(unix)]
fn was_ended(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    let own = [
        Signal::ABORT,
        Signal::BUS,
        Signal::FPE,
        Signal::ILL,
        Signal::SEGV,
        Signal::SYS,
        Signal::TRAP,
        Signal::XCPU,
    ];
    status.signal().is_some_and(|signal| !own.map(Signal::as_raw).contains(&signal))
}

#[cfg(not(unix))]
fn was_ended(_: ExitStatus) -> bool {
    false
}

/// Whether a process started by this one may not have the memory that is given
/// to a picture.
fn is_short_of_memory() -> bool {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};

        let is_short =
            |resource| getrlimit(resource).maximum.is_some_and(|m| m < MAX_WORKING_BYTES);
        is_short(Resource::As) || is_short(Resource::Data)
    }
    #[cfg(not(unix))]
    false
}

fn write_file(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)
}

/// `None` if nothing came in time. In steps, so that the hours for which this
/// process is stopped count as one.
fn wait<T>(answered: &Receiver<T>, patience: Duration) -> Option<T> {
    const STEPS: u32 = 100;
    for _ in 0..STEPS {
        match answered.recv_timeout(patience / STEPS) {
            Err(RecvTimeoutError::Timeout) => {}
            answer => return answer.ok(),
        }
    }
    None
}

/// Never waits for more than can be a picture within limits.
fn read_answer(from: &mut impl Read) -> Result<Decoded, Unanswered> {
    let mut greeting = [0; GREETING.len()];
    match from.read_exact(&mut greeting) {
        Ok(()) if greeting == GREETING => {}
        Ok(()) => return Err(Error::NoDecoder(io::Error::other("it is another program")).into()),
        Err(_) => return Err(Error::NoDecoder(io::Error::other("it says nothing")).into()),
    }
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(|_| Unanswered::BrokenOff)?;
    let length = u32::from_le_bytes(length).min(MAX_ANSWER_BYTES);
    let answer = read_to(from, length.into())?;
    match serde_json::from_slice(&answer).map_err(|_| Error::gave_up())? {
        Answer::Picture { width, height, has_alpha } => {
            read_picture(from, width, height, has_alpha)
        }
        other => Err(Error::from(other).into()),
    }
}

/// The next `length` bytes.
fn read_to(from: &mut impl Read, length: u64) -> Result<Vec<u8>, Unanswered> {
    let count = usize::try_from(length).map_err(|_| Error::TooMuchMemory)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(count).map_err(|_| Error::TooMuchMemory)?;
    match from.take(length).read_to_end(&mut bytes) {
        Ok(read) if read == count => Ok(bytes),
        _ => Err(Unanswered::BrokenOff),
    }
}

fn read_picture(
    from: &mut impl Read,
    width: u32,
    height: u32,
    has_alpha: bool,
) -> Result<Decoded, Unanswered> {
    let channels = if has_alpha { 4 } else { 3 };
    let length = (u64::from(width) * u64::from(height)).saturating_mul(channels);
    within_limits(width, height, length)?;
    let pixels = read_to(from, length)?;
    let picture: Option<DynamicImage> = if has_alpha {
        RgbaImage::from_raw(width, height, pixels).map(Into::into)
    } else {
        RgbImage::from_raw(width, height, pixels).map(Into::into)
    };
    // A side of zero is no picture, and more than the picture is another one.
    let is_sound = length > 0 && matches!(from.read(&mut [0]), Ok(0));
    let picture = picture.filter(|_| is_sound).ok_or_else(Error::gave_up)?;
    Ok(Decoded::whole(picture))
}

/// Ends with the one that waits for it.
struct Process(Child);

impl Process {
    /// How it has ended, be it now.
    fn end(&mut self) -> io::Result<ExitStatus> {
        // It may have ended by itself.
        let _ = self.0.kill();
        self.0.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a process sends, a picture's pixels included.
    fn sent(answer: &Answer, pixels: &[u8]) -> Vec<u8> {
        let answer = serde_json::to_vec(answer).unwrap();
        let length = u32::try_from(answer.len()).unwrap().to_le_bytes();
        [&length, answer.as_slice(), pixels].concat()
    }

    /// Where the process has ended by itself.
    fn read(mut answer: &[u8]) -> Result<Decoded, Error> {
        read_answer(&mut answer).map_err(|unanswered| match unanswered {
            Unanswered::Error(error) => error,
            Unanswered::BrokenOff => Error::gave_up(),
        })
    }

    fn picture(width: u32, height: u32, has_alpha: bool) -> Answer {
        Answer::Picture { width, height, has_alpha }
    }

    #[test]
    fn only_the_one_argument_asks_for_decoding() {
        let asks = |arguments: &[&str]| is_asked(arguments.iter().map(Into::into));
        assert!(asks(&[ARGUMENT]));
        assert!(!asks(&[]) && !asks(&[ARGUMENT, "x"]) && !asks(&["search", ARGUMENT]));
    }

    #[test]
    fn what_is_decoded_apart_is_what_is_decoded_here() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/decoded/");
        for name in ["alpha.avif", "10-bit.avif", "turned-6.avif"] {
            let bytes = std::fs::read(format!("{folder}{name}")).unwrap();
            for bytes in [bytes.as_slice(), &bytes[..bytes.len() - 100]] {
                let (mut file, mut answered) = (Vec::new(), Vec::new());
                write_file(&mut file, bytes).unwrap();
                answer(&mut file.as_slice(), &mut answered).unwrap();
                let apart = read(&answered).map(|decoded| decoded.picture);
                let here = avif::decode(bytes).map(|decoded| decoded.picture);
                assert_eq!(format!("{apart:?}"), format!("{here:?}"), "{name}");
            }
        }
    }

    #[test]
    fn what_is_wrong_arrives_as_it_was_said() {
        let errors = [
            Error::TooLarge { width: 65_535, height: 1 },
            Error::TooMuchMemory,
            Error::Unsupported(heif::UNSUPPORTED[1]),
            Error::ends_too_early(),
        ];
        for error in errors {
            let answer = [GREETING, &sent(&Answer::from(&error), &[])].concat();
            assert_eq!(read(&answer).unwrap_err().to_string(), error.to_string());
        }
    }

    #[test]
    fn a_text_cannot_harm_the_terminal() {
        let answer = sent(&Answer::Damaged("\u{1b}[2J".into()), &[]);
        let read = read(&[GREETING, &answer].concat()).unwrap_err();
        assert_eq!(read.to_string(), "is damaged: \\u{1b}[2J");
    }

    #[test]
    fn what_is_no_answer_is_not_believed() {
        let many = Answer::Damaged("x".repeat(5000));
        let answers: [(&str, Vec<u8>); 9] = [
            ("nothing", Vec::new()),
            ("half a length", vec![9, 0]),
            ("no JSON", b"\x04\0\0\0what".to_vec()),
            ("a long answer", sent(&many, &[])),
            ("an unknown format", sent(&Answer::Unsupported("\u{7}".into()), &[])),
            ("no pixels", sent(&picture(0, 7, false), &[])),
            ("too few", sent(&picture(2, 1, true), &[0; 7])),
            ("too many", sent(&picture(2, 1, false), &[0; 7])),
            ("an endless length", vec![0xff; 5000]),
        ];
        for (name, answer) in answers {
            let read = read(&[GREETING, &answer].concat());
            assert_eq!(read.unwrap_err().to_string(), Error::gave_up().to_string(), "{name}");
        }
        let huge = [GREETING, &sent(&picture(u32::MAX, u32::MAX, true), &[])].concat();
        assert!(matches!(read(&huge), Err(Error::TooLarge { .. })));
    }

    /// Programs that break down are shell scripts here.
    #[cfg(unix)]
    mod programs {
        use rustix::process::{Pid, test_kill_process};

        use super::*;

        /// Does `what`; `$1` is the greeting, and `$2` the answer that a
        /// picture of two pixels has, for `printf`.
        fn shell(what: &str) -> Command {
            let octal = |bytes: &[u8]| -> String {
                let octal = bytes.iter().map(|byte| format!("\\{byte:03o}"));
                octal.collect::<Vec<_>>().concat()
            };
            let answer = octal(&sent(&picture(2, 1, false), &[1, 2, 3, 4, 5, 6]));
            let mut command = Command::new("/bin/sh");
            command.args(["-c", what, "sh", &octal(GREETING), &answer]);
            command
        }

        #[test]
        fn a_program_that_breaks_down_has_given_up_over_the_picture() {
            for what in [
                "printf $1; kill -ABRT $$",
                "printf $1; kill -SEGV $$",
                "printf $1; kill -XCPU $$",
                "printf $1; exit 0",
                "printf $1; printf 'what is this?'",
                "printf $1; printf $2 | head -c 40; kill -ABRT $$",
                "printf $1; printf $2; printf more",
                "printf $1; exec cat /dev/zero",
                "printf $1; printf $2; exec cat /dev/zero",
            ] {
                let error = decode_by(shell(what), b"file", PATIENCE).unwrap_err();
                assert_eq!(error.to_string(), "is damaged: its decoder gave up", "{what}");
                assert!(error.lasts(), "{what}");
            }
        }

        #[test]
        fn a_program_that_is_ended_leaves_the_picture_for_another_time() {
            for what in [
                "printf $1; kill -KILL $$",
                "printf $1; kill -TERM $$",
                "printf $1; printf $2 | head -c 40; kill -TERM $$",
                "printf $1; printf $2 | head -c 58; kill -KILL $$",
            ] {
                let error = decode_by(shell(what), b"file", PATIENCE).unwrap_err();
                assert!(matches!(error, Error::DecoderEnded), "{what}: {error}");
                assert!(!error.lasts() && !error.is_absence(), "{what}");
            }
        }

        #[test]
        fn a_program_that_never_answers_is_ended() {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("pid");
            let mut command = shell("echo $$ > $3; printf $1; exec sleep 100000");
            command.arg(&file);
            let error = decode_by(command, b"file", Duration::from_secs(1)).unwrap_err();
            assert_eq!(error.to_string(), "is damaged: its decoder gave up");
            let pid = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
            assert!(test_kill_process(Pid::from_raw(pid).unwrap()).is_err());
        }

        #[test]
        fn a_file_that_is_not_read_keeps_nobody_waiting() {
            let file = vec![0; 1 << 20];
            let decoded = decode_by(shell("printf $1; printf $2"), &file, PATIENCE).unwrap();
            assert_eq!(decoded.picture.as_bytes(), [1, 2, 3, 4, 5, 6]);
        }

        /// What is typed at the terminal goes to a group of processes.
        #[cfg(target_os = "linux")]
        #[test]
        fn a_program_has_a_group_of_its_own_and_no_environment() {
            assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
            let what = "read -r _ _ _ _ group _ < /proc/$$/stat
                [ $group = $$ ] && [ -z \"$CARGO_MANIFEST_DIR\" ] && printf $1 && printf $2";
            assert!(decode_by(shell(what), b"file", PATIENCE).is_ok());
        }

        #[test]
        fn a_program_that_does_not_start_leaves_the_picture_for_another_time() {
            let commands = [
                Command::new("/nowhere/carlens"),
                Command::new("/bin/false"),
                shell("exit 127"),
                shell("printf 'usage: some other program that knows no such argument\n'"),
            ];
            for command in commands {
                let error = decode_by(command, b"file", PATIENCE).unwrap_err();
                assert!(matches!(error, Error::NoDecoder(_)), "{error}");
                assert!(!error.lasts() && !error.is_absence(), "{error}");
            }
        }
    }
}
