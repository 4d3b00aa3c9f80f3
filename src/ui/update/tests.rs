//! Messages in, state and effects out; and screens as they look then.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use image::DynamicImage;
use ratatui::layout::{Position, Size};
use ratatui::{Terminal, backend::TestBackend};

use super::{start, update};
use crate::backend::{
    Answer, Event, Exported, Failure, LoadElsewhere, LoadPlan, LoadProgress, ModelProgress, Offer,
    PullProgress, Query, Remark, Request, RequestId, Status, Thumbnail, Tower, Wait, WaitReason,
};
use crate::domain::{
    Count, DatabasePlace, FileProblem, FileStamp, Fingerprint, Formats, Hit, ImageId, ModelId,
    PixelSize, Place, Service, Similarity, SpaceSummary,
};
use crate::ui::graphics::Picture;
use crate::ui::message::{Click, Effect, Intent, Message, Typed};
use crate::ui::state::{
    Answered, BackendState, DownloadState, Focus, LoadState, Overlay, Preferences, State,
};
use crate::ui::theme::Theme;
use crate::ui::view;

/// The application, and what it has asked for since anybody looked.
struct Scene {
    state: State,
    effects: Vec<Effect>,
}

fn ready_status(offer: Option<Offer>) -> Status {
    Status {
        model: ModelId { name: "compact".into(), fingerprint: Fingerprint([0; 32]) },
        dimension: 512,
        compact: true,
        offer,
        collection: Place::File("/data/car_images.db".into()),
        spaces: Vec::new(),
    }
}

fn in_astra() -> Place {
    Place::Database(Box::new(DatabasePlace {
        service: Service::Astra,
        endpoint: "https://0-us-east-2.apps.astra.datastax.com".into(),
        keyspace: "default_keyspace".into(),
        collection: "car_images".into(),
    }))
}

fn offer() -> Offer {
    Offer { preset: "full".into(), bytes: 605_000_000, licence: "MIT".into() }
}

fn hit(name: &str, place: u8) -> Hit {
    let stamp = FileStamp { size: 33_512, modified: 1_763_985_600_000_000_000, hash: [0; 32] };
    Hit {
        id: ImageId::new(Path::new("/home/me/cars"), Path::new(name)),
        similarity: Similarity::from_cosine(0.5 - f32::from(place) / 50.0),
        standing: Some(2.5 - f32::from(place) / 4.0),
        pixels: Some(PixelSize { width: 480, height: 320 }),
        stamp: Some(stamp),
    }
}

fn half_of_a_tower() -> ModelProgress {
    ModelProgress {
        model: "clip-vit-b-32-256".into(),
        tower: Tower::Picture,
        read: 175_000_000,
        total: 350_000_000,
        elapsed: Duration::from_secs(2),
    }
}

fn answer(names: &[&str]) -> Answer {
    let hits = names.iter().zip(0..).map(|(name, place)| hit(name, place)).collect();
    Answer { hits, searched: Count::exactly(60) }
}

fn text(words: &str) -> Query {
    Query::Text(words.into())
}

fn failure() -> Failure {
    Failure {
        doing: "searching the collection".into(),
        causes: vec!["the disk is gone".into()],
        hint: Some("plug it in again".into()),
    }
}

fn thumbnail() -> Thumbnail {
    let picture = Arc::new(DynamicImage::new_rgb8(3, 2));
    Thumbnail { picture, pixels: PixelSize { width: 3, height: 2 } }
}

/// As many half-blocks as fit, in the shape of a photo.
fn drawn(area: Size) -> Picture {
    let (width, height) = (area.width.min(area.height * 3), area.height);
    let row = format!("\x1b[38;2;200;0;0m{}\x1b[0m\r\n", "▄".repeat(width.into()));
    Picture::from_half_blocks(&row.repeat(height.into())).unwrap()
}

impl Scene {
    /// On a screen of this size.
    fn on(width: u16, height: u16) -> Self {
        let preferences = Preferences {
            limit: 10,
            images: "pictures".into(),
            home: Some("/home/me".into()),
            ..Preferences::default()
        };
        let mut state = State::new(preferences, Vec::new(), false);
        state.graphics = "half-blocks".into();
        let mut scene = Self { state, effects: Vec::new() };
        scene.say(Message::Resized(Size::new(width, height), (8, 16)));
        scene
    }

    fn new() -> Self {
        Self::on(100, 30)
    }

    fn say(&mut self, message: Message) -> &mut Self {
        self.effects.extend(update(&mut self.state, message));
        self
    }

    /// Presses keys, as they are written in the settings.
    fn press(&mut self, keys: &str) -> &mut Self {
        for key in keys.split_whitespace() {
            self.say(Message::Key(key.parse().unwrap()));
        }
        self
    }

    fn type_in(&mut self, words: &str) -> &mut Self {
        for c in words.chars() {
            let key = if c == ' ' { "space".to_owned() } else { c.to_string() };
            self.press(&key);
        }
        self
    }

    fn hear(&mut self, event: Event) -> &mut Self {
        self.say(Message::Backend(event))
    }

