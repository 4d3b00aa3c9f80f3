//! The pictures on screen, from file to cells: which are wanted now, which are
//! under way, which are kept. Pure: it asks for work by effects.
//!
//! What the newest state wants comes first; what nobody wants any more is
//! cancelled; a picture for another size of pane is encoded from the pixels
//! that are here already.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use image::DynamicImage;
use lru::LruCache;
use ratatui::layout::Size;

use super::graphics::Picture;
use super::message::Effect;
use crate::backend::{Event, Request, RequestId, Thumbnail};
use crate::domain::PixelSize;

/// Files decoded at a time: enough to keep a disk and a core busy, few enough
/// to turn to something else quickly.
const DECODING: usize = 2;

/// How large a picture is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Grade {
    /// For the large pane.
    Large,
    /// For a tile of the grid, or the query pane.
    Small,
}

impl Grade {
    /// No pane shows more.
    const fn bounds(self) -> PixelSize {
        match self {
            Self::Large => PixelSize { width: 1920, height: 1440 },
            Self::Small => PixelSize { width: 400, height: 300 },
        }
    }
}

/// Which pixels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Those of a file.
    File(PathBuf),
    /// Those of the query that this request asked.
    Query(RequestId),
}

/// A picture that is, or will soon be, on screen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Want {
    pub(super) source: Source,
    pub(super) grade: Grade,
    /// The cells it may cover.
    pub(super) area: Size,
}

