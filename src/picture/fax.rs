//! Fax codes (ITU-T T.4 and T.6), with which scanners pack black and white in
//! TIFF files: runs of a row, or where they end compared to the row above.

use std::convert::Infallible;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};

/// Codes that begin after a row's last one lead to nothing, but a code is
/// looked up by more bits than it may have.
const BEYOND_THE_END: [u8; 4] = [0; 4];

/// How rows are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As runs, each row from a new byte on.
    Runs,
    /// Group 3: as runs, with an end-of-line code before each.
    Lines,
    /// Group 3 with a bit after that code: whether the row is coded as runs.
    MixedLines,
    /// Group 4: all compared to the row above.
    Compared,
}

/// Decodes `height` rows, packed from the highest bit on with 1 for black, each
/// from a new byte on. Rows that are not there are white; `None` if a code
/// makes no sense.
pub(super) fn rows(data: &[u8], coding: Coding, width: u16, height: u32) -> Option<Vec<u8>> {
    let stride = usize::from(width).div_ceil(8);
    let mut packed = vec![0; stride * height as usize];
    let padded = data.iter().chain(&BEYOND_THE_END).map(|byte| Ok::<_, Infallible>(*byte));
    let mut bits = ByteReader::new(padded).ok()?;
    // Where the colour changes, from white on.
    let mut changes: Vec<u16> = Vec::new();
    for row in packed.chunks_exact_mut(stride) {
        let by_runs = match coding {
            Coding::Runs => true,
            // The end of the picture.
            Coding::Compared if bits.peek(12) == Some(1) => break,
            Coding::Compared => false,
            Coding::Lines | Coding::MixedLines => {
                let Some(by_runs) = skip_line_ends(&mut bits, coding == Coding::MixedLines) else {
                    break;
                };
                by_runs
            }
        };
        changes =
            if by_runs { runs(&mut bits, width)? } else { compared(&mut bits, &changes, width)? };
        if coding == Coding::Runs {
            let rest = bits.bits_to_byte_boundary();
            bits.consume(rest).ok()?;
        }
        for black in changes.chunks(2) {
            let end = black.get(1).copied().unwrap_or(width);
            for x in black[0]..end {
                row[usize::from(x / 8)] |= 0x80 >> (x % 8);
            }
        }
    }
    Some(packed)
}

/// Passes over the ends of lines here, and the zeros before them; whether the
/// row after them is coded as runs.
fn skip_line_ends(bits: &mut impl BitReader, mixed: bool) -> Option<bool> {
    let mut by_runs = true;
    // No code of a run begins with as many zeros.
    while bits.peek(9) == Some(0) {
        while bits.peek(1)? == 0 {
            bits.consume(1).ok()?;
        }
        bits.consume(1).ok()?;
        if mixed {
            by_runs = bits.peek(1)? == 1;
            bits.consume(1).ok()?;
        }
    }
    Some(by_runs)
}

/// A run of one colour, of which long ones have more than one code.
fn run(bits: &mut impl BitReader, is_black: bool) -> Option<u16> {
    let mut length = 0_u16;
    loop {
        let part = if is_black { black::decode(bits)? } else { white::decode(bits)? };
        length = length.checked_add(part)?;
        if part < 64 {
            return Some(length);
        }
    }
}

/// The changes of a row of runs.
fn runs(bits: &mut impl BitReader, width: u16) -> Option<Vec<u16>> {
    let mut changes = Vec::new();
    let mut at = 0_u16;
    while at < width {
        at = at.checked_add(run(bits, changes.len() % 2 == 1)?).filter(|at| *at <= width)?;
        changes.push(at);
    }
    Some(changes)
}

/// The changes of a row compared to those `above`.
fn compared(bits: &mut impl BitReader, above: &[u16], width: u16) -> Option<Vec<u16>> {
    let mut changes: Vec<u16> = Vec::new();
    let mut at = 0_u16;
    let mut next = 0;
    while at < width {
        // The first change above that is ahead and to the other colour.
        next = next.min(above.len());
        while next > 0 && above[next - 1] > at {
            next -= 1;
        }
        let starts = changes.is_empty() && at == 0;
        while above.get(next).is_some_and(|above| *above < at || (*above == at && !starts)) {
            next += 1;
        }
        next += (next + changes.len()) % 2;
        let change = |index: usize| above.get(index).copied().unwrap_or(width);
        match mode::decode(bits)? {
            Mode::Pass => at = change(next + 1),
            Mode::Vertical(aside) => {
                let to = change(next).checked_add_signed(aside.into())?;
                at = Some(to).filter(|to| (at..=width).contains(to))?;
                changes.push(at);
            }
            Mode::Horizontal => {
                for _ in 0..2 {
                    let length = run(bits, changes.len() % 2 == 1)?;
                    at = at.checked_add(length).filter(|at| *at <= width)?;
                    changes.push(at);
                }
            }
            Mode::Extension | Mode::EOF => return None,
        }
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unpacked_whichever_way_they_are_coded() {
        // Two white, three black, three white; then the same, one less black.
        let lines = [0, 0b0001_0111, 0b1010_0000, 0, 0b0101_1111, 0b1011_0000];
        assert_eq!(rows(&lines, Coding::Lines, 8, 2), Some(vec![0b0011_1000, 0b0011_0000]));
        let runs = [0b0111_1010, 0, 0b0111_1110, 0b1100_0000];
        assert_eq!(rows(&runs, Coding::Runs, 8, 2), Some(vec![0b0011_1000, 0b0011_0000]));
        // Horizontal and up to the end; straight down, one to the left, end.
        let compared = [0b0010_1111, 0b0110_1010, 0];
        let expected = vec![0b0011_1000, 0b0011_0000];
        assert_eq!(rows(&compared, Coding::Compared, 8, 2), Some(expected));
    }

    #[test]
    fn rows_that_are_not_there_are_white_and_wrong_codes_are_an_error() {
        let end = [0, 0x10, 0x01];
        assert_eq!(rows(&end, Coding::Compared, 8, 3), Some(vec![0; 3]));
        assert_eq!(rows(&[], Coding::Lines, 8, 1), Some(vec![0]));
        // A run that is longer than the row.
        assert_eq!(rows(&[0b0011_0101, 0xff], Coding::Runs, 1, 1).map(|rows| rows.len()), None);
    }
}