    /// What was asked for since the last look, without the pictures.
    fn effects(&mut self) -> Vec<Effect> {
        let of_pictures = |effect: &Effect| {
            matches!(effect, Effect::Send(Request::Thumbnail { .. }) | Effect::Encode(..))
        };
        std::mem::take(&mut self.effects).into_iter().filter(|e| !of_pictures(e)).collect()
    }

    /// Types, confirms, and returns the id of the search.
    fn ask(&mut self, words: &str) -> RequestId {
        self.state.focus = Focus::Query;
        self.press("ctrl-u").type_in(words).press("enter");
        assert!(
            matches!(self.effects().last(), Some(Effect::Understand(Intent::Submit, typed)) if typed == words)
        );
        self.say(Message::Understood(Intent::Submit, Some(Typed::Query(text(words)))));
        self.asked()
    }

    /// The id of the search under way.
    fn asked(&self) -> RequestId {
        self.state.search.waiting.as_ref().expect("a search").request
    }

    fn find(&mut self, words: &str, names: &[&str]) -> &mut Self {
        let id = self.ask(words);
        self.hear(Event::SearchFinished(id, answer(names)))
    }

    /// Decodes and draws all pictures that are asked for.
    fn draw_pictures(&mut self) -> &mut Self {
        loop {
            let effects = std::mem::take(&mut self.effects);
            let mut drew = false;
            for effect in effects {
                match effect {
                    Effect::Send(Request::Thumbnail { id, .. }) => {
                        self.hear(Event::ThumbnailReady(id, thumbnail()));
                    }
                    Effect::Encode(id, _, area) => {
                        self.say(Message::Encoded(id, Ok(drawn(area))));
                    }
                    _ => continue,
                }
                drew = true;
            }
            if !drew {
                return self;
            }
        }
    }

    /// Starts, as far as the folder that is loaded first.
    fn open(&mut self, status: Status) -> &mut Self {
        let effects = start(&mut self.state);
        let Some(Effect::Send(Request::Status { id })) = effects.first() else {
            panic!("{effects:?}")
        };
        self.hear(Event::StatusReported(*id, status))
    }

    /// Starts to load a folder.
    fn load(&mut self) -> RequestId {
        self.say(Message::FolderFound("/home/me/cars".into(), true));
        match self.effects().last() {
            Some(Effect::Send(Request::Load { id, .. })) => *id,
            effect => panic!("{effect:?}"),
        }
    }

    fn selected(&self) -> Option<PathBuf> {
        self.state.selected().map(|hit| hit.id.path().to_owned())
    }

    fn notice(&self) -> &str {
        self.state.notice.as_ref().map_or("", |notice| &notice.text)
    }

    fn screen(&self) -> String {
        let Size { width, height } = self.state.screen;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view::view(&self.state, frame)).unwrap();
        terminal.backend().to_string()
    }
}

fn progress(embedded: usize, found: usize) -> LoadProgress {
    LoadProgress {
        found,
        walked: true,
        embedded,
        current: Some("car-012.jpg".into()),
        elapsed: Duration::from_secs(2),
        ..LoadProgress::default()
    }
}

mod queries {
    use super::*;

    #[test]
    fn an_empty_query_asks_nothing() {
        let mut scene = Scene::new();
        scene.type_in("  ").press("enter");
        assert!(matches!(scene.effects()[..], [Effect::AwaitPause(1), Effect::AwaitPause(2)]));
        assert!(scene.say(Message::Understood(Intent::Submit, None)).effects().is_empty());
    }

    #[test]
    fn every_letter_can_be_typed() {
        let mut scene = Scene::new();
        scene.type_in("gg q/?mjk YZ é赤");
        assert_eq!(scene.state.query.value(), "gg q/?mjk YZ é赤");
    }

    #[test]
    fn what_is_pasted_is_one_line_of_the_query() {
        let mut scene = Scene::new();
        scene.find("blue", &["a.jpg"]).say(Message::Paste("red\ncar\n".into()));
        assert_eq!(scene.state.query.value(), "red car");
        assert_eq!(scene.state.focus, Focus::Query);
    }

    #[test]
    fn words_are_searched_for_when_typing_pauses() {
        let mut scene = Scene::new();
        scene.type_in("red");
        assert!(scene.say(Message::TypingPaused(2)).effects().len() == 3, "a stale pause");
        scene.say(Message::TypingPaused(3));
        assert!(
            matches!(&scene.effects()[..], [Effect::Understand(Intent::Preview, typed)] if typed == "red")
        );
        scene.say(Message::Understood(Intent::Preview, Some(Typed::Query(text("red")))));
        let id = scene.asked();
        scene.hear(Event::SearchFinished(id, answer(&["a.jpg"])));
        assert_eq!(scene.state.focus, Focus::Query, "typing goes on");
        assert_eq!(scene.selected(), Some("a.jpg".into()));
        // The same words again are not asked again.
        scene.effects();
        scene.say(Message::Understood(Intent::Preview, Some(Typed::Query(text("red")))));
        assert!(scene.effects().is_empty());
    }