/// What there is to see of a picture.
#[derive(Debug)]
pub(super) enum Shown<'a> {
    /// It can be drawn.
    Picture(&'a Picture),
    /// It is being made.
    Pending,
    /// It cannot be shown, for this reason.
    Failed(&'a str),
}

type Pixels = (Source, Grade);

/// See the module.
#[derive(Debug)]
pub(super) struct Gallery {
    large: Shelf,
    small: Shelf,
    decoding: HashMap<RequestId, Pixels>,
    /// One at a time: viuer takes no more.
    encoding: Option<(RequestId, Want)>,
}

/// What is kept of one grade, the longest unused given up first.
#[derive(Debug)]
struct Shelf {
    decoded: LruCache<Source, Decoded>,
    drawn: LruCache<Want, Drawn>,
}

impl Shelf {
    fn of(places: usize) -> Self {
        let places = NonZeroUsize::new(places).unwrap_or(NonZeroUsize::MIN);
        Self { decoded: LruCache::new(places), drawn: LruCache::new(places) }
    }
}

#[derive(Debug)]
enum Decoded {
    Pixels(Arc<DynamicImage>),
    Failed(String),
}

#[derive(Debug)]
enum Drawn {
    Picture(Picture),
    Failed(String),
}

impl Default for Gallery {
    /// The selected picture, its neighbours and a few before them; more tiles
    /// than any screen has. About 150 MB when full.
    fn default() -> Self {
        Self {
            large: Shelf::of(8),
            small: Shelf::of(256),
            decoding: HashMap::new(),
            encoding: None,
        }
    }
}

impl Gallery {
    /// What can be shown for `want` now.
    pub(super) fn shown(&self, want: &Want) -> Shown<'_> {
        let shelf = self.shelf(want.grade);
        match shelf.drawn.peek(want) {
            Some(Drawn::Picture(picture)) => return Shown::Picture(picture),
            Some(Drawn::Failed(reason)) => return Shown::Failed(reason),
            None => {}
        }
        match shelf.decoded.peek(&want.source) {
            Some(Decoded::Failed(reason)) => Shown::Failed(reason),
            _ => self.of_other_size(want).map_or(Shown::Pending, Shown::Picture),
        }
    }

    /// The same picture made for another size, to bridge the moment after a
    /// resize.
    fn of_other_size(&self, want: &Want) -> Option<&Picture> {
        let Size { width, height } = want.area;
        let drawn = self.shelf(want.grade).drawn.iter();
        drawn.into_iter().find_map(|(drawn, picture)| match picture {
            Drawn::Picture(picture) if drawn.source == want.source => {
                let size = picture.size();
                (size.width <= width && size.height <= height).then_some(picture)
            }
            _ => None,
        })
    }

    /// Takes pixels that came another way.
    pub(super) fn put(&mut self, source: Source, grade: Grade, thumbnail: Thumbnail) {
        self.shelf_mut(grade).decoded.put(source, Decoded::Pixels(thumbnail.picture));
    }

    /// Forgets what failed, so that it is tried again.
    pub(super) fn forgive(&mut self) {
        for shelf in [&mut self.large, &mut self.small] {
            let failed = |(source, decoded): (&Source, &Decoded)| {
                matches!(decoded, Decoded::Failed(_)).then(|| source.clone())
            };
            let failed: Vec<Source> = shelf.decoded.iter().filter_map(failed).collect();
            for source in failed {
                shelf.decoded.pop(&source);
            }
        }
    }

    /// Forgets what was made for cells of another size.
    pub(super) fn forget_drawn(&mut self) {
        self.large.drawn.clear();
        self.small.drawn.clear();
    }

    /// Whether anything is under way.
    pub(super) fn is_waiting(&self) -> bool {
        !self.decoding.is_empty() || self.encoding.is_some()
    }

    /// Whether the answer to this request is awaited here.
    pub(super) fn awaits(&self, id: RequestId) -> bool {
        self.decoding.contains_key(&id)
    }

    /// Takes the answer to a request for pixels.
    pub(super) fn decoded(&mut self, event: Event) {
        let Some((source, grade)) = self.decoding.remove(&event.request()) else { return };
        let decoded = match event {
            Event::ThumbnailReady(_, thumbnail) => Decoded::Pixels(thumbnail.picture),
            Event::Failed(_, failure) => Decoded::Failed(failure.causes.join(": ")),
            // Cancelled: nobody wanted it.
            _ => return,
        };
        self.shelf_mut(grade).decoded.put(source, decoded);
    }

    /// Takes a picture turned into cells.
    pub(super) fn encoded(&mut self, id: RequestId, picture: Result<Picture, String>) {
        let Some((_, want)) = self.encoding.take_if(|(encoding, _)| *encoding == id) else {
            return;
        };
        let drawn = picture.map_or_else(Drawn::Failed, Drawn::Picture);
        self.shelf_mut(want.grade).drawn.put(want, drawn);
    }

    /// Asks for what `wants` lack, the most important first, and no more for
    /// what is not among them.
    pub(super) fn settle(
        &mut self,
        wants: &[Want],
        mut next_id: impl FnMut() -> RequestId,
    ) -> Vec<Effect> {
        let mut effects = self.cancel_unwanted(wants);
        for want in wants {
            let idle = self.encoding.is_none();
            let shelf = self.shelf_mut(want.grade);
            if shelf.drawn.get(want).is_some() {
                continue;
            }
            match shelf.decoded.get(&want.source) {
                Some(Decoded::Pixels(pixels)) if idle => {
                    let id = next_id();
                    effects.push(Effect::Encode(id, Arc::clone(pixels), want.area));
                    self.encoding = Some((id, want.clone()));
                }
                Some(_) => {}
                None => effects.extend(self.decode(pixels(want), &mut next_id)),
            }
        }
        effects
    }

    fn shelf(&self, grade: Grade) -> &Shelf {
        match grade {
            Grade::Large => &self.large,
            Grade::Small => &self.small,
        }
    }

    fn shelf_mut(&mut self, grade: Grade) -> &mut Shelf {
        match grade {
            Grade::Large => &mut self.large,
            Grade::Small => &mut self.small,
        }
    }

    fn decode(&mut self, key: Pixels, next_id: &mut impl FnMut() -> RequestId) -> Option<Effect> {
        let under_way = self.decoding.values().any(|decoding| *decoding == key);
        let (Source::File(path), grade) = &key else { return None };
        if under_way || self.decoding.len() >= DECODING {
            return None;
        }
        let id = next_id();
        let request = Request::Thumbnail { id, path: path.clone(), bounds: grade.bounds() };
        self.decoding.insert(id, key);
        Some(Effect::Send(request))
    }

    /// Their places are free at once, as a decoder that runs cannot be
    /// interrupted; its answer is passed over.
    fn cancel_unwanted(&mut self, wants: &[Want]) -> Vec<Effect> {
        let unwanted = |key: &Pixels| !wants.iter().any(|want| pixels(want) == *key);
        self.decoding
            .extract_if(|_, key| unwanted(key))
            .map(|(id, _)| Effect::Send(Request::Cancel(id)))
            .collect()
    }
}

