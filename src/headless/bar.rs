//! One thing under way as one line of a terminal, whatever its width.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::columns::{filled, keep_end};
use crate::progress::Line;

/// The longest bar, and the shortest that tells anything.
const BAR: (usize, usize) = (30, 6);

/// Columns that the name of a file is worth showing in.
const NAME: usize = 12;

/// Columns of ` 23 % `.
const PERCENT: usize = 6;

/// `line` in at most `columns`, with a bar where there is room for one.
///
/// ```text
///  23 % ▕██████▉                      ▏ 14 of 60 pictures, 6 s left: car.jpg
/// ```
pub(super) fn bar(line: &Line, columns: usize, coloured: bool) -> String {
    let title = line.title.as_deref().map(|title| keep_end(title, columns / 4));
    let mut shown = Shown { columns, coloured, said: String::new(), taken: 0 };
    if let Some(title) = title {
        shown.add(&format!("{title} "), Colour::Plain);
    }
    if let Some(ratio) = line.ratio.filter(|_| line.counts.width() + PERCENT <= shown.left()) {
        shown.add(&format!("{:3.0} % ", (ratio * 100.0).floor()), Colour::Plain);
    }
    let parts = fitting(line, shown.left());
    let after = shown.left().saturating_sub(parts.iter().map(|(part, _)| part.width()).sum());
    if let Some(ratio) = line.ratio {
        let name = line.current.as_ref().map_or(0, |current| NAME.min(current.width()) + 2);
        if let Some(length) = length(after, name, columns) {
            shown.add("▕", Colour::Plain);
            shown.add(&filled(ratio, length), Colour::Bar);
            shown.add("▏ ", Colour::Plain);
        }
    }
    for (part, colour) in parts {
        shown.add(&part, colour);
    }
    if let Some(current) = &line.current {
        let room = shown.left().saturating_sub(2);
        if room >= NAME.min(current.width()) {
            shown.add(&format!(": {}", keep_end(current, room)), Colour::Plain);
        }
    }
    shown.said
}

/// Columns of a bar where so many are `free`: a shorter one leaves those of a
/// `name`, if both fit.
fn length(free: usize, name: usize, columns: usize) -> Option<usize> {
    let (longest, shortest) = BAR;
    // Two edges and a space.
    let room = free.checked_sub(3)?;
    let beside = room.checked_sub(name).filter(|length| *length >= shortest);
    let length = beside.unwrap_or(room).min(longest).min((columns / 4).max(shortest));
    (length >= shortest).then_some(length)
}

#[derive(Clone, Copy, PartialEq)]
enum Colour {
    Plain,
    Bar,
    Failed,
}

/// What is said so far, and the columns it takes.
struct Shown {
    columns: usize,
    coloured: bool,
    said: String,
    taken: usize,
}

impl Shown {
    fn left(&self) -> usize {
        self.columns.saturating_sub(self.taken)
    }

    /// What is too wide loses its end.
    fn add(&mut self, text: &str, colour: Colour) {
        let mut left = self.left();
        let fitting: String = text
            .chars()
            .take_while(|c| {
                let width = c.width().unwrap_or(0);
                let fits = width <= left;
                left = left.saturating_sub(width);
                fits
            })
            .collect();
        self.taken += fitting.width();
        let sgr = match colour {
            Colour::Bar => "36",
            Colour::Failed => "31",
            Colour::Plain => "",
        };
        if self.coloured && !sgr.is_empty() {
            self.said.extend(["\x1b[", sgr, "m", &fitting, "\x1b[0m"]);
        } else {
            self.said.push_str(&fitting);
        }
    }
}

/// The counts, and of rate, time left and failures those that fit, the most
/// telling first, in the order of the whole line.
fn fitting(line: &Line, columns: usize) -> Vec<(String, Colour)> {
    let parts = [
        (2, &line.rate, Colour::Plain),
        (0, &line.left, Colour::Plain),
        (1, &line.failed, Colour::Failed),
    ];
    let mut left = columns.saturating_sub(line.counts.width());
    let mut ranked: Vec<usize> = (0..parts.len()).collect();
    ranked.sort_by_key(|n| parts[*n].0);
    let mut kept = [false; 3];
    for n in ranked {
        let Some(text) = parts[n].1 else { continue };
        if let Some(rest) = left.checked_sub(text.width() + 2) {
            (left, kept[n]) = (rest, true);
        }
    }
    let mut shown = vec![(line.counts.clone(), Colour::Plain)];
    for ((_, text, colour), kept) in parts.into_iter().zip(kept) {
        if let Some(text) = text.as_ref().filter(|_| kept) {
            shown.extend([(", ".into(), Colour::Plain), (text.clone(), colour)]);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn line() -> Line {
        Line {
            title: None,
            ratio: Some(0.23),
            counts: "14 of 60 pictures".into(),
            rate: Some("7.0/s".into()),
            left: Some("6 s left".into()),
            failed: Some("2 failed".into()),
            current: Some("summer holidays/赤い車/car-012.jpg".into()),
        }
    }

    fn at_every_width(line: &Line) -> String {
        let widths = [140, 100, 80, 70, 60, 50, 40, 30, 20, 10];
        widths.map(|columns| format!("{columns:3} {}", bar(line, columns, false))).join("\n")
    }

    #[test]
    fn the_bar_gives_way_to_what_tells_more() {
        assert_snapshot!("bar", at_every_width(&line()));
        let elsewhere = Line { title: Some("/home/me/pictures/cars".into()), ..line() };
        assert_snapshot!("bar_elsewhere", at_every_width(&elsewhere));
    }

    #[test]
    fn no_line_is_ever_wider_than_the_terminal() {
        let titled = Line { title: Some("赤い車".into()), ..line() };
        for columns in 0..200 {
            for line in [line(), titled.clone(), Line { ratio: None, ..line() }] {
                let said = bar(&line, columns, false);
                assert!(said.width() <= columns, "{said:?} in {columns}");
            }
        }
    }

    #[test]
    fn colours_take_no_columns() {
        let plain = bar(&line(), 80, false);
        let coloured = bar(&line(), 80, true);
        assert!(!plain.contains('\x1b') && coloured.contains("\x1b[31m2 failed\x1b[0m"));
        let without = ["\x1b[36m", "\x1b[31m", "\x1b[0m"]
            .iter()
            .fold(coloured, |text, sgr| text.replace(sgr, ""));
        assert_eq!(without, plain);
    }
}