    #[test]
    fn a_pause_after_enter_asks_nothing() {
        let mut scene = Scene::new();
        scene.type_in("red").press("enter").effects();
        assert!(scene.say(Message::TypingPaused(3)).effects().is_empty());
    }

    #[test]
    fn a_stale_answer_is_ignored() {
        let mut scene = Scene::new();
        let stale = scene.ask("red");
        let id = scene.ask("blue");
        scene.hear(Event::SearchFinished(stale, answer(&["old.jpg"])));
        assert_eq!(scene.selected(), None);
        scene.hear(Event::SearchFinished(id, answer(&["new.jpg"])));
        assert_eq!(scene.selected(), Some("new.jpg".into()));
        scene.hear(Event::Cancelled(stale));
        assert_eq!(scene.selected(), Some("new.jpg".into()));
    }

    #[test]
    fn the_last_answer_stays_until_the_next_one_is_here() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg"]).ask("blue");
        assert_eq!(scene.selected(), Some("a.jpg".into()));
    }

    #[test]
    fn a_failed_search_explains_itself_in_its_pane() {
        let mut scene = Scene::new();
        let id = scene.find("red", &["a.jpg"]).ask("blue");
        scene.hear(Event::Failed(id, failure()));
        assert!(matches!(&scene.state.search.answered, Answered::Failed(f) if *f == failure()));
        // In a narrow pane they are broken into lines.
        assert!(scene.screen().contains("the disk"));
        assert!(scene.screen().contains("plug it in again"));
    }

    #[test]
    fn up_and_down_walk_through_earlier_queries_and_back() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg"]).find("blue", &["a.jpg"]);
        scene.press("/ ctrl-u").type_in("gre").press("up");
        assert_eq!(scene.state.query.value(), "blue");
        scene.press("up up up");
        assert_eq!(scene.state.query.value(), "red");
        scene.press("down down");
        assert_eq!(scene.state.query.value(), "gre");
        scene.press("down");
        assert_eq!(scene.state.focus, Focus::Results);
    }

    #[test]
    fn a_query_is_remembered_once() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg"]).find("blue", &["a.jpg"]).find("red", &["a.jpg"]);
        assert_eq!(scene.state.history.queries, ["blue", "red"]);
    }

    #[test]
    fn a_query_is_chosen_from_the_history_by_a_part_of_it() {
        let mut scene = Scene::new();
        scene.find("red van", &["a.jpg"]).find("blue van", &["a.jpg"]).find("suv", &["a.jpg"]);
        scene.press("/ ctrl-r").type_in("VAN").press("up").effects();
        scene.press("enter");
        assert!(scene.state.overlay.is_none());
        assert!(
            matches!(&scene.effects()[..], [Effect::Understand(Intent::Submit, typed)] if typed == "red van")
        );
    }

    #[test]
    fn more_like_this_searches_by_the_selected_picture_and_back_returns() {
        let mut scene = Scene::new();
        scene.press("tab m");
        assert!(scene.state.search.waiting.is_none());
        scene.find("red", &["a.jpg", "b.jpg"]).press("j m");
        assert_eq!(scene.state.query.value(), "/home/me/cars/b.jpg");
        let asked = scene.state.search.waiting.clone().unwrap();
        assert_eq!(asked.query, Query::Picture("/home/me/cars/b.jpg".into()));
        scene.hear(Event::SearchFinished(asked.request, answer(&["b.jpg", "c.jpg"]))).press("b");
        assert_eq!(scene.state.query.value(), "red");
        assert_eq!(scene.selected(), Some("b.jpg".into()), "where one was");
        assert_eq!(scene.press("b").notice(), "there are no results before these");
    }

    #[test]
    fn a_failed_search_does_not_lose_what_was_found_before() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg", "b.jpg"]).press("j m");
        let id = scene.asked();
        scene.hear(Event::Failed(id, failure())).press("b");
        assert_eq!(scene.selected(), Some("b.jpg".into()));
        assert_eq!(scene.state.query.value(), "red");
    }

    #[test]
    fn the_path_of_a_folder_loads_it() {
        let mut scene = Scene::new();
        scene.open(ready_status(None)).load();
        scene.press("/").type_in("~/trucks").press("enter").effects();
        let folder = PathBuf::from("/home/me/trucks");
        let typed = || Some(Typed::Folder("/home/me/trucks".into()));
        assert!(scene.say(Message::Understood(Intent::Preview, typed())).effects().is_empty());
        // After the load that is under way.
        assert!(scene.say(Message::Understood(Intent::Submit, typed())).effects().is_empty());
        let LoadState::Running { id, .. } = scene.state.load else { panic!() };
        scene.hear(Event::LoadFinished(id, progress(60, 60)));
        let asked = scene.effects();
        assert!(matches!(&asked[..], [Effect::FindFolder(asked)] if *asked == folder), "{asked:?}");
    }

    #[test]
    fn what_a_collection_does_not_say_is_remarked_once() {
        let mut scene = Scene::new();
        let remark = || Remark { text: "no model recorded".into(), hint: "beware".into() };
        let id = scene.ask("red");
        scene.hear(Event::Remarked(id, remark()));
        assert_eq!(scene.notice(), "no model recorded; beware");
        scene.hear(Event::SearchFinished(id, answer(&["a.jpg"])));
        let id = scene.ask("blue");
        scene.hear(Event::Remarked(id, remark()));
        assert_eq!(scene.notice(), "");
    }

    #[test]
    fn what_was_only_typed_on_the_way_is_not_gone_back_to() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg"]);
        scene.say(Message::Understood(Intent::Preview, Some(Typed::Query(text("bl")))));
        let id = scene.asked();
        scene.hear(Event::SearchFinished(id, answer(&["x.jpg"])));
        scene.find("blue", &["b.jpg"]).press("b");
        assert_eq!(scene.selected(), Some("a.jpg".into()));
    }
}

