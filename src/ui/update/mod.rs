//! How the state changes. No I/O, no clock, no terminal: only data in and out.

use std::sync::Arc;

use ratatui::layout::Size;

use super::message::{Effect, Message};
use super::state::{Answered, BackendState, DownloadState, Focus, LoadState, PictureState, State};
use super::view;
use crate::backend::{
    Event, Failure, LoadProgress, PullProgress, Query, Request, RequestId, Status, Thumbnail,
};
use crate::domain::PixelSize;

/// Pictures are decoded no larger than this: more than any pane shows.
const THUMBNAIL: PixelSize = PixelSize { width: 1920, height: 1440 };

/// What is to be done first, before anything has happened.
pub fn start(state: &mut State) -> Vec<Effect> {
    vec![ask_status(state)]
}

/// Applies `message` to `state`, and says what must be done next.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Edit(edit) => {
            state.query.handle(edit);
        }
        Message::Paste(text) => paste(state, &text),
        Message::Submit => return submit(state),
        Message::Understood(query) => return understood(state, query),
        Message::Select(by) => return select(state, |at| at.saturating_add_signed(by)),
        Message::SelectFirst => return select(state, |_| 0),
        Message::SelectLast => return select(state, |_| usize::MAX),
        Message::MoreLikeThis => return more_like_this(state),
        Message::Focus(focus) => state.focus = focus,
        Message::Back => back(state),
        Message::ToggleHelp => state.help = !state.help,
        Message::Download => return download(state),
        Message::Stop => return stop(state),
        Message::Resized(size) => return resized(state, size),
        Message::Suspend => return vec![Effect::Suspend],
        Message::Quit => return vec![Effect::Quit],
        Message::Backend(event) => return apply(state, event),
        Message::Encoded(id, picture) => encoded(state, id, picture),
    }
    Vec::new()
}

/// Line breaks in what was pasted would end the query too early.
fn paste(state: &mut State, text: &str) {
    state.focus = Focus::Query;
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        state.query.handle(tui_input::InputRequest::InsertChar(c));
    }
}

fn submit(state: &State) -> Vec<Effect> {
    let typed = state.query.value().trim();
    if typed.is_empty() { Vec::new() } else { vec![Effect::Understand(typed.to_owned())] }
}

fn understood(state: &mut State, query: Option<Query>) -> Vec<Effect> {
    let Some(query) = query else { return Vec::new() };
    state.focus = Focus::Results;
    vec![search(state, query)]
}

fn search(state: &mut State, query: Query) -> Effect {
    let id = state.next_id();
    state.search.waiting = Some((id, query.clone()));
    Effect::Send(Request::Search { id, query, limit: state.limit })
}

fn more_like_this(state: &mut State) -> Vec<Effect> {
    let Some(hit) = state.selected() else { return Vec::new() };
    let path = hit.id.location();
    state.query = path.to_string_lossy().into_owned().into();
    vec![search(state, Query::Picture(path))]
}

fn select(state: &mut State, to: impl FnOnce(usize) -> usize) -> Vec<Effect> {
    let Answered::Hits { answer, selected, .. } = &mut state.search.answered else {
        return Vec::new();
    };
    let before = *selected;
    *selected = to(before).min(answer.hits.len().saturating_sub(1));
    if *selected == before { Vec::new() } else { show_selected(state) }
}

/// Asks for the picture of the selected hit.
fn show_selected(state: &mut State) -> Vec<Effect> {
    let Some(path) = state.selected().map(|hit| hit.id.location()) else {
        state.picture = PictureState::None;
        return Vec::new();
    };
    let id = state.next_id();
    state.picture = PictureState::Decoding(id);
    vec![Effect::Send(Request::Thumbnail { id, path, bounds: THUMBNAIL })]
}

fn back(state: &mut State) {
    if state.help {
        state.help = false;
    } else if matches!(state.download, DownloadState::Offered(_) | DownloadState::Failed(_)) {
        state.download = DownloadState::Idle;
    } else if state.focus == Focus::Results {
        state.focus = Focus::Query;
    } else {
        state.query.reset();
    }
}

