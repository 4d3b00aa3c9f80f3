//! Where everything is on a screen of any size: the one place that knows, for
//! drawing, for the mouse, and for the sizes of pictures.

use ratatui::layout::{Constraint, Layout, Margin, Position, Rect};

use crate::backend::Query;
use crate::ui::gallery::{Grade, Source, Want};
use crate::ui::state::{Asked, State};

/// A thumbnail with its caption, in cells.
const TILE: (u16, u16) = (18, 8);

/// The same where there is little room.
const SMALL_TILE: (u16, u16) = (14, 5);

/// Below this many rows, the query pane shows no picture.
const ROWS_FOR_QUERY_PICTURE: u16 = 16;

/// From this many columns on, everything about a picture fits in one line.
const COLUMNS_FOR_ONE_LINE: u16 = 110;

/// From this many on, in two.
const COLUMNS_FOR_TWO_LINES: u16 = 34;

/// The areas of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Panes {
    pub(super) query: Rect,
    /// Within the query pane; empty if the query is no picture.
    pub(super) query_picture: Rect,
    /// Empty while the picture has all the room.
    pub(super) hits: Rect,
    pub(super) picture: Rect,
    pub(super) load: Rect,
    pub(super) keys: Rect,
}

impl Panes {
    pub(super) fn of(state: &State) -> Self {
        let screen = Rect::new(0, 0, state.screen.width, state.screen.height);
        let tall = screen.height >= ROWS_FOR_QUERY_PICTURE && query_source(state).is_some();
        let [query, results, load, keys] = Layout::vertical([
            Constraint::Length(if tall { 6 } else { 3 }),
            Constraint::Min(0),
            Constraint::Length(1),
            Constraint::Length(1),
        ])
        .areas(screen);
        let (hits, picture) = if state.layout.zoomed {
            (Rect::default(), results)
        } else {
            split(results, state.layout.grid)
        };
        let inside = query.inner(Margin::new(2, 1));
        let picture_width = if tall { (inside.height * 3).min(inside.width / 3) } else { 0 };
        let query_picture =
            Rect { x: inside.right() - picture_width, width: picture_width, ..inside };
        Self { query, query_picture, hits, picture, load, keys }
    }

    /// Where the large picture itself goes: below the border, above the lines
    /// about it.
    pub(super) fn canvas(&self) -> Rect {
        let inner = inside(self.picture);
        let about = match inner.height {
            0..=3 => 0,
            4..=8 => 1,
            _ => match inner.width {
                0..COLUMNS_FOR_TWO_LINES => 3,
                COLUMNS_FOR_TWO_LINES..COLUMNS_FOR_ONE_LINE => 2,
                _ => 1,
            },
        };
        Rect { height: inner.height - about, ..inner }
    }
}

/// Side by side where there is room for both, else one above the other.
fn split(results: Rect, grid: bool) -> (Rect, Rect) {
    let beside = results.width >= 60;
    let layout = match (beside, grid) {
        (true, true) => Layout::horizontal([Constraint::Percentage(52), Constraint::Min(0)]),
        (true, false) => {
            let list = (results.width * 2 / 5).clamp(24, 48);
            Layout::horizontal([Constraint::Length(list), Constraint::Min(0)])
        }
        (false, true) => Layout::vertical([Constraint::Percentage(50), Constraint::Min(0)]),
        (false, false) => {
            let list = (results.height / 3).clamp(3, 10);
            Layout::vertical([Constraint::Length(list), Constraint::Min(0)])
        }
    };
    let [hits, picture] = layout.areas(results);
    (hits, picture)
}

/// Within a pane's border.
pub(super) fn inside(pane: Rect) -> Rect {
    pane.inner(Margin::new(1, 1))
}

/// How the hits are laid out: so many beside one another, so many rows in
/// sight. A list has one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) struct Tiles {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

pub(in crate::ui) fn tiles(state: &State) -> Tiles {
    let inner = inside(Panes::of(state).hits);
    if state.layout.grid && !state.layout.zoomed {
        let roomy = inner.width >= 2 * TILE.0 && inner.height >= 2 * TILE.1;
        let (width, height) = if roomy { TILE } else { SMALL_TILE };
        Tiles {
            columns: usize::from((inner.width / width).max(1)),
            rows: usize::from((inner.height / height).max(1)),
        }
    } else {
        Tiles { columns: 1, rows: usize::from(inner.height.max(1)) }
    }
}

impl Tiles {
    /// The number of the first hit in sight, such that the selected one is.
    pub(super) fn first(self, selected: usize) -> usize {
        let row = selected / self.columns;
        (row + 1).saturating_sub(self.rows) * self.columns
    }