mod matches {
    use super::*;

    #[test]
    fn keys_walk_among_the_hits() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg", "b.jpg", "c.jpg"]);
        for (keys, expected) in
            [("j", "b.jpg"), ("G", "c.jpg"), ("j", "c.jpg"), ("g g", "a.jpg"), ("l l h", "b.jpg")]
        {
            scene.press(keys);
            assert_eq!(scene.selected(), Some(expected.into()), "{keys}");
        }
        // A sequence that is none ends at a key that counts by itself.
        scene.press("g k");
        assert_eq!(scene.selected(), Some("a.jpg".into()));
    }

    #[test]
    fn the_mouse_selects_opens_and_turns_the_wheel() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg", "b.jpg", "c.jpg"]);
        let second = Position::new(5, 5);
        scene.say(Message::Mouse(Click::Press, second));
        assert_eq!(scene.selected(), Some("b.jpg".into()));
        scene.say(Message::Mouse(Click::WheelDown, second));
        assert_eq!(scene.selected(), Some("c.jpg".into()));
        scene.say(Message::Mouse(Click::WheelUp, second)).effects();
        scene.say(Message::Mouse(Click::Press, second));
        assert!(matches!(&scene.effects()[..], [Effect::Open(path)] if path.ends_with("b.jpg")));
        scene.say(Message::Mouse(Click::Press, Position::new(5, 1)));
        assert_eq!(scene.state.focus, Focus::Query);
        scene.press("f4");
        assert!(matches!(scene.effects()[..], [Effect::TakeMouse(true)]));
    }

    #[test]
    fn a_match_is_opened_or_over_ssh_its_place_is_told() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg"]).effects();
        scene.press("o");
        assert!(matches!(&scene.effects()[..], [Effect::Open(path)] if path.ends_with("a.jpg")));
        scene.say(Message::Opened("/x/a.jpg".into(), Err("nothing there".into())));
        assert!(scene.notice().contains("nothing there") && scene.notice().contains("/x/a.jpg"));
        scene.state.remote = true;
        assert!(scene.press("enter").effects().is_empty());
        assert_eq!(scene.notice(), "on this machine: /home/me/cars/a.jpg");
    }

    #[test]
    fn paths_are_copied() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg", "b.jpg", "c.jpg"]).effects();
        scene.press("y");
        assert!(
            matches!(&scene.effects()[..], [Effect::Copy(text)] if text == b"/home/me/cars/a.jpg")
        );
        scene.draw_pictures().press("space space").draw_pictures().press("Y");
        assert!(
            matches!(&scene.effects()[..], [Effect::Copy(text)] if text == b"/home/me/cars/a.jpg\n/home/me/cars/b.jpg")
        );
        scene.press("u Y");
        assert!(
            matches!(&scene.effects()[..], [Effect::Copy(text)] if text.split(|byte| *byte == b'\n').count() == 3)
        );
    }

    #[test]
    fn marked_pictures_are_copied_to_a_folder() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg", "b.jpg", "c.jpg"]).press("space j space e").effects();
        scene.press("ctrl-u").type_in("~/best").press("enter");
        let effects = scene.effects();
        let [Effect::Send(Request::Export { id, pictures, folder })] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(folder, Path::new("/home/me/best"));
        assert_eq!(pictures, &["a.jpg", "c.jpg"].map(|name| Path::new("/home/me/cars").join(name)));
        let exported = Exported { folder: folder.clone(), copied: 2, failed: Vec::new() };
        scene.hear(Event::Exported(*id, exported));
        assert_eq!(scene.notice(), "copied 2 pictures to /home/me/best");
        assert!(!scene.state.is_waiting() || scene.state.exporting.is_none());
    }

    #[test]
    fn without_a_folder_the_paths_are_printed_at_the_end() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg"]).press("e ctrl-u enter");
        assert_eq!(scene.state.printed_at_exit(), [Path::new("/home/me/cars/a.jpg")]);
        assert!(scene.notice().contains("when you quit"));
    }

    #[test]
    fn one_step_back_from_the_inside_out() {
        let mut scene = Scene::new();
        scene.find("red", &["a.jpg"]).press("z ?");
        scene.press("esc");
        assert!(scene.state.overlay.is_none() && scene.state.layout.zoomed);
        scene.press("esc");
        assert!(!scene.state.layout.zoomed && scene.state.focus == Focus::Results);
        scene.press("esc");
        assert_eq!((scene.state.focus, scene.state.query.value()), (Focus::Query, "red"));
        scene.press("esc");
        assert_eq!(scene.state.query.value(), "");
    }

    #[test]
    fn q_closes_what_is_open_before_it_quits() {
        let mut scene = Scene::new();
        scene.press("tab f3 q");
        assert!(scene.state.overlay.is_none());
        assert!(scene.effects().is_empty());
        scene.press("q");
        assert!(matches!(scene.effects()[..], [Effect::Quit]));
        scene.press("/ ctrl-c");
        assert!(matches!(scene.effects()[..], [Effect::Quit]));
    }
}