fn download(state: &mut State) -> Vec<Effect> {
    let offer = match (&state.download, &state.backend) {
        (DownloadState::Running(..), _) => return Vec::new(),
        (DownloadState::Offered(offer), _) => Some(offer.clone()),
        (_, BackendState::Ready(status)) => status.offer.clone(),
        _ => None,
    };
    let Some(offer) = offer else { return Vec::new() };
    let id = state.next_id();
    state.download = DownloadState::Running(id, offer.preset.clone(), PullProgress::default());
    vec![Effect::Send(Request::Pull { id, preset: offer.preset })]
}

/// The download first, as it is the one that was asked for.
fn stop(state: &mut State) -> Vec<Effect> {
    match (&state.download, &state.load) {
        (DownloadState::Running(id, ..), _) | (_, LoadState::Running { id, .. }) => {
            vec![Effect::Send(Request::Cancel(*id))]
        }
        _ => Vec::new(),
    }
}

fn resized(state: &mut State, size: Size) -> Vec<Effect> {
    state.screen = size;
    encode(state)
}

/// Turns the decoded picture into cells for its pane as it is now.
fn encode(state: &mut State) -> Vec<Effect> {
    let id = state.next_id();
    let area = view::picture_area(state).as_size();
    let PictureState::Decoded { encoding, decoded, .. } = &mut state.picture else {
        return Vec::new();
    };
    *encoding = Some(id);
    vec![Effect::Encode(id, Arc::clone(decoded), area)]
}

fn encoded(state: &mut State, id: RequestId, picture: Result<super::graphics::Picture, String>) {
    let PictureState::Decoded { encoding, encoded, .. } = &mut state.picture else { return };
    if *encoding != Some(id) {
        return;
    }
    *encoding = None;
    match picture {
        Ok(picture) => *encoded = Some(picture),
        Err(reason) => state.picture = PictureState::Failed(reason),
    }
}

fn ask_status(state: &mut State) -> Effect {
    let id = state.next_id();
    state.backend = BackendState::Opening(id);
    Effect::Send(Request::Status { id })
}

/// An event that no pane is waiting for answers a superseded request.
fn apply(state: &mut State, event: Event) -> Vec<Effect> {
    let id = event.request();
    if state.search.waiting.as_ref().is_some_and(|(waiting, _)| *waiting == id) {
        return searched(state, event);
    }
    match (&state.backend, &state.load, &state.download, &state.picture) {
        (BackendState::Opening(waiting), ..) if *waiting == id => opened(state, event),
        (_, LoadState::Running { id: waiting, .. }, ..) if *waiting == id => loading(state, event),
        (_, _, DownloadState::Running(waiting, ..), _) if *waiting == id => pulling(state, event),
        (_, _, _, PictureState::Decoding(waiting)) if *waiting == id => decoded(state, event),
        _ => Vec::new(),
    }
}

