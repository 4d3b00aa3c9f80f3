//! What was typed or dropped, by any text and for any path.

use std::fmt::Write as _;
use std::path::Path;

use crate::backend::Query;
use crate::ui::message::Typed;
use crate::ui::query::{parse, waits_for_enter};

/// A person may type this text, or drop a file whose path has these bytes.
pub fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for (file, folder) in [(false, false), (true, false), (false, true), (true, true)] {
        understand(&text, file, folder);
    }
    #[cfg(unix)]
    drop_file(bytes);
}

/// `file` and `folder` say whether every path is one.
fn understand(text: &str, file: bool, folder: bool) {
    let home = Some(Path::new("/home/me"));
    let parse = |text: &str| parse(text, |_| file, |_| folder, home);
    let understood = parse(text);
    assert_eq!(understood, parse(&format!(" {text}\n")), "white space around it matters");
    match understood {
        Some(Typed::Query(Query::Text(words))) => {
            assert!(!words.is_empty() && words == words.trim(), "{words:?}");
        }
        Some(Typed::Query(Query::Address(address))) => {
            assert!(!address.contains(char::is_whitespace), "{address:?}");
            assert!(waits_for_enter(text), "{address:?}");
        }
        Some(Typed::Query(Query::Picture(path))) => {
            assert!(file || crate::picture::named_like_a_picture(&path), "{}", path.display());
        }
        Some(Typed::Folder(path)) => assert!(folder && waits_for_enter(text), "{}", path.display()),
        None => assert!(text.trim().trim_start_matches('/').trim().is_empty(), "{text:?}"),
    }
}

/// However a terminal writes the path of a file, it is found.
#[cfg(unix)]
fn drop_file(bytes: &[u8]) {
    use std::os::unix::ffi::OsStrExt as _;

    let path = [b"/", bytes].concat();
    let path = Path::new(std::ffi::OsStr::from_bytes(&path));
    let found = |typed: &str| {
        let understood = parse(typed, |asked| asked == path, |_| false, None);
        let expected = Typed::Query(Query::Picture(path.to_owned()));
        assert_eq!(understood, Some(expected), "{typed:?}");
    };
    found(&as_address(bytes));
    let Some(text) = path.to_str() else { return };
    found(&format!("'{}'", text.replace('\'', r"'\''")));
    found(&format!("'{}'", text.replace('\'', r#"'"'"'"#)));
    // Around words white space means nothing.
    if text.trim() == text {
        found(text);
        found(&escaped(text));
    }
}

fn as_address(path: &[u8]) -> String {
    path.iter().fold("file:///".to_owned(), |mut address, byte| {
        write!(address, "%{byte:02X}").expect("a string takes everything");
        address
    })
}

/// As a shell takes it for one word.
fn escaped(text: &str) -> String {
    let escaped =
        |c: char| (!c.is_alphanumeric() && c != '/').then_some('\\').into_iter().chain([c]);
    text.chars().flat_map(escaped).collect()
}
