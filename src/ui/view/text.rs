//! Text in a limited number of cells.

use ratatui::style::Style;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr;

use crate::columns;

/// Columns `text` takes.
pub(super) fn width(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// `text` in at most `columns`; what is too long loses its start, as the ends
/// of paths tell them apart.
pub(super) fn keep_end(text: &str, columns: u16) -> String {
    columns::keep_end(text, columns.into())
}

/// A horizontal bar of `columns` cells, filled to `ratio`, in eighths of a
/// cell.
pub(super) fn bar(ratio: f64, columns: u16, style: Style) -> Span<'static> {
    Span::styled(columns::filled(ratio, columns.into()), style)
}

/// `1.2 MB`
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(super) fn bytes(n: u64) -> String {
    match n {
        0..1000 => format!("{n} B"),
        1000..1_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// Joins what there is by ` · `.
pub(super) fn joined(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// As many of `parts`, the first first, as fit in `columns` when joined.
pub(super) fn fitting(parts: impl IntoIterator<Item = Option<String>>, columns: u16) -> String {
    let mut line = String::new();
    for part in parts.into_iter().flatten().filter(|part| !part.is_empty()) {
        let longer = joined([Some(line.clone()), Some(part)]);
        if width(&longer) <= columns {
            line = longer;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_loses_its_start() {
        assert_eq!(keep_end("a/b/car.jpg", 20), "a/b/car.jpg");
        assert_eq!(keep_end("a/b/car.jpg", 8), "…car.jpg");
        assert_eq!(keep_end("赤い車.jpg", 9), "…い車.jpg");
        assert_eq!(keep_end("赤い車.jpg", 8), "…車.jpg");
        assert_eq!(keep_end("car", 0), "");
        assert_eq!(keep_end("car", 1), "…");
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let parts = || ["red", "convertible", "van"].map(|part| Some(part.to_owned()));
        assert_eq!(fitting(parts(), 99), "red · convertible · van");
        assert_eq!(fitting(parts(), 10), "red · van");
        assert_eq!(fitting(parts(), 2), "");
    }

    #[test]
    fn a_bar_is_as_long_as_its_ratio_and_never_longer() {
        let bar = |ratio| bar(ratio, 4, Style::new()).content.into_owned();
        assert_eq!(bar(0.0), "    ");
        assert_eq!(bar(0.5), "██  ");
        assert_eq!(bar(0.53), "██▏ ");
        assert_eq!(bar(9.0), "████");
        assert_eq!(bar(f64::NAN), "    ");
    }
}