mod loads {
    use super::*;

    #[test]
    fn an_empty_collection_is_given_the_configured_folder() {
        let mut scene = Scene::new();
        scene.open(ready_status(None));
        assert!(
            matches!(&scene.effects()[..], [Effect::FindFolder(folder)] if folder == Path::new("pictures"))
        );
        scene.say(Message::FolderFound("pictures".into(), false));
        assert!(scene.effects().is_empty(), "a folder that is gone is no reason to complain");
    }

    #[test]
    fn a_shared_collection_is_not_written_to_by_looking_at_it() {
        let mut scene = Scene::new();
        let status = Status { collection: in_astra(), ..ready_status(None) };
        scene.open(status);
        assert!(!scene.effects().iter().any(|effect| matches!(effect, Effect::FindFolder(_))));
        assert!(scene.screen().contains("Astra DB"));
    }

    #[test]
    fn a_folder_that_is_missing_is_named_where_there_is_nothing_else() {
        let mut scene = Scene::new();
        scene.open(ready_status(None));
        scene.say(Message::FolderFound("/gone".into(), false));
        assert_eq!(scene.notice(), "there is no folder /gone to load");
    }

    #[test]
    fn waiting_for_a_database_is_shown_until_it_answers() {
        let mut scene = Scene::new();
        scene.open(Status { collection: in_astra(), ..ready_status(None) });
        let id = scene.ask("red");
        let wait = |seconds| {
            let (reason, left) = (WaitReason::Resuming, Duration::from_secs(seconds));
            Event::Waiting(id, Some(Wait { reason, left }))
        };
        scene.hear(wait(272));
        assert!(scene.screen().contains("is being resumed, giving up in 4 min 32 s"));
        scene.hear(wait(271));
        assert!(scene.screen().contains("4 min 31 s · Ctrl-X gives up"), "{}", scene.screen());
        scene.effects();
        // Both that wait, whichever of them said so last.
        let opening = RequestId(99);
        scene.state.backend = BackendState::Opening(opening);
        scene.press("ctrl-x");
        let cancelled = |effect| match effect {
            Effect::Send(Request::Cancel(id)) => id,
            other => panic!("{other:?}"),
        };
        let stopped: Vec<RequestId> = scene.effects().into_iter().map(cancelled).collect();
        assert_eq!(stopped, [opening, id]);
        scene.hear(Event::Cancelled(id));
        assert!(!scene.screen().contains("resumed"));
    }

    #[test]
    fn a_load_asks_the_last_query_again_and_keeps_the_selection() {
        let mut scene = Scene::new();
        let id = scene.load();
        scene.find("red", &["a.jpg", "b.jpg"]).press("j").effects();
        scene.hear(Event::LoadFinished(id, progress(3, 3)));
        let again = scene.asked();
        scene.hear(Event::SearchFinished(again, answer(&["new.jpg", "a.jpg", "b.jpg"])));
        assert_eq!(scene.selected(), Some("b.jpg".into()));
    }

    #[test]
    fn a_load_rests_goes_on_and_is_stopped() {
        let mut scene = Scene::new();
        let id = scene.load();
        scene.press("f5");
        assert!(
            matches!(scene.effects()[..], [Effect::Send(Request::Pause { load, paused: true })] if load == id)
        );
        scene.hear(Event::LoadProgress(id, LoadProgress { paused: true, ..progress(1, 3) }));
        scene.press("tab f3 p");
        assert!(matches!(
            scene.effects()[..],
            [Effect::Send(Request::Pause { paused: false, .. })]
        ));
        scene.press("ctrl-x");
        assert!(matches!(scene.effects()[..], [Effect::Send(Request::Cancel(of))] if of == id));
        scene.hear(Event::Cancelled(id));
        assert!(matches!(scene.state.load, LoadState::Stopped { .. }));
        assert_eq!(scene.press("f5").notice(), "there is no load to pause");
    }

