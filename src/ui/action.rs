//! What a key can ask for. The name of an action is its name in the settings,
//! and its sentence is the one in the help, so the three cannot drift apart.

use tui_input::InputRequest;

/// Something the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Search for what is typed; confirm what a prompt asks.
    Submit,
    /// Change what is typed.
    Edit(InputRequest),
    /// The query before this one.
    HistoryPrevious,
    /// The query after this one, then the matches.
    HistoryNext,
    /// A list of earlier queries to choose from.
    History,
    /// To the matches.
    Browse,
    /// To the query.
    Type,
    /// To the next match.
    Next,
    /// To the previous match.
    Previous,
    /// To the match on the left, or the previous one.
    Left,
    /// To the match on the right, or the next one.
    Right,
    /// To the first match.
    First,
    /// To the last match.
    Last,
    /// A page down.
    PageDown,
    /// A page up.
    PageUp,
    /// Half a page down.
    HalfPageDown,
    /// Half a page up.
    HalfPageUp,
    /// Pictures like the selected one.
    MoreLikeThis,
    /// The results before these.
    PreviousResults,
    /// Shows the picture in the system's viewer.
    Open,
    /// Copies the selected picture's path.
    CopyPath,
    /// Copies the paths of the marked pictures, or of all matches.
    CopyPaths,
    /// Marks the selected picture, or takes the mark away.
    Mark,
    /// Takes all marks away.
    Unmark,
    /// Copies the marked pictures to a folder, or prints their paths.
    Export,
    /// List or thumbnails.
    ToggleGrid,
    /// The picture over the whole width.
    ToggleZoom,
    /// The load view.
    LoadView,
    /// Lets the load rest, or go on.
    Pause,
    /// Watches the loaded folders, or no longer.
    Watch,
    /// Stops a download or a load.
    Stop,
    /// Downloads the better model.
    Download,
    /// Mouse to carlens or to the terminal.
    ToggleMouse,
    /// The keys.
    Help,
    /// One step back.
    Back,
    /// Closes what is open, or leaves.
    Leave,
    /// Leaves.
    Quit,
    /// To the shell for a while.
    Suspend,
}

/// Where a key means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    Always,
    /// While letters are typed.
    Typing,
    /// While letters are commands.
    Browsing,
}

/// An action with its name, its default keys and its sentence.
pub(super) struct Entry {
    pub(super) action: Action,
    pub(super) scope: Scope,
    pub(super) name: &'static str,
    pub(super) keys: &'static [&'static str],
    pub(super) help: &'static str,
}

const fn entry(
    scope: Scope,
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
) -> Entry {
    Entry { action, scope, name, keys, help }
}