fn pixels(want: &Want) -> Pixels {
    (want.source.clone(), want.grade)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Failure;

    struct Scene {
        gallery: Gallery,
        last: u64,
    }

    fn want(name: &str, width: u16) -> Want {
        Want { source: Source::File(name.into()), grade: Grade::Large, area: Size::new(width, 10) }
    }

    fn thumbnail() -> Thumbnail {
        Thumbnail {
            picture: Arc::new(DynamicImage::new_rgb8(4, 4)),
            pixels: PixelSize { width: 4, height: 4 },
        }
    }

    fn picture() -> Picture {
        Picture::from_half_blocks("\x1b[0m\x1b[38;2;1;1;1m▄▄\x1b[0m\n").unwrap()
    }

    impl Scene {
        fn new() -> Self {
            Self { gallery: Gallery::default(), last: 0 }
        }

        fn settle(&mut self, wants: &[Want]) -> Vec<Effect> {
            self.gallery.settle(wants, || {
                self.last += 1;
                RequestId(self.last)
            })
        }

        /// Decodes and encodes until nothing is asked for any more.
        fn finish(&mut self, wants: &[Want]) {
            loop {
                let effects = self.settle(wants);
                if effects.is_empty() {
                    return;
                }
                for effect in effects {
                    match effect {
                        Effect::Send(Request::Thumbnail { id, .. }) => {
                            self.gallery.decoded(Event::ThumbnailReady(id, thumbnail()));
                        }
                        Effect::Encode(id, ..) => self.gallery.encoded(id, Ok(picture())),
                        effect => panic!("{effect:?}"),
                    }
                }
            }
        }

        fn is_shown(&self, want: &Want) -> bool {
            matches!(self.gallery.shown(want), Shown::Picture(_))
        }
    }

    #[test]
    fn the_most_important_picture_is_asked_for_first() {
        let mut scene = Scene::new();
        let wants = ["a", "b", "c"].map(|name| want(name, 9));
        let asked: Vec<PathBuf> = scene
            .settle(&wants)
            .into_iter()
            .map(|effect| match effect {
                Effect::Send(Request::Thumbnail { path, .. }) => path,
                effect => panic!("{effect:?}"),
            })
            .collect();
        assert_eq!(asked, [PathBuf::from("a"), PathBuf::from("b")]);
        assert!(scene.settle(&wants).is_empty());
    }

    #[test]
    fn all_that_is_wanted_is_shown_in_the_end_and_asked_for_once() {
        let mut scene = Scene::new();
        let wants = ["a", "b", "c"].map(|name| want(name, 9));
        scene.finish(&wants);
        assert!(wants.iter().all(|want| scene.is_shown(want)));
        assert!(!scene.gallery.is_waiting());
        assert!(scene.settle(&wants).is_empty());
    }

    #[test]
    fn what_is_no_longer_wanted_is_cancelled_and_its_answer_passed_over() {
        let mut scene = Scene::new();
        scene.settle(&[want("a", 9)]);
        let effects = scene.settle(&[want("b", 9)]);
        assert!(
            matches!(
                &effects[..],
                [
                    Effect::Send(Request::Cancel(RequestId(1))),
                    Effect::Send(Request::Thumbnail { id: RequestId(2), .. }),
                ]
            ),
            "{effects:?}"
        );
        assert!(!scene.gallery.awaits(RequestId(1)));
        scene.gallery.decoded(Event::ThumbnailReady(RequestId(1), thumbnail()));
        assert!(matches!(scene.gallery.shown(&want("a", 9)), Shown::Pending));
    }

    #[test]
    fn another_size_needs_no_second_look_at_the_file() {
        let mut scene = Scene::new();
        scene.finish(&[want("a", 9)]);
        let effects = scene.settle(&[want("a", 20)]);
        assert!(matches!(&effects[..], [Effect::Encode(_, _, Size { width: 20, .. })]));
        // Meanwhile the old one bridges the gap, where there is room for it.
        assert!(scene.is_shown(&want("a", 20)));
        assert!(!scene.is_shown(&want("a", 1)));
    }

    #[test]
    fn a_stale_encoding_is_passed_over() {
        let mut scene = Scene::new();
        scene.gallery.encoded(RequestId(9), Ok(picture()));
        assert!(!scene.is_shown(&want("a", 9)));
    }

    #[test]
    fn a_failure_is_said_once_and_tried_again_when_forgiven() {
        let mut scene = Scene::new();
        scene.settle(&[want("a", 9)]);
        let failure =
            Failure { doing: String::new(), causes: vec!["is damaged".into()], hint: None };
        scene.gallery.decoded(Event::Failed(RequestId(1), failure));
        assert!(matches!(scene.gallery.shown(&want("a", 9)), Shown::Failed("is damaged")));
        assert!(scene.settle(&[want("a", 9)]).is_empty());
        scene.gallery.forgive();
        assert_eq!(scene.settle(&[want("a", 9)]).len(), 1);
    }
}
