//! The picture of the selected hit.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::theme;
use crate::domain::{Hit, Printable};
use crate::ui::state::{PictureState, State};

pub(super) fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let title = state.selected().map(title).unwrap_or_default();
    let block = theme::block(title, false);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    match &state.picture {
        // Text over everything: a picture must not shine through the help.
        PictureState::Decoded { encoded: Some(picture), .. } if !state.help => {
            frame.render_widget(picture, inner);
        }
        PictureState::Decoded { encoded: None, .. } | PictureState::Decoding(_) => {
            note("…", frame, inner);
        }
        PictureState::Failed(reason) => note(reason, frame, inner),
        PictureState::None | PictureState::Decoded { .. } => {}
    }
}

/// `car-005.jpg · 0.8234 · 480 x 320`
fn title(hit: &Hit) -> String {
    let (path, cosine) = (Printable::new(hit.id.path()), hit.similarity.cosine());
    let size = hit.pixels.map(|pixels| format!(" · {} x {}", pixels.width, pixels.height));
    format!("{path} · {cosine:.4}{}", size.unwrap_or_default())
}

fn note(text: &str, frame: &mut Frame<'_>, area: Rect) {
    let line = Line::from(Span::styled(text.to_owned(), theme::faint()));
    let middle =
        Rect { y: area.y + area.height / 2, height: area.height - area.height / 2, ..area };
    frame.render_widget(Paragraph::new(line).centered().wrap(Wrap { trim: true }), middle);
}