/// Every action, in the order of the help.
pub(super) const ENTRIES: &[Entry] = {
    use Action::Edit;
    use InputRequest as R;
    use Scope::{Always, Browsing, Typing};
    &[
        entry(Typing, Action::Submit, "submit", &["enter"], "search for what is typed"),
        entry(
            Typing,
            Action::HistoryPrevious,
            "history_previous",
            &["up", "ctrl-p"],
            "the query before",
        ),
        entry(
            Typing,
            Action::HistoryNext,
            "history_next",
            &["down", "ctrl-n"],
            "the query after; the matches",
        ),
        entry(Typing, Action::History, "history", &["ctrl-r"], "choose an earlier query"),
        entry(Typing, Action::Browse, "browse", &["tab"], "to the matches"),
        entry(Browsing, Action::Next, "next", &["j", "down"], "next match"),
        entry(Browsing, Action::Previous, "previous", &["k", "up"], "previous match"),
        entry(Browsing, Action::Left, "left", &["h", "left"], "match on the left"),
        entry(Browsing, Action::Right, "right", &["l", "right"], "match on the right"),
        entry(Browsing, Action::First, "first", &["g g", "home"], "first match"),
        entry(Browsing, Action::Last, "last", &["G", "end"], "last match"),
        entry(Browsing, Action::PageDown, "page_down", &["pagedown", "ctrl-f"], "a page down"),
        entry(Browsing, Action::PageUp, "page_up", &["pageup", "ctrl-b"], "a page up"),
        entry(Browsing, Action::HalfPageDown, "half_page_down", &["ctrl-d"], "half a page down"),
        entry(Browsing, Action::HalfPageUp, "half_page_up", &["ctrl-u"], "half a page up"),
        entry(Browsing, Action::Type, "type", &["/", "i", "tab"], "to the query"),
        entry(Browsing, Action::MoreLikeThis, "more_like_this", &["m"], "pictures like this one"),
        entry(
            Browsing,
            Action::PreviousResults,
            "previous_results",
            &["b", "backspace"],
            "to the results before",
        ),
        entry(Browsing, Action::Open, "open", &["enter", "o"], "open in the system's viewer"),
        entry(Browsing, Action::CopyPath, "copy_path", &["y"], "copy the path"),
        entry(Browsing, Action::CopyPaths, "copy_paths", &["Y"], "copy paths, of marked or all"),
        entry(Browsing, Action::Mark, "mark", &["space"], "mark, or take the mark away"),
        entry(Browsing, Action::Unmark, "unmark", &["u"], "take all marks away"),
        entry(Browsing, Action::Export, "export", &["e"], "copy or print the marked ones"),
        entry(Browsing, Action::ToggleGrid, "toggle_grid", &["v"], "thumbnails or list"),
        entry(Browsing, Action::ToggleZoom, "toggle_zoom", &["z"], "large picture or both"),
        entry(Browsing, Action::Help, "help_browsing", &["?"], "these keys"),
        entry(Browsing, Action::Pause, "pause_browsing", &["p"], "pause a load, or go on"),
        entry(Browsing, Action::Leave, "leave", &["q"], "close what is open, or quit"),
        entry(Always, Action::Back, "back", &["esc"], "one step back"),
        entry(Always, Action::Help, "help", &["f1"], "these keys"),
        entry(Always, Action::Download, "download", &["f2"], "download the better model"),
        entry(Always, Action::LoadView, "load_view", &["f3"], "loads and downloads in full"),
        entry(Always, Action::ToggleMouse, "toggle_mouse", &["f4"], "mouse on or off"),
        entry(Always, Action::Pause, "pause", &["f5"], "pause a load, or go on"),
        entry(Always, Action::Watch, "watch", &["f6"], "watch folders, or no longer"),
        entry(Always, Action::Stop, "stop", &["ctrl-x"], "stop a download or a load"),
        entry(Always, Action::Suspend, "suspend", &["ctrl-z"], "to the shell; fg comes back"),
        entry(Always, Action::Quit, "quit", &["ctrl-c", "ctrl-q"], "quit"),
        entry(Typing, Edit(R::DeleteLine), "clear_query", &["ctrl-u"], "clear what is typed"),
        entry(
            Typing,
            Edit(R::DeletePrevWord),
            "delete_word",
            &["ctrl-w", "alt-backspace"],
            "delete the word before",
        ),
        entry(Typing, Edit(R::DeleteTillEnd), "delete_to_end", &["ctrl-k"], "delete to the end"),
        entry(Typing, Edit(R::GoToStart), "to_start", &["ctrl-a", "home"], "to the start"),
        entry(Typing, Edit(R::GoToEnd), "to_end", &["ctrl-e", "end"], "to the end"),
        entry(
            Typing,
            Edit(R::GoToPrevWord),
            "word_left",
            &["alt-b", "ctrl-left"],
            "a word to the left",
        ),
        entry(
            Typing,
            Edit(R::GoToNextWord),
            "word_right",
            &["alt-f", "ctrl-right"],
            "a word to the right",
        ),
        entry(Typing, Edit(R::GoToPrevChar), "char_left", &["left", "ctrl-b"], "to the left"),
        entry(Typing, Edit(R::GoToNextChar), "char_right", &["right", "ctrl-f"], "to the right"),
        entry(
            Typing,
            Edit(R::DeletePrevChar),
            "delete_before",
            &["backspace", "ctrl-h"],
            "delete a letter before",
        ),
        entry(
            Typing,
            Edit(R::DeleteNextChar),
            "delete_after",
            &["delete", "ctrl-d"],
            "delete a letter after",
        ),
    ]
};
