//! Text in a limited number of columns of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A bar of so many `columns`, filled to `ratio` in eighths of a column.
#[expect(clippy::cast_precision_loss, reason = "columns of a terminal")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub(crate) fn filled(ratio: f64, columns: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (ratio.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    format!("{:<columns$}", format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8]))
}

/// `text` in at most `columns`; what is too long loses its start, as the ends
/// of paths tell them apart.
pub(crate) fn keep_end(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fitting = text.char_indices().rev().take_while(|(_, c)| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    });
    let start = fitting.last().map_or(text.len(), |(at, _)| at);
    if columns == 0 { String::new() } else { format!("…{}", &text[start..]) }
}
