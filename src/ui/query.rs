//! What was typed, understood: words, the path or address of a picture, or a
//! folder to load.

use std::path::{Path, PathBuf};

use crate::backend::Query;
use crate::picture::named_like_a_picture;
use crate::ui::message::Typed;

/// Reads `typed` as a query, or `None` if there is nothing in it.
///
/// A path may be quoted, escaped or a `file://` address, as terminals paste a
/// dropped file. What looks like a path of a picture is one even if no such
/// file exists, so that a typing error is not searched for as words. A folder
/// is one only if it starts like a path: `red` may be one and is a word. A `/`
/// typed out of habit before words is passed over.
pub(crate) fn parse(
    typed: &str,
    is_file: impl Fn(&Path) -> bool,
    is_folder: impl Fn(&Path) -> bool,
    home: Option<&Path>,
) -> Option<Typed> {
    let typed = typed.trim();
    if is_address(typed) {
        return Some(Typed::Query(Query::Address(typed.to_owned())));
    }
    let candidates = candidates(typed, home);
    let existing = candidates.iter().find(|path| is_file(path));
    let meant = candidates.iter().find(|path| is_rooted(typed) && named_like_a_picture(path));
    if let Some(path) = existing.or(meant) {
        return Some(Typed::Query(Query::Picture(path.clone())));
    }
    let folder = candidates.iter().find(|path| is_rooted(typed) && is_folder(path));
    // A lone `/` is on the way to words.
    if let Some(folder) = folder.filter(|_| typed.len() > 1) {
        return Some(Typed::Folder(folder.clone()));
    }
    let words = typed.strip_prefix('/').unwrap_or(typed).trim();
    (!words.is_empty()).then(|| Typed::Query(Query::Text(words.to_owned())))
}

/// Whether it is searched for only when it is confirmed: it starts like a path
/// or an address.
pub(crate) fn waits_for_enter(typed: &str) -> bool {
    let typed = typed.trim();
    typed.len() > 1 && (is_rooted(typed) || is_address(typed))
}

/// Whether it is an address of the web, and nothing more.
fn is_address(typed: &str) -> bool {
    let lower = typed.to_ascii_lowercase();
    let scheme = ["http://", "https://"].iter().find(|scheme| lower.starts_with(**scheme));
    scheme.is_some_and(|scheme| typed.len() > scheme.len()) && !typed.contains(char::is_whitespace)
}

/// Whether it starts like a path.
fn is_rooted(typed: &str) -> bool {
    let typed = typed.trim_start_matches(['\'', '"']);
    ["/", "./", "../", "~/", "file://"].iter().any(|start| typed.starts_with(start))
}

/// Every path the text may mean, the most literal first.
fn candidates(typed: &str, home: Option<&Path>) -> Vec<PathBuf> {
    let unquoted = ['\'', '"']
        .iter()
        .find_map(|quote| typed.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(typed);
    let mut candidates = vec![PathBuf::from(unquoted)];
    if let Some(address) = unquoted.strip_prefix("file://") {
        let path = address.strip_prefix("localhost").unwrap_or(address);
        candidates = vec![path_of(percent_decoded(path))];
    } else if let (Some(rest), Some(home)) = (unquoted.strip_prefix("~/"), home) {
        candidates = vec![home.join(rest), home.join(unescaped(rest))];
    } else if unquoted.contains('\\') {
        candidates.push(PathBuf::from(unescaped(unquoted)));
    }
    // How shells write a quote within quotes.
    let quotes = [r"'\''", r#"'"'"'"#].into_iter().filter(|quote| unquoted.contains(quote));
    candidates.extend(quotes.map(|quote| PathBuf::from(unquoted.replace(quote, "'"))));
    candidates
}

/// Without the backslashes a shell would take away.
fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &rest[3..] } else { tail };
    }
    bytes
}

