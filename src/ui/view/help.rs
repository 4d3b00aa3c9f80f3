//! The keys, over everything.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::theme;
use crate::ui::keymap::HELP;
use crate::ui::state::State;

pub(super) fn draw(state: &State, frame: &mut Frame<'_>) {
    let mut lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(keys, what)| {
            Line::from(vec![
                Span::styled(format!(" {keys:<12}"), theme::accent()),
                Span::raw(*what),
            ])
        })
        .collect();
    lines.push(Line::default());
    lines.push(Line::from(format!(" pictures: {}", state.graphics)));
    let area = middle(frame.area(), 50, lines.len());
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(theme::block("Keys", true)), area);
}

fn middle(screen: Rect, width: u16, lines: usize) -> Rect {
    let width = width.min(screen.width);
    let height = u16::try_from(lines + 2).unwrap_or(u16::MAX).min(screen.height);
    let (x, y) = ((screen.width - width) / 2, (screen.height - height) / 2);
    Rect { x: screen.x + x, y: screen.y + y, width, height }
}