    fn visible(self, selected: usize, hits: usize) -> std::ops::Range<usize> {
        let first = self.first(selected).min(hits);
        first..(first + self.columns * self.rows).min(hits)
    }
}

/// Which hits are in sight.
pub(super) fn visible(state: &State) -> std::ops::Range<usize> {
    state
        .results()
        .map_or(0..0, |results| tiles(state).visible(results.selected, results.answer.hits.len()))
}

/// The tile of the `nth` hit in sight.
pub(super) fn tile(area: Rect, tiles: Tiles, nth: usize) -> Rect {
    let columns = u16::try_from(tiles.columns).unwrap_or(1);
    let nth = u16::try_from(nth).unwrap_or(u16::MAX);
    // All the width is used, and the height as well, as they seldom come out even.
    let (width, height) =
        (area.width / columns, area.height / u16::try_from(tiles.rows).unwrap_or(1));
    let (column, row) = (nth % columns, nth / columns);
    Rect::new(area.x + column * width, area.y + row * height, width, height).intersection(area)
}

/// Where the picture of a tile goes: above its captions, beside its neighbour.
pub(super) fn tile_picture(tile: Rect) -> Rect {
    let captions = if tile.height > 3 { 2 } else { 1 };
    // What is next below is another tile's.
    let space = u16::from(tile.height >= TILE.1);
    let height = tile.height.saturating_sub(captions + space);
    Rect { width: tile.width.saturating_sub(1), height, ..tile }
}

/// The lines below the picture of a tile; in a low one, the second is empty.
pub(super) fn tile_captions(tile: Rect) -> [Rect; 2] {
    let picture = tile_picture(tile);
    [0, 1].map(|line| Rect { y: picture.bottom() + line, height: 1, ..picture }.intersection(tile))
}

/// A movement among hits, or through text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Step {
    Up(usize),
    Down(usize),
    Left,
    Right,
    First,
    Last,
    /// Half pages down, or up if negative.
    Pages(isize),
}

impl Step {
    /// From the hit `selected` of those up to `last`.
    pub(in crate::ui) fn taken(self, selected: usize, last: usize, tiles: Tiles) -> usize {
        let Tiles { columns, rows } = tiles;
        let half = (rows / 2).max(1) * columns;
        let to = match self {
            Self::Up(n) if selected < n * columns => selected % columns,
            Self::Up(n) => selected - n * columns,
            // The last row may be shorter; it is reached all the same.
            Self::Down(n) if selected / columns == last / columns || n == 0 => selected,
            Self::Down(n) => selected.saturating_add(n * columns),
            Self::Left => selected.saturating_sub(1),
            Self::Right => selected + 1,
            Self::First => 0,
            Self::Last => last,
            Self::Pages(n) if n < 0 => selected.saturating_sub(half * n.unsigned_abs()),
            Self::Pages(n) => selected.saturating_add(half * n.unsigned_abs()),
        };
        to.min(last)
    }

    /// From the line `scroll` of those up to `last`.
    pub(in crate::ui) fn scrolled(self, scroll: u16, last: u16) -> u16 {
        let page = Tiles { columns: 1, rows: 16 };
        let step = match self {
            Self::Left => Self::Up(1),
            Self::Right => Self::Down(1),
            step => step,
        };
        let to = step.taken(usize::from(scroll), usize::from(last), page);
        u16::try_from(to).unwrap_or(last)
    }
}

/// What is at a place of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Target {
    Query,
    /// By its number in the answer.
    Hit(usize),
    Picture,
    Load,
}

pub(in crate::ui) fn target_at(state: &State, at: Position) -> Option<Target> {
    let panes = Panes::of(state);
    let (inner, tiles) = (inside(panes.hits), tiles(state));
    let hit = || {
        let visible = visible(state);
        let rect = |n: usize| hit_area(state, inner, tiles, n);
        (0..visible.len()).find(|n| rect(*n).contains(at)).map(|n| Target::Hit(visible.start + n))
    };
    if panes.query.contains(at) {
        Some(Target::Query)
    } else if panes.picture.contains(at) {
        Some(Target::Picture)
    } else if panes.load.contains(at) {
        Some(Target::Load)
    } else {
        hit()
    }
}

fn hit_area(state: &State, inner: Rect, tiles: Tiles, nth: usize) -> Rect {
    if state.layout.grid {
        return tile(inner, tiles, nth);
    }
    let row = u16::try_from(nth).unwrap_or(u16::MAX);
    Rect { y: inner.y.saturating_add(row), height: 1, ..inner }
}

