//! What the terminal holds of our pictures, and what this frame asks of it.
//!
//! ratatui's diff speaks of cells. Three things about pictures it cannot know:
//! kitty has to receive a picture before the cells that show it, and forget it
//! afterwards; a picture kitty floats over the text has to be taken away when
//! its cells are; and a picture part of which a popup covers cannot be drawn
//! in part. Pictures note themselves here while they render; at the end of the
//! frame [`Placements::settle`] looks after the rest.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ratatui::buffer::{Buffer, Cell, CellDiffOption};
use ratatui::layout::Rect;

use super::kitty::{self, Anchor, ImageNumber};
use super::tmux;

/// Shared by the screen and all pictures on it.
#[derive(Debug, Default)]
pub struct Placements {
    tmux: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Rendered in the frame under way.
    rendered: Vec<Placement>,
    /// Held by the terminal.
    transmitted: BTreeSet<ImageNumber>,
    /// Floating over the text since the last frame, and where.
    floating: Vec<Floating>,
    /// Held by the terminal for nobody.
    abandoned: Vec<ImageNumber>,
}

/// A picture over the text, and the cells it covers.
type Floating = (ImageNumber, Rect);

/// What the terminal has to be told besides the cells of a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// New pictures, which nothing shows yet: before the frame.
    pub transmissions: String,
    /// The end of old ones: after the frame.
    pub removals: String,
}

/// What kitty shows in this frame, and where.
type Shown = (Arc<KittyImage>, Rect);

/// A picture in this frame.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The cells it covers.
    pub area: Rect,
    /// What kitty has to be told, if it draws the picture.
    pub kitty: Option<Arc<KittyImage>>,
}

/// A picture kitty has to hold while it shows.
#[derive(Debug)]
pub struct KittyImage {
    /// Its id in the terminal.
    pub id: ImageNumber,
    /// How it is shown.
    pub anchor: Anchor,
    /// What hands it over.
    pub transmission: String,
}

impl Placement {
    /// What kitty shows of it and where. If something has been drawn over a
    /// picture that cannot be drawn in part, that is nothing, and the rest of
    /// its cells is left blank.
    fn shown_in(self, buffer: &mut Buffer) -> Option<Shown> {
        if !self.has_placeholders() && is_covered(self.area, buffer) {
            withdraw(self.area, buffer);
            return None;
        }
        self.kitty.map(|image| (image, self.area))
    }

    fn has_placeholders(&self) -> bool {
        self.kitty.as_ref().is_some_and(|image| image.anchor == Anchor::Placeholders)
    }
}

impl Placements {
    /// Nothing held. Through `tmux` every command needs an envelope.
    pub fn new(tmux: bool) -> Self {
        Self { tmux, state: Mutex::default() }
    }

    /// Notes a picture in this frame.
    pub fn note(&self, placement: Placement) {
        self.lock().rendered.push(placement);
    }

    /// Notes that nobody has the picture any more.
    pub fn abandon(&self, id: ImageNumber) {
        let mut state = self.lock();
        if state.transmitted.remove(&id) {
            state.floating.retain(|(floating, _)| *floating != id);
            state.abandoned.push(id);
        }
    }

    /// Ends the frame in `buffer`; returns what the terminal has to be told
    /// besides it.
    ///
    /// A floating picture that leaves the screen is deleted and sent again
    /// when it comes back, as kitty may drop pictures without a placement at
    /// any deletion. For the same reason deletions come last: by then every
    /// new picture has its placement, and covers the one it follows.
    pub fn settle(&self, buffer: &mut Buffer) -> Settled {
        let mut state = self.lock();
        let shown: Vec<Shown> = mem::take(&mut state.rendered)
            .into_iter()
            .filter_map(|placement| placement.shown_in(buffer))
            .collect();
        let before = mem::replace(&mut state.floating, floating(&shown));
        let transmissions = transmit(&mut state, &shown);
        let deletions = self.delete_what_left(&mut state, &before);
        Settled {
            transmissions,
            removals: deletions + &self.remove_what_moved(&before, &state.floating),
        }
    }

    /// Deletes what nobody has any more, and what no longer floats anywhere.
    fn delete_what_left(&self, state: &mut State, before: &[Floating]) -> String {
        let mut deleted = mem::take(&mut state.abandoned);
        for (id, _) in before {
            if !is_among(&state.floating, *id) && state.transmitted.remove(id) {
                deleted.push(*id);
            }
        }
        deleted.into_iter().map(|id| self.command(kitty::delete(id))).collect()
    }

    /// Removes what floats elsewhere now from where it was.
    fn remove_what_moved(&self, before: &[Floating], now: &[Floating]) -> String {
        let moved = before.iter().filter(|was| is_among(now, was.0) && !now.contains(was));
        moved.map(|(id, area)| self.command(kitty::remove(*id, *area))).collect()
    }

