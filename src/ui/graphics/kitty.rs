//! The kitty graphics protocol: mends what viuer prints, and the few commands
//! viuer does not know.
//!
//! viuer transmits and displays in one go, without an id, so that what it has
//! drawn can never be moved or deleted. Here the picture gets an id; where it
//! shows is said by a second command or by placeholder characters.

use ratatui::layout::Rect;

use super::Error;

/// The id of a picture in the terminal, 24 bits and never 0: it travels as the
/// colour of the placeholder characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageNumber(u32);

impl ImageNumber {
    /// The `n`th picture of this process. The process id keeps two programs in
    /// one window (two panes of tmux) apart, mostly.
    pub fn nth(n: u32) -> Self {
        Self(((std::process::id() & 0xfff) << 12 | (n & 0xfff)).max(1))
    }

    /// Red, green, blue.
    pub fn colour(self) -> [u8; 3] {
        let [_, red, green, blue] = self.0.to_be_bytes();
        [red, green, blue]
    }
}

/// Where a transmitted picture will show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Where [`place`] says.
    Cursor,
    /// On `U+10EEEE` characters in the picture's colour.
    Placeholders,
}

/// The escape sequences that hand the picture to the terminal, which neither
/// answers nor moves the cursor, each on its own so that tmux can be told to
/// pass it through.
///
/// `printed` is what viuer printed for it.
pub fn transmission(printed: &str, id: ImageNumber, anchor: Anchor) -> Result<Vec<String>, Error> {
    let chunks = chunks(printed)?;
    let last = chunks.len() - 1;
    let sequences = chunks.iter().enumerate().map(|(n, (keys, payload))| {
        // viuer never closes a picture of one chunk.
        let more = u8::from(n < last);
        let keys = if n == 0 { first_keys(keys, id, anchor) } else { String::new() };
        format!("\x1b_G{keys}q=2,m={more};{payload}\x1b\\")
    });
    Ok(sequences.collect())
}

/// Keys and payload of each graphics command in `printed`.
fn chunks(printed: &str) -> Result<Vec<(&str, &str)>, Error> {
    let chunks: Option<Vec<_>> = printed
        .split("\x1b_G")
        .skip(1)
        .map(|command| command.split_once("\x1b\\")?.0.split_once(';'))
        .collect();
    chunks.filter(|chunks| !chunks.is_empty()).ok_or(Error::Unexpected)
}

/// viuer's keys with the action, the id and the anchor put in.
fn first_keys(keys: &str, id: ImageNumber, anchor: Anchor) -> String {
    let (action, replaced): (_, &[&str]) = match anchor {
        // The size in cells is for whoever displays: that is `place`.
        Anchor::Cursor => ("a=t", &["a", "m", "q", "i", "c", "r"]),
        Anchor::Placeholders => ("a=T,U=1", &["a", "m", "q", "i"]),
    };
    let kept = keys
        .split(',')
        .filter(|pair| pair.split_once('=').is_some_and(|(key, _)| !replaced.contains(&key)));
    kept.fold(format!("{action},i={},", id.0), |all, pair| all + pair + ",")
}

/// Shows a transmitted picture in `area` from the cursor on, which must be at
/// its first cell.
pub fn place(id: ImageNumber, area: Rect) -> String {
    let Rect { width, height, .. } = area;
    let place = place_number(area);
    format!("\x1b_Ga=p,i={},p={place},c={width},r={height},C=1,q=2\x1b\\", id.0)
}

/// Takes a picture off `area`; it stays transmitted, and shows where else it
/// was placed.
pub fn remove(id: ImageNumber, area: Rect) -> String {
    format!("\x1b_Ga=d,d=i,i={},p={},q=2\x1b\\", id.0, place_number(area))
}

/// The number of a placement, never 0: a picture shows once in a cell.
fn place_number(area: Rect) -> u32 {
    (u32::from(area.y) << 16 | u32::from(area.x)) + 1
}

/// Takes a picture off the screen, wherever it shows, and out of the
/// terminal's memory. kitty forgets **every** picture without a placement at
/// this occasion (0.26, seen; its `filter_refs` does not ask which).
pub fn delete(id: ImageNumber) -> String {
    format!("\x1b_Ga=d,d=I,i={},q=2\x1b\\", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ImageNumber = ImageNumber(0x12_3456);
    /// As viuer 0.11 prints it, payloads shortened.
    const TWO_CHUNKS: &str =
        "\x1b_Gf=32,a=T,t=d,s=30,v=40,c=5,r=6,m=1;AAAA\x1b\\\x1b_Gm=0;BBBB\x1b\\\n";
    const ONE_CHUNK: &str = "\x1b_Gf=32,a=T,t=d,s=1,v=1,c=5,r=6,m=1;AAAA\x1b\\\n";

    #[test]
    fn a_transmission_names_the_picture_and_wants_no_answer() {
        assert_eq!(
            transmission(TWO_CHUNKS, ID, Anchor::Cursor).unwrap(),
            [
                "\x1b_Ga=t,i=1193046,f=32,t=d,s=30,v=40,q=2,m=1;AAAA\x1b\\",
                "\x1b_Gq=2,m=0;BBBB\x1b\\",
            ]
        );
    }

    #[test]
    fn placeholders_need_the_size_in_cells() {
        assert_eq!(
            transmission(TWO_CHUNKS, ID, Anchor::Placeholders).unwrap()[0],
            "\x1b_Ga=T,U=1,i=1193046,f=32,t=d,s=30,v=40,c=5,r=6,q=2,m=1;AAAA\x1b\\"
        );
    }

    #[test]
    fn a_picture_of_one_chunk_is_closed() {
        let sequences = transmission(ONE_CHUNK, ID, Anchor::Cursor).unwrap();
        assert_eq!(sequences, ["\x1b_Ga=t,i=1193046,f=32,t=d,s=1,v=1,q=2,m=0;AAAA\x1b\\"]);
    }

    #[test]
    fn anything_but_graphics_commands_is_refused() {
        for printed in ["", "▄▄▄", "\x1b_Gf=32;AAAA", "\x1b_Gf=32\x1b\\"] {
            assert!(matches!(transmission(printed, ID, Anchor::Cursor), Err(Error::Unexpected)));
        }
    }

    #[test]
    fn an_id_travels_as_a_colour_and_is_never_zero() {
        assert_eq!(ID.colour(), [0x12, 0x34, 0x56]);
        assert_ne!(ImageNumber::nth(0).0, 0);
        assert_eq!(ImageNumber::nth(u32::MAX).0 >> 24, 0);
        assert_ne!(ImageNumber::nth(1), ImageNumber::nth(2));
    }
}