    #[test]
    fn folders_are_watched_after_they_are_loaded_until_that_is_switched_off() {
        let mut scene = Scene::new();
        scene.open(ready_status(None));
        let id = scene.load();
        scene.press("f6").effects();
        scene.hear(Event::LoadFinished(id, progress(60, 60)));
        let effects = scene.effects();
        let [Effect::Send(Request::Watch { id, folders }), ..] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(folders.len(), 1);
        scene.hear(Event::FolderUpToDate(*id, LoadProgress { unchanged: 60, ..progress(0, 60) }));
        assert!(scene.screen().contains("watching"), "{}", scene.screen());
        scene.press("f6");
        let effects = scene.effects();
        assert!(matches!(&effects[..], [Effect::Send(Request::Cancel(of))] if of == id));
        assert!(scene.hear(Event::Cancelled(*id)).effects().is_empty());
        assert!(!scene.screen().contains("watching"), "{}", scene.screen());
        assert!(scene.screen().contains("60 embedded"), "{}", scene.screen());
    }

    #[test]
    fn who_ends_watching_in_the_middle_of_a_change_sees_what_was_stored() {
        let mut scene = Scene::new();
        scene.open(ready_status(None));
        let id = scene.load();
        scene.press("f6").hear(Event::LoadFinished(id, progress(60, 60)));
        let effects = scene.effects();
        let watch = |effect: &Effect| match effect {
            Effect::Send(Request::Watch { id, .. }) => Some(*id),
            _ => None,
        };
        let id = effects.iter().find_map(watch).unwrap();
        let plan = LoadPlan {
            folder: "/cars".into(),
            model: ready_status(None).model,
            other_models: Vec::new(),
            new_space: false,
        };
        scene.hear(Event::LoadPlanned(id, plan)).hear(Event::LoadProgress(id, progress(1, 3)));
        scene.press("f6").effects();
        scene.hear(Event::FolderUpToDate(id, progress(3, 3)));
        let cancelled = |effect| matches!(effect, Effect::Send(Request::Cancel(of)) if of == id);
        assert!(scene.effects().into_iter().any(cancelled));
        scene.hear(Event::Cancelled(id));
        assert!(scene.screen().contains("3 embedded, 0 unchanged"), "{}", scene.screen());
    }

    #[test]
    fn who_stops_a_watched_load_wants_no_other() {
        let mut scene = Scene::new();
        let id = scene.load();
        scene.press("f6").press("ctrl-x").effects();
        scene.hear(Event::Cancelled(id));
        assert!(scene.effects().is_empty());
        assert!(matches!(scene.state.load, LoadState::Stopped { .. }));
    }

    #[test]
    fn the_model_is_shown_while_it_is_read_for_what_is_under_way() {
        let mut scene = Scene::on(80, 24);
        let load = scene.open(ready_status(None)).load();
        scene.hear(Event::ModelProgress(RequestId(999), half_of_a_tower()));
        assert!(scene.state.model.is_none());
        scene.hear(Event::ModelProgress(load, half_of_a_tower()));
        assert!(scene.state.model.is_some());
        scene.hear(Event::LoadProgress(load, progress(1, 60)));
        assert!(scene.state.model.is_none());

        let first = scene.ask("red");
        scene.hear(Event::ModelProgress(first, half_of_a_tower()));
        let second = scene.ask("red van");
        scene.hear(Event::Cancelled(first));
        assert!(scene.state.model.is_none());
        scene.hear(Event::ModelProgress(second, half_of_a_tower()));
        let ModelProgress { total, .. } = half_of_a_tower();
        let whole = ModelProgress { read: total, ..half_of_a_tower() };
        scene.hear(Event::ModelProgress(second, whole));
        assert!(scene.state.model.is_none());
    }

    #[test]
    fn a_load_that_waits_for_one_elsewhere_says_so() {
        let mut scene = Scene::new();
        scene.open(ready_status(None));
        let watching = scene.state.following.unwrap();
        let load = LoadElsewhere {
            process: 7,
            folder: "/cars".into(),
            progress: progress(1, 3),
            failed: vec!["b.jpg is empty".into()],
            ..LoadElsewhere::default()
        };
        scene.load();
        scene.press("f3");
        assert!(scene.screen().contains("looking for pictures"), "{}", scene.screen());
        scene.hear(Event::LoadsElsewhere(watching, vec![load]));
        let screen = scene.screen();
        let at = |text: &str| screen.find(text).unwrap_or_else(|| panic!("{text} in\n{screen}"));
        assert!(at("waits for the one elsewhere") < at("in /home/me/cars"), "{screen}");
        assert!(at("in /home/me/cars") < at("process 7"), "{screen}");
        assert!(at("process 7") < at("b.jpg is empty"), "{screen}");
    }

    #[test]
    fn the_end_of_a_load_elsewhere_asks_the_last_query_again() {
        let mut scene = Scene::new();
        scene.open(ready_status(None)).find("red", &["a.jpg"]);
        let watching = scene.state.following.unwrap();
        let load = LoadElsewhere {
            process: 7,
            folder: "/cars".into(),
            progress: progress(1, 3),
            ..LoadElsewhere::default()
        };
        scene.hear(Event::LoadsElsewhere(watching, vec![load]));
        assert!(scene.screen().contains("process 7"), "{}", scene.screen());
        assert!(scene.state.search.waiting.is_none());
        scene.hear(Event::LoadsElsewhere(watching, Vec::new()));
        assert!(scene.state.search.waiting.is_some());
    }