    /// The terminal has been cleared, or is another one: what it holds is
    /// uncertain, and cleared up before anything new.
    pub fn forget(&self) {
        let mut state = self.lock();
        let uncertain = mem::take(&mut state.transmitted);
        state.abandoned.extend(uncertain);
        state.floating.clear();
    }

    /// What makes the terminal drop all our pictures. Never waits, as it is
    /// called on the way out of a panic.
    pub fn clear(&self) -> String {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return String::new(),
        };
        let State { transmitted, abandoned, .. } = mem::take(&mut *state);
        transmitted.into_iter().chain(abandoned).map(|id| self.command(kitty::delete(id))).collect()
    }

    fn command(&self, sequence: String) -> String {
        if self.tmux { tmux::wrap(&sequence) } else { sequence }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn floating(shown: &[Shown]) -> Vec<Floating> {
    let floating = shown.iter().filter(|(image, _)| image.anchor == Anchor::Cursor);
    floating.map(|(image, area)| (image.id, *area)).collect()
}

fn is_among(floating: &[Floating], id: ImageNumber) -> bool {
    floating.iter().any(|(floating, _)| *floating == id)
}

/// Hands over what the terminal does not hold yet, in place of what it may
/// still hold under the same id.
fn transmit(state: &mut State, shown: &[Shown]) -> String {
    let State { transmitted, abandoned, .. } = state;
    let new = shown.iter().filter(|(image, _)| transmitted.insert(image.id));
    new.map(|(image, _)| {
        abandoned.retain(|id| *id != image.id);
        image.transmission.as_str()
    })
    .collect()
}

/// Whether something has been drawn over a picture: a cell of it is no longer
/// left out of the diff. The first one holds the picture itself.
fn is_covered(area: Rect, buffer: &Buffer) -> bool {
    let first = &buffer[area.as_position()];
    !is_payload(first) || area.positions().skip(1).any(|at| !is_left_out(&buffer[at]))
}

/// Leaves blank what nobody drew over.
fn withdraw(area: Rect, buffer: &mut Buffer) {
    for at in area.positions() {
        let cell = &mut buffer[at];
        if is_payload(cell) || is_left_out(cell) {
            cell.reset();
        }
    }
}

fn is_left_out(cell: &Cell) -> bool {
    cell.diff_option == CellDiffOption::Skip && cell.symbol() == " "
}

fn is_payload(cell: &Cell) -> bool {
    matches!(cell.diff_option, CellDiffOption::ForcedWidth(_)) && cell.symbol().starts_with('\x1b')
}

#[cfg(test)]
mod tests {
    use ratatui::widgets::{Clear, Widget as _};

    use super::*;
    use crate::ui::graphics::Picture;

    const AREA: Rect = Rect::new(0, 0, 10, 5);

    fn screen() -> (Arc<Placements>, Buffer) {
        (Arc::new(Placements::new(false)), Buffer::empty(AREA))
    }

    fn picture(placements: &Arc<Placements>, n: u32, anchor: Anchor) -> (Picture, ImageNumber) {
        let id = ImageNumber::nth(n);
        let image = KittyImage { id, anchor, transmission: "<transmit>".to_owned() };
        (Picture::from_kitty(image, (4, 2).into(), Arc::clone(placements)), id)
    }

    fn transmission() -> Settled {
        Settled { transmissions: "<transmit>".to_owned(), removals: String::new() }
    }

    fn removal(removals: String) -> Settled {
        Settled { transmissions: String::new(), removals }
    }

    #[test]
    fn a_picture_is_transmitted_once_and_deleted_when_dropped() {
        for anchor in [Anchor::Cursor, Anchor::Placeholders] {
            let (placements, mut buffer) = screen();
            let (picture, id) = picture(&placements, 1, anchor);
            picture.render(AREA, &mut buffer);
            assert_eq!(placements.settle(&mut buffer), transmission());
            picture.render(AREA, &mut buffer);
            assert_eq!(placements.settle(&mut buffer), Settled::default());
            drop(picture);
            assert_eq!(placements.settle(&mut buffer), removal(kitty::delete(id)));
            assert_eq!(placements.settle(&mut buffer), Settled::default());
        }
    }

    #[test]
    fn a_picture_never_shown_costs_nothing() {
        let (placements, mut buffer) = screen();
        drop(picture(&placements, 1, Anchor::Placeholders));
        assert_eq!(placements.settle(&mut buffer), Settled::default());
    }

    #[test]
    fn a_floating_picture_leaves_with_its_cells_and_is_sent_again() {
        let (placements, mut buffer) = screen();
        let (picture, id) = picture(&placements, 1, Anchor::Cursor);
        picture.render(AREA, &mut buffer);
        placements.settle(&mut buffer);
        assert_eq!(placements.settle(&mut buffer), removal(kitty::delete(id)));
        assert_eq!(placements.settle(&mut buffer), Settled::default());
        picture.render(AREA, &mut buffer);
        assert_eq!(placements.settle(&mut buffer), transmission());
    }

    #[test]
    fn a_picture_of_placeholders_leaves_with_its_cells_and_is_held() {
        let (placements, mut buffer) = screen();
        let (picture, _) = picture(&placements, 1, Anchor::Placeholders);
        picture.render(AREA, &mut buffer);
        placements.settle(&mut buffer);
        assert_eq!(placements.settle(&mut buffer), Settled::default());
        picture.render(AREA, &mut buffer);
        assert_eq!(placements.settle(&mut buffer), Settled::default());
    }

    #[test]
    fn a_moved_picture_leaves_its_old_place_and_is_not_sent_again() {
        let (placements, mut buffer) = screen();
        let (picture, id) = picture(&placements, 1, Anchor::Cursor);
        picture.render(Rect::new(0, 0, 4, 2), &mut buffer);
        placements.settle(&mut buffer);
        picture.render(Rect::new(4, 0, 4, 2), &mut buffer);
        let removed = kitty::remove(id, Rect::new(0, 0, 4, 2));
        assert_eq!(placements.settle(&mut buffer), removal(removed));
    }

    #[test]
    fn one_picture_floats_in_two_places() {
        let (placements, mut buffer) = screen();
        let (picture, id) = picture(&placements, 1, Anchor::Cursor);
        let (left, right) = (Rect::new(0, 0, 4, 2), Rect::new(4, 0, 4, 2));
        picture.render(left, &mut buffer);
        picture.render(right, &mut buffer);
        assert_eq!(placements.settle(&mut buffer), transmission());
        picture.render(right, &mut buffer);
        assert_eq!(placements.settle(&mut buffer), removal(kitty::remove(id, left)));
    }

    #[test]
    fn new_pictures_come_before_the_frame_and_the_end_of_old_ones_after_it() {
        let (placements, mut buffer) = screen();
        let (gone, old) = picture(&placements, 1, Anchor::Cursor);
        let (stays, moved) = picture(&placements, 2, Anchor::Cursor);
        let (left, right) = (Rect::new(0, 0, 4, 2), Rect::new(4, 0, 4, 2));
        gone.render(left, &mut buffer);
        stays.render(right, &mut buffer);
        placements.settle(&mut buffer);
        let (new, _) = picture(&placements, 3, Anchor::Cursor);
        new.render(right, &mut buffer);
        stays.render(left, &mut buffer);
        let removals = kitty::delete(old) + &kitty::remove(moved, right);
        let expected = Settled { removals, ..transmission() };
        assert_eq!(placements.settle(&mut buffer), expected);
    }

    #[test]
    fn a_picture_under_a_popup_is_withdrawn() {
        let (placements, mut buffer) = screen();
        let (picture, _) = picture(&placements, 1, Anchor::Cursor);
        picture.render(AREA, &mut buffer);
        Clear.render(Rect::new(5, 2, 5, 3), &mut buffer);
        assert_eq!(placements.settle(&mut buffer), Settled::default());
        assert_eq!(buffer, Buffer::empty(AREA));
    }

    #[test]
    fn a_popup_beside_a_picture_leaves_it_alone() {
        let (placements, mut buffer) = screen();
        let (picture, _) = picture(&placements, 1, Anchor::Cursor);
        picture.render(AREA, &mut buffer);
        Clear.render(Rect::new(7, 0, 3, 5), &mut buffer);
        assert_eq!(placements.settle(&mut buffer), transmission());
        assert!(is_payload(&buffer[(3, 1)]));
    }

    #[test]
    fn a_cleared_terminal_gets_the_picture_again() {
        let (placements, mut buffer) = screen();
        let (picture, _) = picture(&placements, 1, Anchor::Placeholders);
        picture.render(AREA, &mut buffer);
        placements.settle(&mut buffer);
        placements.forget();
        picture.render(AREA, &mut buffer);
        assert_eq!(placements.settle(&mut buffer), transmission());
    }

    #[test]
    fn on_the_way_out_every_picture_is_deleted() {
        let (placements, mut buffer) = screen();
        let (picture, id) = picture(&placements, 1, Anchor::Cursor);
        picture.render(AREA, &mut buffer);
        placements.settle(&mut buffer);
        assert_eq!(placements.clear(), kitty::delete(id));
        assert_eq!(placements.clear(), "");
    }
}