fn searched(state: &mut State, event: Event) -> Vec<Effect> {
    let Some((_, query)) = state.search.waiting.take() else { return Vec::new() };
    match event {
        Event::SearchFinished(_, answer) => {
            let again = matches!(&state.search.answered, Answered::Hits { query: before, .. } if *before == query);
            let kept = state.selected().filter(|_| again).map(|hit| hit.id.clone());
            let at = kept.as_ref().and_then(|id| answer.hits.iter().position(|hit| hit.id == *id));
            state.search.answered = Answered::Hits { query, answer, selected: at.unwrap_or(0) };
            if at.is_some() { Vec::new() } else { show_selected(state) }
        }
        Event::Failed(_, failure) => {
            state.search.answered = Answered::Failed(failure);
            state.picture = PictureState::None;
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn opened(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::StatusReported(_, status) => ready(state, status),
        Event::Failed(_, failure) => {
            state.backend = BackendState::Failed(failure);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn ready(state: &mut State, status: Status) -> Vec<Effect> {
    let mut effects = Vec::new();
    let free = matches!(state.download, DownloadState::Idle);
    if let Some(offer) = status.offer.clone().filter(|_| free && !state.offered_before) {
        state.download = DownloadState::Offered(offer);
        state.offered_before = true;
        effects.push(Effect::RememberOffer);
    }
    state.folders_to_load = status.folders_or(state.images.clone()).into();
    state.backend = BackendState::Ready(Box::new(status));
    effects.extend(load_next(state));
    effects
}

/// A folder that is gone today is no reason to complain at every start.
fn load_next(state: &mut State) -> Option<Effect> {
    state.folders_to_load.pop_front().map(Effect::LoadIfThere)
}

/// Begins to load `folder`, which is there.
pub(super) fn load(state: &mut State, folder: std::path::PathBuf) -> Effect {
    let id = state.next_id();
    state.load = LoadState::Running { id, progress: LoadProgress::default(), failed: Vec::new() };
    Effect::Send(Request::Load { id, folder })
}

/// Goes on with the next folder, as this one is not there.
pub(super) fn skip_folder(state: &mut State) -> Option<Effect> {
    load_next(state)
}

fn loading(state: &mut State, event: Event) -> Vec<Effect> {
    let LoadState::Running { progress, failed, .. } = &mut state.load else { return Vec::new() };
    match event {
        Event::LoadProgress(_, now) => *progress = now,
        Event::PictureFailed(_, problem) => failed.push(problem),
        Event::LoadFinished(_, progress) => {
            let (changed, failed) = (progress.embedded > 0, std::mem::take(failed));
            state.load = LoadState::Finished { progress, failed };
            return loaded(state, changed);
        }
        Event::Cancelled(_) => state.load = LoadState::Stopped(std::mem::take(progress)),
        Event::Failed(_, failure) => state.load = LoadState::Failed(failure),
        _ => {}
    }
    Vec::new()
}

/// What was found before may not be the best any more.
fn loaded(state: &mut State, changed: bool) -> Vec<Effect> {
    let mut effects: Vec<Effect> = load_next(state).into_iter().collect();
    let asked = match &state.search.answered {
        Answered::Hits { query, .. } if changed && state.search.waiting.is_none() => {
            Some(query.clone())
        }
        _ => None,
    };
    effects.extend(asked.map(|query| search(state, query)));
    effects
}

fn pulling(state: &mut State, event: Event) -> Vec<Effect> {
    let DownloadState::Running(id, name, _) = &state.download else { return Vec::new() };
    match event {
        Event::PullProgress(_, progress) => {
            state.download = DownloadState::Running(*id, name.clone(), progress);
        }
        Event::Pulled(..) => {
            state.download = DownloadState::Idle;
            return vec![ask_status(state)];
        }
        Event::Failed(_, failure) => state.download = DownloadState::Failed(failure),
        _ => state.download = DownloadState::Idle,
    }
    Vec::new()
}

fn decoded(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::ThumbnailReady(_, Thumbnail { picture, .. }) => {
            let decoded = Arc::new(picture);
            state.picture = PictureState::Decoded { encoding: None, decoded, encoded: None };
            encode(state)
        }
        Event::Failed(_, Failure { causes, .. }) => {
            state.picture = PictureState::Failed(causes.join(": "));
            Vec::new()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use image::DynamicImage;

    use super::*;
    use crate::backend::{Answer, Offer};
    use crate::domain::{Fingerprint, Hit, ImageId, ModelId, Similarity};
    use crate::ui::graphics::Picture;

    fn state() -> State {
        let mut state = State::new("half-blocks".into(), 10, "pictures".into(), false);
        update(&mut state, Message::Resized(Size::new(100, 30)));
        state
    }

    fn status(offer: Option<Offer>) -> Status {
        Status {
            model: ModelId { name: "compact".into(), fingerprint: Fingerprint([0; 32]) },
            dimension: 2,
            compact: true,
            offer,
            collection: PathBuf::new(),
            spaces: Vec::new(),
        }
    }

    fn offer() -> Offer {
        Offer { preset: "full".into(), bytes: 605_000_000, licence: "MIT".into() }
    }

    fn answer(names: &[&str]) -> Answer {
        let hit = |name: &&str| Hit {
            id: ImageId::new(Path::new("/cars"), Path::new(*name)),
            similarity: Similarity::from_cosine(0.5),
            pixels: None,
        };
        Answer { hits: names.iter().map(hit).collect(), searched: 60 }
    }

    fn text(words: &str) -> Query {
        Query::Text(words.into())
    }

    /// Asks for `words` and returns the request's id.
    fn ask(state: &mut State, words: &str) -> RequestId {
        match &update(state, Message::Understood(Some(text(words))))[..] {
            [Effect::Send(Request::Search { id, query, limit: 10 })] if *query == text(words) => {
                *id
            }
            effects => panic!("{effects:?}"),
        }
    }

    /// Asks and is answered; returns the id of the picture that is wanted.
    fn found(state: &mut State, words: &str, names: &[&str]) -> Option<RequestId> {
        let id = ask(state, words);
        wanted(&update(state, Message::Backend(Event::SearchFinished(id, answer(names)))))
    }

    fn wanted(effects: &[Effect]) -> Option<RequestId> {
        effects.iter().find_map(|effect| match effect {
            Effect::Send(Request::Thumbnail { id, .. }) => Some(*id),
            _ => None,
        })
    }

    fn selected(state: &State) -> Option<&Path> {
        state.selected().map(|hit| hit.id.path())
    }

    fn failure() -> Failure {
        Failure { doing: "searching".into(), causes: vec!["a reason".into()], hint: None }
    }

    #[test]
    fn an_empty_query_asks_nothing() {
        let mut state = state();
        update(&mut state, Message::Paste("  \n ".into()));
        assert!(update(&mut state, Message::Submit).is_empty());
        assert!(update(&mut state, Message::Understood(None)).is_empty());
        assert!(state.search.waiting.is_none());
    }

    #[test]
    fn what_is_pasted_is_one_line_of_the_query() {
        let mut state = state();
        state.focus = Focus::Results;
        update(&mut state, Message::Paste("red\ncar\n".into()));
        assert_eq!(state.query.value(), "red car");
        assert_eq!(state.focus, Focus::Query);
    }

    #[test]
    fn a_stale_answer_is_ignored() {
        let mut state = state();
        let stale = ask(&mut state, "red");
        let fresh = ask(&mut state, "red car");
        let effects = update(
            &mut state,
            Message::Backend(Event::SearchFinished(stale, answer(&["old.jpg"]))),
        );
        assert!(effects.is_empty() && state.selected().is_none());
        update(&mut state, Message::Backend(Event::SearchFinished(fresh, answer(&["new.jpg"]))));
        assert_eq!(selected(&state), Some(Path::new("new.jpg")));
        assert_eq!(state.focus, Focus::Results);
    }

    #[test]
    fn the_selection_stops_at_both_ends_and_asks_for_its_picture() {
        let mut state = state();
        assert!(found(&mut state, "red", &["a.jpg", "b.jpg"]).is_some());
        assert!(update(&mut state, Message::Select(-1)).is_empty());
        assert!(wanted(&update(&mut state, Message::Select(5))).is_some());
        assert_eq!(selected(&state), Some(Path::new("b.jpg")));
        assert!(update(&mut state, Message::SelectLast).is_empty());
        assert!(wanted(&update(&mut state, Message::SelectFirst)).is_some());
    }

    #[test]
    fn a_picture_is_encoded_for_its_pane_and_a_stale_one_is_ignored() {
        let mut state = state();
        let stale = found(&mut state, "red", &["a.jpg", "b.jpg"]).unwrap();
        let fresh = wanted(&update(&mut state, Message::Select(1))).unwrap();
        let picture = || Thumbnail {
            picture: DynamicImage::new_rgb8(4, 4),
            pixels: PixelSize { width: 4, height: 4 },
        };
        let ready = |id| Message::Backend(Event::ThumbnailReady(id, picture()));
        assert!(update(&mut state, ready(stale)).is_empty());
        let effects = update(&mut state, ready(fresh));
        let [Effect::Encode(first, _, area)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(*area, view::picture_area(&state).as_size());
        let again = update(&mut state, Message::Resized(Size::new(80, 24)));
        let [Effect::Encode(second, _, smaller)] = &again[..] else { panic!("{again:?}") };
        assert!(smaller.width < area.width);
        let cells = || Picture::from_half_blocks("\x1b[0m\x1b[38;2;1;1;1m▄\x1b[0m\n");
        update(&mut state, Message::Encoded(*first, Ok(cells().unwrap())));
        assert!(state.is_waiting(), "the encoding of the old size is not the one awaited");
        update(&mut state, Message::Encoded(*second, Ok(cells().unwrap())));
        assert!(!state.is_waiting());
    }

    #[test]
    fn a_failed_search_explains_itself_and_the_old_picture_goes() {
        let mut state = state();
        found(&mut state, "red", &["a.jpg"]);
        let id = ask(&mut state, "blue");
        update(&mut state, Message::Backend(Event::Failed(id, failure())));
        assert!(matches!(&state.search.answered, Answered::Failed(shown) if *shown == failure()));
        assert!(matches!(state.picture, PictureState::None));
    }

    #[test]
    fn a_load_asks_the_last_query_again_and_keeps_the_selection() {
        let mut state = state();
        found(&mut state, "red", &["a.jpg", "b.jpg"]);
        update(&mut state, Message::Select(1));
        let Effect::Send(Request::Load { id, .. }) = load(&mut state, "/cars".into()) else {
            panic!("a load")
        };
        let progress = LoadProgress { embedded: 3, ..LoadProgress::default() };
        let effects = update(&mut state, Message::Backend(Event::LoadFinished(id, progress)));
        let [Effect::Send(Request::Search { id, .. })] = &effects[..] else {
            panic!("{effects:?}")
        };
        let more = answer(&["new.jpg", "a.jpg", "b.jpg"]);
        update(&mut state, Message::Backend(Event::SearchFinished(*id, more)));
        assert_eq!(selected(&state), Some(Path::new("b.jpg")));
    }

    #[test]
    fn an_empty_collection_is_given_the_configured_folder() {
        let mut state = state();
        let effects = start(&mut state);
        let [Effect::Send(Request::Status { id })] = &effects[..] else { panic!("{effects:?}") };
        let effects =
            update(&mut state, Message::Backend(Event::StatusReported(*id, status(None))));
        assert!(
            matches!(&effects[..], [Effect::LoadIfThere(folder)] if folder == Path::new("pictures")),
            "{effects:?}"
        );
        assert!(skip_folder(&mut state).is_none());
    }

    #[test]
    fn the_download_is_offered_once_and_begun_on_request() {
        let mut state = state();
        let effects = ready(&mut state, status(Some(offer())));
        assert!(matches!(effects[0], Effect::RememberOffer));
        update(&mut state, Message::Back);
        assert!(matches!(state.download, DownloadState::Idle));
        let effects = ready(&mut state, status(Some(offer())));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::RememberOffer)));
        let effects = update(&mut state, Message::Download);
        let [Effect::Send(Request::Pull { id, preset })] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(preset, "full");
        assert!(update(&mut state, Message::Download).is_empty(), "it is under way");
        let effects = update(&mut state, Message::Stop);
        assert!(matches!(&effects[..], [Effect::Send(Request::Cancel(of))] if of == id));
        let effects = update(&mut state, Message::Backend(Event::Pulled(*id, PathBuf::new())));
        assert!(matches!(&effects[..], [Effect::Send(Request::Status { .. })]), "{effects:?}");
    }

    #[test]
    fn more_like_this_searches_by_the_selected_picture() {
        let mut state = state();
        assert!(update(&mut state, Message::MoreLikeThis).is_empty());
        found(&mut state, "red", &["a.jpg"]);
        let effects = update(&mut state, Message::MoreLikeThis);
        let [Effect::Send(Request::Search { query, .. })] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(*query, Query::Picture("/cars/a.jpg".into()));
        assert_eq!(state.query.value(), "/cars/a.jpg");
    }

    #[test]
    fn every_screen_is_drawn_at_every_size() {
        use ratatui::{Terminal, backend::TestBackend};

        let mut states = vec![state(), state(), state(), state()];
        found(&mut states[1], "red", &["a.jpg", "名前\u{1b}[31m.jpg"]);
        let id = ask(&mut states[2], "blue");
        update(&mut states[2], Message::Backend(Event::Failed(id, failure())));
        states[3].help = true;
        load(&mut states[3], "/cars".into());
        for (width, height) in [(1, 1), (20, 5), (60, 16), (100, 30), (200, 60)] {
            for state in &states {
                let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
                terminal.draw(|frame| view::view(state, frame)).unwrap();
            }
        }
        let mut terminal = Terminal::new(TestBackend::new(60, 16)).unwrap();
        terminal.draw(|frame| view::view(&states[1], frame)).unwrap();
        let screen = terminal.backend().to_string();
        assert!(screen.contains("▶ 0.5000 a.jpg"), "{screen}");
        assert!(screen.contains("Best of 60") && screen.contains("\\u{1b}["), "{screen}");
    }
}