/// The path of these bytes, which need not be UTF-8 on Unix.
#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;

    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(typed: &str) -> Option<Query> {
        match understood(typed) {
            Some(Typed::Query(query)) => Some(query),
            Some(Typed::Folder(folder)) => panic!("{typed} is the folder {folder:?}"),
            None => None,
        }
    }

    fn understood(typed: &str) -> Option<Typed> {
        let files = ["/cars/my car.jpg", "/home/me/a.png", "relative.jpg", "/cars/no-extension"];
        parse(
            typed,
            |path| files.iter().any(|file| Path::new(file) == path),
            |path| ["/cars", "/home/me/my cars", "red"].iter().any(|f| Path::new(f) == path),
            Some(Path::new("/home/me")),
        )
    }

    #[test]
    fn a_folder_is_one_to_load() {
        for (typed, folder) in [
            ("/cars", "/cars"),
            ("~/my cars", "/home/me/my cars"),
            ("'/home/me/my cars'", "/home/me/my cars"),
            ("file:///home/me/my%20cars", "/home/me/my cars"),
        ] {
            assert_eq!(understood(typed), Some(Typed::Folder(folder.into())), "{typed}");
        }
        assert_eq!(parsed("red"), Some(Query::Text("red".into())));
        assert_eq!(parsed("/trucks"), Some(Query::Text("trucks".into())));
    }

    #[expect(clippy::unnecessary_wraps, reason = "to be compared with what is parsed")]
    fn picture(path: &str) -> Option<Query> {
        Some(Query::Picture(path.into()))
    }

    #[expect(clippy::unnecessary_wraps, reason = "to be compared with what is parsed")]
    fn words(text: &str) -> Option<Query> {
        Some(Query::Text(text.into()))
    }

    #[test]
    fn words_are_words() {
        assert_eq!(parsed("  red tesla "), words("red tesla"));
        assert_eq!(parsed("car.jpg"), words("car.jpg"));
        assert_eq!(parsed("   "), None);
        assert_eq!(parsed("/"), None);
        assert_eq!(parsed("/red convertible"), words("red convertible"));
    }

    #[test]
    fn a_dropped_file_is_a_picture_however_the_terminal_writes_it() {
        for typed in [
            "/cars/my car.jpg",
            "'/cars/my car.jpg'",
            "\"/cars/my car.jpg\"",
            "/cars/my\\ car.jpg",
            "file:///cars/my%20car.jpg",
            "file://localhost/cars/my%20car.jpg",
        ] {
            assert_eq!(parsed(typed), picture("/cars/my car.jpg"), "{typed}");
        }
        assert_eq!(parsed("~/a.png"), picture("/home/me/a.png"));
        assert_eq!(parsed("relative.jpg"), picture("relative.jpg"));
        assert_eq!(parsed("/cars/no-extension"), picture("/cars/no-extension"));
    }

    #[test]
    fn a_dropped_file_may_have_any_name() {
        let typed = [
            (r"'/cars/dad'\''s.jpg'", &b"/cars/dad's.jpg"[..]),
            (r#"'/cars/dad'"'"'s.jpg'"#, b"/cars/dad's.jpg"),
            #[cfg(unix)]
            ("file:///cars/caf%E9", b"/cars/caf\xe9"),
        ];
        for (typed, path) in typed {
            let path = path_of(path.to_vec());
            let understood = parse(typed, |asked| asked == path, |_| false, None);
            assert_eq!(understood, Some(Typed::Query(Query::Picture(path))), "{typed}");
        }
    }

    #[test]
    fn an_address_is_one_word() {
        let address = "https://cars.example/red%20one.jpg?size=large";
        assert_eq!(parsed(&format!(" {address} ")), Some(Query::Address(address.into())));
        assert_eq!(parsed("http://"), words("http://"));
        assert_eq!(parsed("https://cars.example red"), words("https://cars.example red"));
    }

    #[test]
    fn a_mistyped_path_is_not_searched_for_as_words() {
        assert_eq!(parsed("/cars/my cat.jpg"), picture("/cars/my cat.jpg"));
        assert_eq!(parsed("./x.png"), picture("./x.png"));
    }

    #[test]
    fn broken_percent_escapes_are_taken_as_they_are() {
        assert_eq!(percent_decoded("%zz%4"), b"%zz%4");
        assert_eq!(percent_decoded("%C5%A1"), "š".as_bytes());
    }
}