/// The pictures that are on screen, and those that are likely next; the most
/// important first.
pub(in crate::ui) fn wants(state: &State) -> Vec<Want> {
    let panes = Panes::of(state);
    let mut wants = Vec::new();
    let large = |n: usize| hit_want(state, n, Grade::Large, panes.canvas());
    let selected = state.results().map(|results| results.selected);
    wants.extend(selected.and_then(large));
    wants.extend(query_want(state));
    if !panes.hits.is_empty() && state.layout.grid {
        let (inner, tiles) = (inside(panes.hits), tiles(state));
        let visible = visible(state);
        wants.extend(visible.clone().filter_map(|n| {
            let tile = tile(inner, tiles, n - visible.start);
            hit_want(state, n, Grade::Small, tile_picture(tile))
        }));
    }
    wants.extend(selected.and_then(|n| large(n + 1)));
    wants.extend(selected.and_then(|n| large(n.checked_sub(1)?)));
    wants
}

/// The picture of the `n`th hit, for `area`; nothing if either is not there.
pub(super) fn hit_want(state: &State, n: usize, grade: Grade, area: Rect) -> Option<Want> {
    let hit = state.results()?.answer.hits.get(n)?;
    let source = Source::File(hit.id.location());
    (!area.is_empty()).then(|| Want { source, grade, area: area.as_size() })
}

/// The picture that is asked for, for the query pane.
pub(super) fn query_want(state: &State) -> Option<Want> {
    let area = Panes::of(state).query_picture;
    let source = query_source(state)?;
    (!area.is_empty()).then(|| Want { source, grade: Grade::Small, area: area.as_size() })
}

fn query_source(state: &State) -> Option<Source> {
    let shown = state.results().map(|results| &results.asked);
    let Asked { request, query, .. } = state.search.waiting.as_ref().or(shown)?;
    match query {
        Query::Text(_) => None,
        Query::Picture(path) => Some(Source::File(path.clone())),
        Query::Address(_) => Some(Source::Query(*request)),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Size;

    use super::*;
    use crate::ui::state::LayoutState;

    #[test]
    fn the_panes_fill_any_screen_without_overlapping() {
        for (width, height) in [(1, 1), (20, 5), (60, 16), (110, 32), (200, 60), (400, 200)] {
            for (grid, zoomed) in [(false, false), (true, false), (false, true)] {
                let state = State {
                    screen: Size::new(width, height),
                    layout: LayoutState { grid, zoomed },
                    ..State::default()
                };
                let Panes { query, hits, picture, load, keys, .. } = Panes::of(&state);
                let all = [query, hits, picture, load, keys];
                let covered: u32 = all.iter().map(|pane| pane.area()).sum();
                assert_eq!(covered, u32::from(width) * u32::from(height), "{width}x{height}");
                for (n, one) in all.iter().enumerate() {
                    assert!(all[n + 1..].iter().all(|other| !one.intersects(*other)));
                }
            }
        }
    }

    #[test]
    fn the_selected_hit_is_always_in_sight() {
        for (columns, rows) in [(1, 1), (1, 9), (3, 2), (5, 1)] {
            let tiles = Tiles { columns, rows };
            for selected in 0..40 {
                assert!(tiles.visible(selected, 40).contains(&selected), "{tiles:?} {selected}");
                assert_eq!(tiles.first(selected) % columns, 0);
            }
        }
    }

    #[test]
    fn steps_stay_among_the_hits() {
        let list = Tiles { columns: 1, rows: 10 };
        let grid = Tiles { columns: 3, rows: 2 };
        for (step, from, tiles, to) in [
            (Step::Down(1), 0, list, 1),
            (Step::Up(1), 0, list, 0),
            (Step::Down(1), 7, list, 7),
            (Step::Pages(1), 0, list, 5),
            (Step::Pages(2), 0, list, 7),
            (Step::Pages(-1), 7, list, 2),
            (Step::Down(1), 1, grid, 4),
            // The last row has two hits: one below the third of the second row.
            (Step::Down(1), 5, grid, 7),
            (Step::Down(1), 6, grid, 6),
            (Step::Up(1), 2, grid, 2),
            (Step::Up(1), 5, grid, 2),
            (Step::Right, 7, grid, 7),
            (Step::Left, 3, grid, 2),
            (Step::Last, 0, grid, 7),
            (Step::First, 5, grid, 0),
        ] {
            assert_eq!(step.taken(from, 7, tiles), to, "{step:?} from {from} in {tiles:?}");
        }
    }
}
