//! The load-progress view in full: the model, downloads, loads here and
//! elsewhere, and every picture that could not be embedded.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::load::{self, Report};
use super::text;
use crate::backend::LoadProgress;
use crate::domain::Printable;
use crate::progress::{self, failed_files};
use crate::ui::action::{Action, Scope};
use crate::ui::state::{BackendState, LoadState, State};

pub(super) fn draw(state: &State, scroll: u16, frame: &mut Frame<'_>) {
    let theme = &state.preferences.theme;
    let area = frame.area();
    frame.render_widget(Clear, area);
    let block = super::block(theme, "Loads and downloads", true);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = under_way(state, inner.width);
    let failed = state.load.failed();
    let [above, below, keys] = Layout::vertical([
        Constraint::Length(u16::try_from(lines.len()).unwrap_or(u16::MAX)),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(inner);
    frame.render_widget(Paragraph::new(lines), above);
    if !failed.is_empty() {
        let heading =
            Line::styled(format!(" {} could not be embedded:", failed_files(failed)), theme.error);
        let list = failed.iter().skip(usize::from(scroll)).map(|problem| {
            Line::from(format!("   {} {}", Printable::new(&problem.path), problem.reason))
        });
        frame.render_widget(
            Paragraph::new([heading].into_iter().chain(list).collect::<Vec<_>>()),
            below,
        );
    }
    frame.render_widget(Line::styled(hints(state), theme.faint), keys);
}

fn under_way(state: &State, width: u16) -> Vec<Line<'static>> {
    let theme = &state.preferences.theme;
    let bar = width / 3;
    let reports = [load::waiting, load::download, load::model, load::load];
    let reports = reports.into_iter().filter_map(|report| report(state));
    let mut lines = vec![model(state)];
    lines.extend(collection(state));
    lines.push(Line::default());
    for report in reports {
        lines.extend(two_lines(report, state, bar));
    }
    if let LoadState::Running { folder, progress, .. } = &state.load {
        let folder = Printable::new(folder).to_string();
        if progress.walked {
            lines.push(Line::from(counts(progress)));
        }
        lines.push(Line::styled(format!("   in {folder}"), theme.faint));
    }
    if matches!(state.load, LoadState::Idle) {
        lines.extend(two_lines(load::in_collection(state), state, bar));
    }
    for folder in &state.folders_to_load {
        let next = format!("   then {}", Printable::new(folder));
        lines.push(Line::styled(next, theme.faint));
    }
    for load in &state.elsewhere {
        lines.extend(two_lines(load::elsewhere(load), state, bar));
        let failed = load.failed.iter().map(|failed| format!("   {failed}"));
        lines.extend(failed.map(|failed| Line::styled(failed, theme.error)));
    }
    lines.push(Line::default());
    lines
}

/// Where there is a bar, the numbers have the line below to themselves.
fn two_lines(report: Report, state: &State, bar: u16) -> Vec<Line<'static>> {
    let Some(ratio) = report.ratio else { return vec![Line::from(report.spans(state, bar))] };
    let numbers = Line::from(format!("   {}", report.text));
    let percent = format!(" {:.0} %", (ratio * 100.0).floor());
    let above = Report { text: percent, ..report };
    vec![Line::from(above.spans(state, bar)), numbers]
}

fn model(state: &State) -> Line<'static> {
    let theme = &state.preferences.theme;
    let text = match &state.backend {
        BackendState::Ready(status) => text::joined([
            Some(Printable::new(&status.model.name).to_string()),
            Some(format!("{} dimensions", status.dimension)),
        ]),
        BackendState::Failed(failure) => failure.to_string(),
        BackendState::Unasked | BackendState::Opening(_) => "opening …".into(),
    };
    Line::from(vec![Span::styled(" Model ", theme.accent), Span::raw(text)])
}

fn collection(state: &State) -> Option<Line<'static>> {
    let BackendState::Ready(status) = &state.backend else { return None };
    let place = Span::raw(status.collection.to_string());
    Some(Line::from(vec![Span::styled(" Collection ", state.preferences.theme.accent), place]))
}

fn counts(progress: &LoadProgress) -> String {
    let LoadProgress { embedded, unchanged, .. } = progress;
    format!("   {embedded} embedded, {unchanged} unchanged, {}", progress::failed(progress))
}

fn hints(state: &State) -> String {
    let map = &state.preferences.keymap;
    let running = matches!(state.load, LoadState::Running { .. });
    let hint =
        |action, what: &str| map.keys(action, Scope::Browsing).map(|keys| format!("{keys} {what}"));
    let rest = running.then(|| hint(Action::Pause, "pause or go on")).flatten();
    let watching = matches!(state.load, LoadState::Watching { .. });
    let stop = (running || watching).then(|| hint(Action::Stop, "stop")).flatten();
    let scroll = (!state.load.failed().is_empty()).then(|| hint(Action::Next, "scroll")).flatten();
    let watch = hint(Action::Watch, if state.watch { "watch no longer" } else { "watch" });
    format!(" {}", text::joined([rest, stop, watch, scroll, hint(Action::Back, "back")]))
}