    #[test]
    fn after_a_load_elsewhere_the_collection_is_counted_anew_and_nothing_is_loaded() {
        let mut scene = Scene::new();
        scene.open(ready_status(None));
        let watching = scene.state.following.unwrap();
        scene.hear(Event::LoadsElsewhere(watching, vec![LoadElsewhere::default()]));
        scene.hear(Event::LoadsElsewhere(watching, Vec::new()));
        let id = scene.state.counting.unwrap();
        let status = ready_status(None);
        let space = SpaceSummary {
            model: Some(status.model.clone()),
            dimension: status.dimension,
            pictures: Count { pictures: 4321, ..Count::default() },
            hidden: 0,
            folders: Vec::new(),
            bytes: None,
        };
        scene.hear(Event::StatusReported(id, Status { spaces: vec![space], ..status }));
        scene.press("f3");
        assert!(scene.screen().contains("4321 pictures in the"), "{}", scene.screen());
        let loads = |effect: &Effect| matches!(effect, Effect::Send(Request::Load { .. }));
        assert!(!scene.effects().iter().any(loads));
    }

    #[test]
    fn the_download_is_offered_once_and_begun_on_request() {
        let mut scene = Scene::new();
        scene.open(ready_status(Some(offer())));
        assert!(scene.effects().iter().any(|effect| matches!(effect, Effect::RememberOffer)));
        scene.press("esc");
        assert!(matches!(scene.state.download, DownloadState::Idle));
        scene.open(ready_status(Some(offer())));
        assert!(!scene.effects().iter().any(|effect| matches!(effect, Effect::RememberOffer)));
        scene.press("f2");
        let effects = scene.effects();
        let [Effect::Send(Request::Pull { id, preset })] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(preset, "full");
        assert!(scene.press("f2").effects().is_empty(), "it is under way");
        scene.press("ctrl-x");
        assert!(matches!(&scene.effects()[..], [Effect::Send(Request::Cancel(of))] if of == id));
        scene.hear(Event::Pulled(*id, PathBuf::new()));
        assert!(matches!(scene.effects()[..], [Effect::Send(Request::Status { .. })]));
    }

    #[test]
    fn an_opening_that_was_given_up_is_tried_again_by_a_search() {
        let mut scene = Scene::new();
        let effects = start(&mut scene.state);
        let Some(Effect::Send(Request::Status { id })) = effects.first() else { panic!() };
        scene.hear(Event::Cancelled(*id));
        assert!(scene.screen().contains("given up"), "{}", scene.screen());
        let asked = scene.ask("red");
        scene.hear(Event::SearchFinished(asked, answer(&["a.jpg"])));
        assert!(matches!(scene.effects().last(), Some(Effect::Send(Request::Status { .. }))));
    }

    #[test]
    fn a_backend_that_does_not_open_says_why() {
        let mut scene = Scene::new();
        let effects = start(&mut scene.state);
        let Some(Effect::Send(Request::Status { id })) = effects.first() else { panic!() };
        scene.hear(Event::Failed(*id, failure()));
        assert!(matches!(scene.state.backend, BackendState::Failed(_)));
        assert!(scene.screen().contains("plug it in again"));
    }
}

mod screens {
    use insta::assert_snapshot;

    use super::*;

    const NAMES: [&str; 4] = ["2024/car-005.jpg", "car-013.jpg", "赤い車.jpg", "a\u{1b}[31m.jpg"];

    fn found(width: u16, height: u16) -> Scene {
        let mut scene = Scene::on(width, height);
        scene.open(ready_status(None)).find("red convertible", &NAMES).draw_pictures();
        scene
    }

    fn loading(scene: &mut Scene) {
        let id = scene.load();
        let problem = |name: &str| FileProblem::new(name.into(), "ends too early".into());
        scene.hear(Event::LoadProgress(id, LoadProgress { failed: 2, ..progress(12, 60) }));
        scene.hear(Event::PictureFailed(id, problem("broken.jpg")));
        scene.hear(Event::PictureFailed(id, problem("b\u{1b}ll.png")));
    }

    #[test]
    fn at_the_start() {
        assert_snapshot!(Scene::on(60, 16).screen());
    }

    #[test]
    fn with_nothing_to_search() {
        let mut scene = Scene::on(60, 16);
        scene.open(ready_status(None));
        assert_snapshot!(scene.screen());
    }

    #[test]
    fn while_the_first_pictures_are_embedded() {
        let mut scene = Scene::on(60, 16);
        loading(scene.open(ready_status(None)));
        assert_snapshot!(scene.screen());
    }

    #[test]
    fn with_an_offer() {
        let mut scene = Scene::on(90, 16);
        scene.open(ready_status(Some(offer())));
        assert_snapshot!(scene.screen());
    }

    #[test]
    fn with_hits() {
        for (width, height) in [(40, 20), (60, 16), (100, 30), (200, 60)] {
            assert_snapshot!(format!("hits_{width}x{height}"), found(width, height).screen());
        }
    }

    #[test]
    fn with_hits_as_thumbnails() {
        let thumbnails = |width, height| {
            let mut scene = found(width, height);
            scene.press("v").draw_pictures();
            scene.screen()
        };
        assert_snapshot!("thumbnails_60x16", thumbnails(60, 16));
        assert_snapshot!("thumbnails_100x30", thumbnails(100, 30));
    }

    #[test]
    fn with_one_large_picture_and_marks() {
        let mut scene = found(60, 16);
        assert_snapshot!("marks", scene.press("space").draw_pictures().screen());
        assert_snapshot!("zoomed", scene.press("z").draw_pictures().screen());
    }

    #[test]
    fn with_no_hits() {
        let mut scene = Scene::on(60, 16);
        scene.open(ready_status(None)).find("red", &[]);
        assert_snapshot!(scene.screen());
    }

    #[test]
    fn with_a_picture_as_the_query() {
        let mut scene = found(60, 20);
        scene.press("m");
        let id = scene.asked();
        scene.hear(Event::SearchFinished(id, answer(&NAMES))).draw_pictures();
        assert_snapshot!(scene.screen());
    }

    #[test]
    fn with_the_load_view() {
        let mut scene = Scene::on(80, 20);
        loading(scene.open(ready_status(Some(offer()))));
        scene.press("f2");
        let DownloadState::Running(id, ..) = &scene.state.download else { panic!() };
        let at = PullProgress {
            file: "model.safetensors".into(),
            done: 120_000_000,
            total: 605_000_000,
            received: 120_000_000,
            elapsed: Duration::from_secs(10),
        };
        let id = *id;
        scene.hear(Event::PullProgress(id, at));
        assert_snapshot!("load_line", scene.screen());
        assert_snapshot!("load_view", scene.press("f3").screen());
    }

    #[test]
    fn files_that_are_not_decoded_are_counted_by_format_at_every_load() {
        let mut scene = Scene::on(100, 20);
        let id = scene.open(ready_status(None)).load();
        let heic: Formats = [Some("HEIC"); 3].into_iter().collect();
        let problem = FileProblem {
            format: Some("HEIC".into()),
            ..FileProblem::new("car.heic".into(), "is in the HEIC format".into())
        };
        scene.hear(Event::PictureFailed(id, problem));
        let first =
            LoadProgress { failed: 4, failed_by_format: heic.clone(), ..LoadProgress::default() };
        scene.hear(Event::LoadFinished(id, first));
        assert!(scene.screen().contains("4 failed (3 HEIC)"), "{}", scene.screen());
        let view = scene.press("f3").screen();
        assert!(view.contains("1 file (1 HEIC) could not be embedded"), "{view}");
        let mut scene = Scene::on(100, 20);
        let id = scene.open(ready_status(None)).load();
        let again = LoadProgress {
            failed_before: 4,
            failed_before_by_format: heic,
            ..LoadProgress::default()
        };
        scene.hear(Event::LoadFinished(id, again));
        let screen = scene.screen();
        assert!(screen.contains("all up to date, 4 failed before (3 HEIC)"), "{screen}");
    }

    #[test]
    fn while_the_model_is_read() {
        let mut scene = Scene::on(80, 20);
        let id = scene.open(ready_status(None)).load();
        scene.hear(Event::ModelProgress(id, half_of_a_tower()));
        assert_snapshot!("model_line", scene.screen());
        assert_snapshot!("model_view", scene.press("f3").screen());
    }

    #[test]
    fn with_windows() {
        let mut scene = found(60, 16);
        assert_snapshot!("export", scene.press("e").screen());
        assert_snapshot!("history", scene.press("esc / ctrl-r").screen());
        assert_snapshot!("help", scene.press("esc tab ?").screen());
        assert_snapshot!("help_scrolled", scene.press("pagedown").screen());
        let mut scene = found(110, 40);
        assert_snapshot!("help_wide", scene.press("?").screen());
    }

    #[test]
    fn every_screen_is_drawn_at_every_size() {
        for (width, height) in [(1, 1), (2, 9), (20, 5), (59, 15), (300, 90)] {
            let mut scene = found(width, height);
            loading(&mut scene);
            for keys in ["v", "z", "f1", "f3", "esc", "e", "esc", "m", "/ ctrl-r"] {
                scene.press(keys).draw_pictures().screen();
            }
        }
    }

    #[test]
    fn no_control_character_of_a_name_reaches_the_screen() {
        let mut scene = found(100, 30);
        loading(&mut scene);
        for keys in ["v", "v G", "f3"] {
            let screen = scene.press(keys).screen();
            assert!(!screen.contains('\u{1b}'), "{screen}");
        }
    }

    #[test]
    fn without_colours_everything_is_still_told() {
        let mut scene = found(100, 30);
        scene.press("space e");
        let colourful = scene.screen();
        scene.state.preferences.theme = Theme::colourless();
        assert_eq!(scene.screen(), colourful);
    }

    #[test]
    fn a_window_is_over_the_panes_and_text_beside_it_stays() {
        let mut scene = found(100, 30);
        scene.press("e");
        assert!(matches!(scene.state.overlay, Some(Overlay::Export { .. })));
        assert!(scene.screen().contains("car-013.jpg"));
    }
}
